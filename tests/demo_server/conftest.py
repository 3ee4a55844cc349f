"""Model files are made once per session; a server is a real process on a loopback port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo_model.variants import Variant, write_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(slots=True)
class ServerProcess:
    """A demo server that listens; `output` holds what it said after that, once it ended."""

    process: subprocess.Popen[str]
    port: int
    output: list[dict[str, object]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        out, _ = self.process.communicate(timeout=30)
        self.output = [json.loads(line) for line in out.splitlines()]
        return self.process.returncode


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fp32.onnx, int8.onnx and wrong.onnx."""
    folder = tmp_path_factory.mktemp("models")
    for variant in Variant:
        write_variant(variant, folder / f"{variant.value}.onnx")
    return folder


@contextmanager
def _serving(environ: dict[str, str]) -> Iterator[ServerProcess]:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo_server"],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "PORT": "0", **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["event"] == "serving"
        yield ServerProcess(process, first["port"])
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=30)


@pytest.fixture
def start_server(models: Path) -> Callable[..., AbstractContextManager[ServerProcess]]:
    """Start a server process: `with start_server("fp32", QUEUE_LIMIT="4") as server`."""

    def start(variant: str, **environ: str) -> AbstractContextManager[ServerProcess]:
        return _serving({"MODEL_PATH": str(models / f"{variant}.onnx"), **environ})

    return start


@pytest.fixture
def run_refused() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a server that is expected to end at once."""

    def run(**environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "demo_server"],
            env={**os.environ, "PYTHONPATH": str(EXAMPLES), **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run
