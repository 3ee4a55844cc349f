"""The child that tries one batch: `... memory.step REQUEST FOLDER`.

Imports torch and the user's model, calls it a few times and writes `step.json`; it must not judge.
It offers itself to the kernel as the first to be killed, and on the processor it may not take more
memory than its parent allows, so that running out is an error in this process and never a killed
container. Trade-off: that bound counts private memory that is mapped and not yet touched, so the
batch found is a little low rather than too high.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infertune_probes.workload.entry import EntryUnusable, build
from infertune_probes.workload.samples import Maker

if TYPE_CHECKING:
    from collections.abc import Callable

    from infertune_probes.workload.samples import Sample

_CALLS = 3


def main(request_file: str, folder: str) -> None:
    """Try the batch of the request; an error of the model itself ends this process."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    _first_to_be_killed()
    try:
        told = _tried(request)
    except EntryUnusable as error:
        told = {"outcome": "failed", "reason": str(error)}
    except MemoryError as error:
        told = {"outcome": "out", "reason": f"MemoryError: {error}"}
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        told = {"outcome": "out", "reason": str(error).splitlines()[0][:300]}
    (Path(folder) / "step.json").write_text(json.dumps(told), encoding="utf-8")


def _first_to_be_killed() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError as error:
        sys.stderr.write(f"oom_score_adj not set: {error}\n")


def _bound(usable: int) -> None:
    """Let this process grow to ``usable`` resident bytes and no further.

    The limit is on private memory that is mapped, of which libraries map more than they touch:
    so it is what is mapped now and the growth that is left.
    """
    status = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if ":" in line
    )
    mapped, resident = (int(status[name].split()[0]) * 1024 for name in ("VmData", "VmRSS"))
    limit = mapped + max(0, usable - resident)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch ran out: its own class on a device, words on the processor."""
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def _tried(request: dict[str, Any]) -> dict[str, object]:
    try:
        import torch
    except (ImportError, OSError, ValueError) as error:
        return {"outcome": "failed", "reason": f"torch: {error}", "torchMissing": True}
    device = request["device"]
    called = build(request.get("entry"), request.get("factory"))
    if hasattr(called, "to") and hasattr(called, "parameters"):
        called = called.to(device)
    limit = request.get("bytes")
    if device == "cpu" and limit:
        _bound(limit)
    maker = Maker(torch, request.get("input"), device)
    taken: list[float] = []
    with torch.inference_mode():
        for batch in request["batches"]:
            sample = maker.make(batch)
            taken += [_timed(torch, device, called, sample) for _ in range(_CALLS)]
            del sample
            if request.get("emptyCache"):
                taken[-1] += _emptied(torch)
    told: dict[str, object] = {
        "outcome": "fits",
        "callMs": sorted(taken)[len(taken) // 2],
        "torch": str(torch.__version__),
    }
    return {**told, **(_resident() if device == "cpu" else _on_device(torch))}


def _timed(torch: Any, device: str, called: Callable[..., Any], sample: Sample) -> float:  # noqa: ANN401  # a module
    start = time.perf_counter()
    called(*sample.args, **sample.kwargs)
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1000.0


def _emptied(torch: Any) -> float:  # noqa: ANN401  # a module
    start = time.perf_counter()
    torch.cuda.empty_cache()
    return (time.perf_counter() - start) * 1000.0


def _resident() -> dict[str, object]:
    """Return the peak resident memory of this process; Linux counts it in kibibytes."""
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _on_device(torch: Any) -> dict[str, object]:  # noqa: ANN401  # a module
    statistics = torch.cuda.memory_stats()
    reserved = int(torch.cuda.max_memory_reserved())
    free, total = torch.cuda.mem_get_info()
    blocks = [
        int(block["size"])
        for segment in torch.cuda.memory_snapshot()
        for block in segment["blocks"]
        if block["state"] == "inactive"
    ]
    return {
        # What this process takes of the device: the allocator's peak and the context.
        "peak": reserved + max(0, total - free - int(torch.cuda.memory_reserved())),
        "allocated": int(torch.cuda.max_memory_allocated()),
        "reserved": reserved,
        "largestFree": max(blocks, default=0),
        "retries": int(statistics.get("num_alloc_retries", 0)),
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
