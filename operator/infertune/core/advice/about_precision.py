"""Advice about number formats: TF32, FP16, BF16, INT8, FP8.

Role: what a narrower type would gain on this device, by the rates measured on it. Must not know:
whether answers stay good; a trial with golden requests says that. Trade-off: where the bytes and
not the arithmetic hold a call back, the gain is the ratio of the bytes, which assumes that weights
and activations are all narrowed.
"""

from collections.abc import Iterator

from infertune.core.advice.bottleneck import COMPUTING
from infertune.core.advice.gains import Gain, amdahl
from infertune.core.advice.proposals import Advice, Ease
from infertune.core.advice.sources import Evidence
from infertune_probes.contract.gpu_peaks import peak_of
from infertune_probes.contract.profiler_result import ProfilerResult

_BYTES = {"fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1}
_WIDER = {
    "fp32": ("tf32", "bf16", "fp16", "int8", "fp8"),
    "tf32": ("bf16", "fp16", "int8", "fp8"),
    "bf16": ("int8", "fp8"),
    "fp16": ("int8", "fp8"),
}
_ACTIONS: dict[str, tuple[str, Ease, str]] = {
    "tf32": (
        "allow TF32 products: torch.set_float32_matmul_precision('high')",
        "config line",
        "10 bits of mantissa in products; compare golden answers",
    ),
    "bf16": (
        "serve in BF16: model.to(torch.bfloat16), or the server's flag (vLLM: --dtype bfloat16)",
        "config line",
        "8 bits of mantissa; compare golden answers",
    ),
    "fp16": (
        "serve in FP16: model.half(), or the server's flag (vLLM: --dtype float16)",
        "config line",
        "values above 65504 overflow; compare golden answers",
    ),
    "int8": (
        "quantise weights and activations to INT8 with calibration, and serve that image",
        "new image",
        "accuracy: a trial with golden requests or a score command decides",
    ),
    "fp8": (
        "quantise to FP8 (vLLM: --quantization fp8), and serve that image",
        "new image",
        "accuracy: a trial with golden requests or a score command decides",
    ),
}
# A ratio of rates below this is within what two runs of one benchmark differ by.
_LEAST_SPEEDUP = 1.15
_LEAST_SHARE = 0.1
# What processors have instructions for, or the means to unpack quickly.
_ON_PROCESSORS = frozenset({"bf16", "int8"})


def about_precision(evidence: Evidence) -> Iterator[Advice]:
    """Yield one piece for each type that is faster here than the one in use."""
    profile = evidence.profile
    current = None if profile is None else _dominant(profile)
    if profile is None or profile.shares is None or current not in _WIDER:
        return
    share = _share(profile, current)
    if share < _LEAST_SHARE:
        return
    for dtype in _WIDER[current]:
        found = _gain(evidence, profile, current, dtype, share)
        if found is None:
            continue
        gain, told = found
        action, ease, risk = _ACTIONS[dtype]
        seen = f"{share:.0%} of the time of a call is arithmetic in {current}; {told}"
        sure = profile.confidence if not gain.assumption else "low"
        yield Advice(dtype.upper(), action, seen, gain, sure, ease, risk)


def _dominant(profile: ProfilerResult) -> str | None:
    return max(profile.precisions, key=lambda name: profile.precisions[name], default=None)


def _share(profile: ProfilerResult, current: str) -> float:
    """Return which share of a call is arithmetic of matrices in this type."""
    assert profile.shares is not None
    computing = sum(profile.kinds.get(kind, 0.0) for kind in COMPUTING)
    return min(1.0, profile.shares.work * computing * profile.precisions[current])


def _gain(
    evidence: Evidence, profile: ProfilerResult, current: str, dtype: str, share: float
) -> tuple[Gain, str] | None:
    if profile.bound == "memory":
        if not _there(evidence, profile, dtype):
            return None
        speedup = _BYTES[current] / _BYTES[dtype]
        if speedup <= 1:
            return None
        low, high = amdahl(share, 1 + (speedup - 1) / 2), amdahl(share, speedup)
        how = f"{share:.0%} of a call reads {speedup:g} times fewer bytes"
        return Gain(low, high, how, "every tensor is narrowed"), "memory bandwidth holds it back"
    before, after = evidence.rates.get(current), evidence.rates.get(dtype)
    if not before or not after or after / before < _LEAST_SPEEDUP:
        return None
    speedup = after / before
    told = f"this node multiplies {speedup:.1f} times faster in {dtype} ({after:.1f} and "
    told += f"{before:.1f} TFLOP/s measured)"
    how = f"{share:.0%} of a call becomes up to {speedup:.1f} times faster"
    # Large square matrices are the best case; half the speed-up is the cautious end.
    low = amdahl(share, 1 + (speedup - 1) / 2)
    return Gain(low, amdahl(share, speedup), how), told


def _there(evidence: Evidence, profile: ProfilerResult, dtype: str) -> bool:
    """Return whether the device computes in a type at all, as far as anybody knows.

    A benchmark here leaves out what the device has no units for; without one its data sheet says
    it. A T4 asked for BF16 would emulate it, and be slower than before.
    """
    if not profile.on_device:
        return dtype in _ON_PROCESSORS
    if evidence.here is not None:
        return dtype in evidence.rates
    peak = peak_of(profile.device or "")
    return peak is None or peak.tflops(dtype) is not None
