"""Findings, measurements and the result section of a reading.

Pure. It must not read files or run anything. Trade-off: what the time goes into is a fact and
passes or warns by whether something can be gained; nothing here fails, since a slow model is not
a broken one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from infertune_probes.contract.envelope import measured, unmeasured
from infertune_probes.profiler import codes, kinds

if TYPE_CHECKING:
    from infertune_probes.contract.codes import Code
    from infertune_probes.contract.envelope import Finding, Measurement
    from infertune_probes.profiler.reading import Reading
    from infertune_probes.profiler.tables import Ranking

# Below this much of a window a wait is not worth a change of code.
_WORTH_A_LOOK = 0.05
_FULL_PRECISION_SHARE = 0.5

_BOUNDS: dict[str, Code] = {
    "launch": codes.LAUNCH_BOUND,
    "compute": codes.COMPUTE_BOUND,
    "memory": codes.MEMORY_BOUND,
    "copy": codes.COPY_BOUND,
    "idle": codes.DEVICE_IDLE,
    "unknown": codes.BOUND_UNKNOWN,
}


class Facts(NamedTuple):
    """What the capturing process knew beyond the trace; None and empty: not known."""

    mode: str
    source: str
    device: str | None = None
    torch: str | None = None
    warmup: int | None = None
    active: int | None = None
    call_ms: tuple[float, ...] = ()
    parameter_types: tuple[tuple[str, int], ...] = ()
    in_training: tuple[str, ...] = ()
    flops: float | None = None
    outputs_need_grad: bool | None = None
    peak_allocated: int | None = None
    peak_reserved: int | None = None


def judge(reading: Reading, facts: Facts) -> list[Finding]:
    """Return what the reading and the facts amount to."""
    findings = [codes.PROFILE_READ.passed(_told(reading, facts)), _bound(reading)]
    findings += _autograd(reading, facts)
    if facts.in_training:
        findings.append(
            codes.TRAINING_MODE.warned("in training mode: " + ", ".join(facts.in_training))
        )
    findings += _waits(reading)
    full = reading.precisions.get("fp32", 0.0)
    if reading.on_device and full >= _FULL_PRECISION_SHARE:
        evidence = f"{full:.0%} of the time of products and attention is fp32"
        findings.append(codes.FULL_PRECISION.warned(evidence))
    return findings


def _told(reading: Reading, facts: Facts) -> str:
    calls = f"{reading.calls} calls" if reading.calls else "no marked call"
    return f"{facts.mode} trace of {facts.source}: {calls} in {reading.window_us / 1000:.3f} ms"


def _bound(reading: Reading) -> Finding:
    code = _BOUNDS[reading.bound]
    evidence = f"{reading.why} (confidence {reading.confidence})"
    if reading.bound == "unknown":
        return code.unknown(evidence)
    # A device at full work is where it should be; everything else is time that can be won.
    return code.passed(evidence) if reading.bound == "compute" else code.warned(evidence)


def _autograd(reading: Reading, facts: Facts) -> list[Finding]:
    if reading.autograd == "recording" or facts.outputs_need_grad:
        return [codes.AUTOGRAD_ON.warned("operators record a graph for a backward pass")]
    if reading.autograd == "on":
        evidence = (
            "gradient mode is on, although no graph is recorded: bookkeeping of each operator"
        )
        return [codes.AUTOGRAD_ON.warned(evidence)]
    return []


def _waits(reading: Reading) -> list[Finding]:
    found = []
    total = sum(one.total_us for one in reading.synchronisations)
    if reading.on_device and total >= _WORTH_A_LOOK * reading.window_us > 0:
        first = ", ".join(f"{one.count} x {one.name}" for one in reading.synchronisations[:3])
        evidence = f"{total / reading.window_us:.0%} of the time in {first}"
        found.append(codes.SYNCHRONISES.warned(evidence))
    share = reading.data_wait_share
    if share is not None and share >= _WORTH_A_LOOK:
        found.append(codes.DATA_WAIT.warned(f"{share:.0%} of the time waits for a DataLoader"))
    return found


def measure(reading: Reading, facts: Facts) -> list[Measurement]:
    """Return the figures of the reading, each with n = the number of calls it stands on."""
    n = reading.calls
    none = "the trace holds no work"
    shares = reading.shares
    parts = {
        "profile_work_share": None if shares is None else shares.work,
        "profile_copy_share": None if shares is None else shares.copy,
        "profile_launch_share": None if shares is None else shares.launch,
        "profile_idle_share": None if shares is None else shares.waiting,
    }
    figures = [
        unmeasured(name, "1", none, n) if value is None else measured(name, "1", value, n)
        for name, value in parts.items()
    ]
    for name, kind in (
        ("profile_gemm_share", kinds.GEMM),
        ("profile_attention_share", kinds.ATTENTION),
    ):
        value = reading.kinds.get(kind, 0.0)
        known = bool(reading.kinds)
        figures.append(measured(name, "1", value, n) if known else unmeasured(name, "1", none, n))
    if facts.call_ms:
        ordered = sorted(facts.call_ms)
        median = ordered[len(ordered) // 2]
        figures.append(measured("profile_call_unprofiled_median", "ms", median, len(ordered)))
    return figures


def result_section(
    reading: Reading,
    facts: Facts,
    tables: tuple[Ranking, ...],
    memory: list[tuple[float, int, int]],
) -> dict[str, object]:
    """Return the profiler section of the envelope."""
    shares = reading.shares
    return {
        "kind": "profiler",
        "mode": facts.mode,
        "source": facts.source,
        "device": facts.device,
        "torch": facts.torch,
        "warmupCalls": facts.warmup,
        "activeCalls": facts.active,
        "calls": reading.calls,
        "windowMs": reading.window_us / 1000.0,
        "onDevice": reading.on_device,
        "bound": reading.bound,
        "confidence": reading.confidence,
        "why": reading.why,
        "shares": None
        if shares is None
        else {
            "work": shares.work,
            "copy": shares.copy,
            "launch": shares.launch,
            "waiting": shares.waiting,
        },
        "kinds": dict(reading.kinds),
        "precisions": dict(reading.precisions),
        "parameterTypes": dict(facts.parameter_types),
        "autograd": reading.autograd,
        "dataWaitShare": reading.data_wait_share,
        "kernelMedianUs": reading.kernel_median_us,
        "launchesPerCall": reading.launches_per_call,
        "flopsPerCall": facts.flops,
        "synchronisations": [
            {"name": one.name, "count": one.count, "totalUs": one.total_us}
            for one in reading.synchronisations[:20]
        ],
        "peakAllocatedBytes": facts.peak_allocated,
        "peakReservedBytes": facts.peak_reserved,
        "memoryTimeline": [list(point) for point in memory],
        "tables": [_table(one) for one in tables],
    }


def _table(ranking: Ranking) -> dict[str, object]:
    return {
        "name": ranking.name,
        "rankedBy": ranking.ranked_by,
        "leftOut": ranking.left_out,
        "reason": ranking.reason,
        "rows": [
            {
                "name": row.name,
                "count": row.count,
                "deviceUs": row.device_us,
                "cpuUs": row.cpu_us,
                "bytes": row.size,
                "share": row.share,
            }
            for row in ranking.rows
        ],
    }
