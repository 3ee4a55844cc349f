"""Runs the children: one per batch, one per allocator setting.

It must not choose batches or judge. Trade-off: a process per step costs the import of torch each
time and gives every batch a clean allocator, and an end that takes nothing else with it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from infertune_probes.contract.child import ask
from infertune_probes.memory.search import FAILED, OUT, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
_KILLED = "exit status -9"


class Model(NamedTuple):
    """What the children call, and where."""

    entry: str | None
    factory: str | None
    input: str | None
    device: str
    usable: int


def try_batches(
    model: Model,
    batches: list[int],
    folder: Path,
    seconds: float,
    *,
    setting: str | None = None,
    empty_cache: bool = False,
) -> Step:
    """Return how a child fared with the batches; the step bears the largest of them."""
    answer = folder / "step.json"
    if answer.exists():
        answer.unlink()
    request = folder / "request.json"
    document: dict[str, object] = {
        **model._asdict(),
        "bytes": model.usable,
        "batches": batches,
        "emptyCache": empty_cache,
    }
    request.write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, "-m", "infertune_probes.memory.step", str(request), str(folder)]
    with _environment(setting):
        heard = ask(command, seconds)
    if heard.text is None:
        reason = heard.reason or "no reason given"
        # SIGKILL that is not ours is the kernel's: the container or the machine was full.
        killed = reason.startswith(_KILLED)
        return Step(max(batches), OUT if killed else FAILED, reason=reason[:1000])
    return _step(json.loads(answer.read_text(encoding="utf-8")), max(batches))


def _step(told: dict[str, Any], batch: int) -> Step:
    return Step(
        batch,
        told["outcome"],
        told.get("peak"),
        told.get("allocated"),
        told.get("reserved"),
        told.get("largestFree"),
        told.get("retries"),
        told.get("callMs"),
        told.get("reason"),
    )


@contextmanager
def _environment(setting: str | None) -> Iterator[None]:
    """Set the allocator's variable for the child that starts inside the block."""
    before = os.environ.get(_ALLOCATOR)
    if setting is not None:
        os.environ[_ALLOCATOR] = setting
    try:
        yield
    finally:
        if setting is not None:
            os.environ.pop(_ALLOCATOR)
            if before is not None:
                os.environ[_ALLOCATOR] = before
