"""Advice from variants of the call that the profiler timed on the user's own model.

Role: what was tried here, and by how much it was faster. Must not know: profiles. Trade-off: a
variant that was timed replaces every estimate of the same technique, also when it did not help:
then nothing is said of it.
"""

from collections.abc import Iterator

from infertune.core.advice.gains import Gain
from infertune.core.advice.proposals import Advice, Ease
from infertune.core.advice.sources import Evidence
from infertune_probes.contract.profiler_result import ProfilerVariant

# Two runs of one thing differ by some percent.
_LEAST_SPEEDUP = 1.05
# Answers may differ in the last bits; more than this deserves golden requests.
_SAME_ANSWER = 1e-3
_KNOWN: dict[str, tuple[str, str, Ease]] = {
    "inference_mode": (
        "inference_mode",
        "wrap the call: with torch.inference_mode():",
        "config line",
    ),
    "bf16_autocast": (
        "BF16",
        "wrap the call: with torch.autocast(device_type, dtype=torch.bfloat16):",
        "config line",
    ),
    "torch_compile": ("torch.compile", "compile the model: torch.compile(model)", "new image"),
    "channels_last": (
        "channels_last",
        "model.to(memory_format=torch.channels_last), and the inputs too",
        "config line",
    ),
}


def timed_techniques(evidence: Evidence) -> frozenset[str]:
    """Return the techniques that were timed on this model, whether they helped or not."""
    return frozenset(_KNOWN[one.name][0] for one in _timed(evidence))


def about_timed(evidence: Evidence) -> Iterator[Advice]:
    """Yield one piece for each variant that was faster."""
    for one in _timed(evidence):
        assert one.median_ms is not None
        assert one.baseline_ms is not None
        speedup = one.baseline_ms / one.median_ms
        if speedup < _LEAST_SPEEDUP:
            continue
        technique, action, ease = _KNOWN[one.name]
        differs = one.difference is None or one.difference > _SAME_ANSWER
        told = "not compared" if one.difference is None else f"off by up to {one.difference:.2g}"
        yield Advice(
            technique,
            action,
            f"timed on this model: {one.median_ms:.3g} ms a call, {one.baseline_ms:.3g} ms without "
            f"(median of {one.calls} calls)",
            Gain(speedup, speedup, "both were timed one after the other on this node"),
            "high",
            ease,
            f"answers are {told}; hold them against golden requests" if differs else "",
        )


def _timed(evidence: Evidence) -> list[ProfilerVariant]:
    profile = evidence.profile
    found = () if profile is None else profile.variants
    return [one for one in found if one.name in _KNOWN and one.median_ms and one.baseline_ms]
