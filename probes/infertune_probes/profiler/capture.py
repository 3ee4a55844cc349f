"""The child that imports torch and the user's model: `... profiler.capture REQUEST FOLDER`.

Writes `facts.json`, `trace.json.gz` and, in memory mode on a device, `snapshot.pickle` into the
folder; it must not judge. Its parent has the deadline and may kill it. Trade-off: the calls are
timed once without the profiler, so that its own cost is seen and nobody takes traced times for
latencies.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infertune_probes.workload.entry import EntryUnusable, build
from infertune_probes.workload.samples import Maker, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RANGE = "infertune::inference"
_MOST_HISTORY = 100_000


def main(request_file: str, folder: str) -> None:
    """Capture what the request asks for; an error of the model itself ends this process."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    out = Path(folder)
    facts: dict[str, object] = {}
    try:
        import torch
    except (ImportError, OSError, ValueError) as error:
        # A torch whose CUDA libraries are missing raises OSError or ValueError.
        facts = {"error": f"torch: {error}", "torchMissing": True}
    else:
        try:
            facts = _captured(torch, request, out)
        except EntryUnusable as error:
            facts = {"error": str(error)}
    (out / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _captured(torch: Any, request: dict[str, Any], out: Path) -> dict[str, object]:  # noqa: ANN401  # a module
    device = choose_device(torch, request["device"])
    called = build(request.get("entry"), request.get("factory"))
    if hasattr(called, "to") and hasattr(called, "parameters"):
        called = called.to(device)
    sample = Maker(torch, request.get("input"), device).make(request.get("batch"))
    seen: dict[int, Any] = {}
    with _watching_modules(torch, seen):
        answer = called(*sample.args, **sample.kwargs)
    for _ in range(request["warmup"] - 1):
        called(*sample.args, **sample.kwargs)
    facts: dict[str, object] = {
        "torch": str(torch.__version__),
        "device": device_name(torch, device),
        "outputsNeedGrad": _needs_grad(answer),
        "parameterTypes": _parameter_types(seen.values()),
        "inTraining": sorted({type(one).__name__ for one in seen.values() if one.training})[:10],
        "callMs": timed(torch, device, called, sample, request["active"]),
    }
    del answer
    with _memory_history(torch, device, request["mode"], out, facts):
        profile = _profiled(torch, device, called, sample, request)
    profile.export_chrome_trace(str(out / "trace.json.gz"))
    if request["mode"] == "detailed":
        counted = sum(one.flops or 0 for one in profile.key_averages())
        facts["flops"] = counted / request["active"] if counted else None
    return facts


def choose_device(torch: Any, wanted: str) -> str:  # noqa: ANN401  # a module
    """Return cuda where it is wanted or possible, else cpu.

    Raises:
        EntryUnusable: cuda is wanted and torch sees none.
    """
    there = bool(torch.cuda.is_available())
    if wanted == "cuda" and not there:
        msg = "--device cuda: torch sees no CUDA device"
        raise EntryUnusable(msg)
    return "cuda" if there and wanted != "cpu" else "cpu"


def device_name(torch: Any, device: str) -> str:  # noqa: ANN401  # a module
    """Return the device's product name."""
    return "cpu" if device == "cpu" else str(torch.cuda.get_device_name(0))


def synchronise(torch: Any, device: str) -> None:  # noqa: ANN401  # a module
    """Wait until the device has done what was asked of it."""
    if device != "cpu":
        torch.cuda.synchronize()


def timed(
    torch: Any,  # noqa: ANN401  # a module
    device: str,
    called: Callable[..., Any],
    sample: Sample,
    times: int,
) -> list[float]:
    """Return the milliseconds of each of some calls, with the device waited for on both sides."""
    taken = []
    for _ in range(times):
        synchronise(torch, device)
        start = time.perf_counter()
        called(*sample.args, **sample.kwargs)
        synchronise(torch, device)
        taken.append((time.perf_counter() - start) * 1000.0)
    return taken


def _profiled(
    torch: Any,  # noqa: ANN401  # a module
    device: str,
    called: Callable[..., Any],
    sample: Sample,
    request: dict[str, Any],
) -> Any:  # noqa: ANN401  # torch.profiler.profile
    kit = torch.profiler
    detailed = request["mode"] == "detailed"
    activities = [kit.ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(kit.ProfilerActivity.CUDA)
    with kit.profile(
        activities=activities,
        # One step to warm the tracer itself up: its first events take milliseconds.
        schedule=kit.schedule(wait=0, warmup=1, active=request["active"], repeat=1),
        record_shapes=detailed,
        with_stack=detailed,
        with_flops=detailed,
        profile_memory=request["mode"] == "memory",
    ) as profile:
        for _ in range(request["active"] + 1):
            with kit.record_function(RANGE):
                called(*sample.args, **sample.kwargs)
            profile.step()
        synchronise(torch, device)
    return profile


@contextlib.contextmanager
def _watching_modules(torch: Any, seen: dict[int, Any]) -> Iterator[None]:  # noqa: ANN401  # a module
    """Note every module that runs inside the block, wherever the callable keeps its model."""

    def note(module: Any, _inputs: Any) -> None:  # noqa: ANN401  # torch.nn.Module
        seen[id(module)] = module

    hook = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def _memory_history(
    torch: Any,  # noqa: ANN401  # a module
    device: str,
    mode: str,
    out: Path,
    facts: dict[str, object],
) -> Iterator[None]:
    """Record who allocated what on the device; the snapshot is for torch's own viewer."""
    recording = mode == "memory" and device != "cpu"
    if recording:
        torch.cuda.memory._record_memory_history(max_entries=_MOST_HISTORY)  # noqa: SLF001  # torch documents it so
    yield
    if recording:
        torch.cuda.memory._dump_snapshot(str(out / "snapshot.pickle"))  # noqa: SLF001  # torch documents it so
        torch.cuda.memory._record_memory_history(enabled=None)  # noqa: SLF001  # torch documents it so
        facts["peakAllocatedBytes"] = int(torch.cuda.max_memory_allocated())
        facts["peakReservedBytes"] = int(torch.cuda.max_memory_reserved())


def _needs_grad(answer: Any) -> bool | None:  # noqa: ANN401  # what the model returned
    """Return whether an output hangs on a graph; None when the answer holds no tensor."""
    if hasattr(answer, "requires_grad"):
        return bool(answer.requires_grad)
    parts = answer.values() if isinstance(answer, dict) else answer
    if not isinstance(answer, (dict, list, tuple)):
        return None
    known = [found for found in map(_needs_grad, parts) if found is not None]
    return any(known) if known else None


def _parameter_types(modules: Any) -> dict[str, int]:  # noqa: ANN401  # torch.nn.Module
    """Return how many parameter values there are of each type."""
    counted: dict[str, int] = {}
    known = {id(one): one for module in modules for one in module.parameters()}
    for parameter in known.values():
        name = str(parameter.dtype).replace("torch.", "")
        counted[name] = counted.get(name, 0) + int(parameter.numel())
    return counted


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
