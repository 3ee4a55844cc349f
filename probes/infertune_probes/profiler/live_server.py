"""Captures a running server that offers profiling: POST /start_profile, requests, /stop_profile.

vLLM and SGLang offer that pair, and write traces into a folder of their own, which has to be
shared with this probe. It must not know how the server makes a trace. Trade-off: between start
and stop the probe sends a few requests itself, one after another; without a body to send it only
waits for the traffic that is there. Never run it inside a latency trial: a traced server is slow.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.session import CouldNotRun
from infertune_probes.profiler import codes
from infertune_probes.profiler.chrome_trace import TraceUnreadable, read_trace
from infertune_probes.profiler.judgement import Facts
from infertune_probes.profiler.local_capture import Captured

if TYPE_CHECKING:
    import argparse

# A 70B model's trace takes minutes to write; the caller's deadline ends the wait.
_LOOK_EVERY_SECONDS = 0.5
_MOST_TRACES = 8


def capture_server(arguments: argparse.Namespace, seconds: float) -> Captured:
    """Capture the server that the arguments name.

    Raises:
        CouldNotRun: the server does not profile or answer, or no trace appeared in the folder.
    """
    origin = arguments.server.rstrip("/")
    end = time.monotonic() + seconds
    folder = Path(arguments.trace_dir)
    before = _traces(folder)
    body = json.dumps({"output_dir": str(folder)}).encode("utf-8")
    _post(origin + "/start_profile", body, end)
    try:
        answered = _traffic(arguments, origin, end)
    finally:
        # Whatever happened: a server left in profiling would be slow and fill its disk.
        _post(origin + "/stop_profile", b"", end)
    path = _newest_whole(folder, before, end)
    facts = Facts(mode=arguments.mode, source=f"{origin} ({answered})")
    return Captured(path, facts, (path,))


def _traffic(arguments: argparse.Namespace, origin: str, end: float) -> str:
    if arguments.body is None:
        time.sleep(arguments.seconds)
        return f"{arguments.seconds:g} s of its own traffic"
    body = Path(arguments.body).read_bytes()
    for _ in range(arguments.warmup):
        _post(origin + arguments.path, body, end)
    for _ in range(arguments.active):
        _post(origin + arguments.path, body, end)
    return f"{arguments.warmup + arguments.active} requests to {arguments.path}"


def _post(url: str, body: bytes, end: float) -> None:
    request = urllib.request.Request(  # noqa: S310  # http and https only, checked by the arguments
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=max(0.1, end - time.monotonic())) as answer:  # noqa: S310  # as above
            answer.read(1 << 20)
    except urllib.error.HTTPError as error:
        evidence = f"POST {url}: HTTP {error.code}"
        raise CouldNotRun(codes.PROFILE_SERVER_SILENT.unknown(evidence)) from error
    except OSError as error:
        evidence = f"POST {url}: {error}"
        raise CouldNotRun(codes.PROFILE_SERVER_SILENT.unknown(evidence)) from error


def _traces(folder: Path) -> dict[Path, int]:
    """Return the traces in a folder with the time of their last change."""
    return {
        path: path.stat().st_mtime_ns
        for pattern in ("*.json", "*.json.gz")
        for path in folder.glob(pattern)
    }


def _newest_whole(folder: Path, before: dict[Path, int], end: float) -> Path:
    """Return the new trace with the most work, once it can be read to its end.

    A server with several workers writes one each, and vLLM one more for its front end.
    """
    why = f"no new trace in {folder}; is this the folder that the server writes to?"
    while time.monotonic() < end:
        fresh = [path for path, at in _traces(folder).items() if before.get(path) != at]
        fresh.sort(key=lambda path: -path.stat().st_size)
        works: list[tuple[int, int, str]] = []
        for path in fresh[:_MOST_TRACES]:
            try:
                trace = read_trace(path)
            except TraceUnreadable as error:
                why = str(error)
                break
            works.append((len(trace.device), len(trace.ops), str(path)))
        else:
            if works:
                return Path(max(works)[2])
        time.sleep(_LOOK_EVERY_SECONDS)
    raise CouldNotRun(codes.TRACE_UNREADABLE.unknown(why))
