"""Runs the capturing child on a user's model and returns where its files lie.

It must not import torch or the model. Trade-off: the child's files are read and not its output,
because a model prints what it likes.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from infertune_probes.contract.child import ask
from infertune_probes.contract.codes import TORCH_MISSING
from infertune_probes.contract.session import CouldNotRun
from infertune_probes.profiler import codes
from infertune_probes.profiler.judgement import Facts

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


class Captured(NamedTuple):
    """A trace to read, what is known of it, and the files to keep."""

    trace: Path
    facts: Facts
    files: tuple[Path, ...]


def capture_model(arguments: argparse.Namespace, folder: Path, seconds: float) -> Captured:
    """Capture the model that the arguments name into the folder.

    Raises:
        CouldNotRun: with the reason, when there is no trace at the end.
    """
    request = {
        name: getattr(arguments, name)
        for name in ("entry", "factory", "input", "batch", "device", "mode", "warmup", "active")
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    module = "infertune_probes.profiler.capture"
    heard = ask([sys.executable, "-m", module, str(folder / "request.json"), str(folder)], seconds)
    if heard.text is None:
        raise CouldNotRun(codes.PROFILE_NOT_CAPTURED.unknown(heard.reason or "no reason given"))
    told = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    if "error" in told:
        code = TORCH_MISSING if told.get("torchMissing") else codes.PROFILE_NOT_CAPTURED
        raise CouldNotRun(code.unknown(str(told["error"])))
    names = ("trace.json.gz", "snapshot.pickle")
    files = tuple(folder / name for name in names if (folder / name).exists())
    return Captured(folder / "trace.json.gz", _facts(told, arguments), files)


def _facts(told: dict[str, Any], arguments: argparse.Namespace) -> Facts:
    return Facts(
        mode=arguments.mode,
        source=str(arguments.entry or arguments.factory),
        device=told["device"],
        torch=told["torch"],
        warmup=arguments.warmup,
        active=arguments.active,
        call_ms=tuple(told["callMs"]),
        parameter_types=tuple(sorted(told["parameterTypes"].items())),
        in_training=tuple(told["inTraining"]),
        flops=told.get("flops"),
        outputs_need_grad=told["outputsNeedGrad"],
        peak_allocated=told.get("peakAllocatedBytes"),
        peak_reserved=told.get("peakReservedBytes"),
    )
