"""Advice about how the same arithmetic is run: graphs, compilation, autograd, waiting, layout.

Role: what the host costs a device that could work. Must not know: number formats, memory.
Trade-off: only the bound by what could vanish is given, or no figure at all; what was timed on the
model itself (`about_timed`) replaces it.
"""

from collections.abc import Iterator

from infertune.core.advice.gains import Gain, amdahl, without
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Evidence
from infertune_probes.contract.profiler_result import ProfilerResult

_LEAST_SHARE = 0.1
_FUSIBLE = ("pointwise", "reduction")
_LEAST_FUSIBLE = 0.2
_LEAST_CONVOLUTION = 0.2
_MICROSECONDS = 1000


def about_execution(evidence: Evidence) -> Iterator[Advice]:
    """Yield what a profile speaks for."""
    profile = evidence.profile
    if profile is None or profile.shares is None:
        return
    yield from _launches(profile)
    yield from _fusion(profile)
    yield from _autograd(profile)
    yield from _waits(profile)
    yield from _layout(profile)


def _launches(profile: ProfilerResult) -> Iterator[Advice]:
    assert profile.shares is not None
    share = profile.shares.launch
    if not profile.on_device or share < _LEAST_SHARE:
        return
    kernels = profile.launches_per_call
    told = f"the device waits for the host in {share:.0%} of a call"
    told += f" of {kernels:.0f} launches" if kernels else ""
    most = Gain(without(share / 2), without(share), _removed(share))
    yield Advice(
        "CUDA graphs",
        "replay the call as one graph: torch.compile(model, mode='reduce-overhead'), or leave out "
        "--enforce-eager (vLLM), --disable-cuda-graph (SGLang)",
        told,
        most,
        profile.confidence,
        "config line",
        "shapes must repeat; the first calls are slow",
    )
    yield Advice(
        "larger batch",
        "raise the batch cap: the same launches then carry more requests",
        told,
        None,
        "medium",
        "config line",
        unquantified="a trial of the next batch size measures it",
    )


def _removed(share: float) -> str:
    return f"between half and all of the {share:.0%} that the device waits goes away"


def _fusion(profile: ProfilerResult) -> Iterator[Advice]:
    assert profile.shares is not None
    fusible = sum(profile.kinds.get(kind, 0.0) for kind in _FUSIBLE) * profile.shares.work
    if fusible < _LEAST_FUSIBLE:
        return
    told = (
        f"{fusible:.0%} of a call is elementwise work and reductions, read and written one by one"
    )
    gain = Gain(
        amdahl(fusible, 1.2),
        amdahl(fusible, 2.0),
        f"{fusible:.0%} of a call becomes 1.2 to 2 times faster",
        "fusion saves between a sixth and a half of these reads and writes",
    )
    yield Advice(
        "torch.compile",
        "compile the model: torch.compile(model), or export it to TensorRT or ONNX Runtime",
        told,
        gain,
        "low",
        "new image",
        "minutes of compilation at start-up, which is part of every new replica",
    )


def _autograd(profile: ProfilerResult) -> Iterator[Advice]:
    if profile.autograd not in {"on", "recording"}:
        return
    told = {
        "on": "gradients are enabled during the call",
        "recording": "operators record for a backward pass that never comes",
    }[profile.autograd]
    yield Advice(
        "inference_mode",
        "wrap the call: with torch.inference_mode():",
        told,
        None,
        "high" if profile.autograd == "recording" else "medium",
        "config line",
        unquantified="what recording costs was not timed apart; it also holds memory",
    )


def _waits(profile: ProfilerResult) -> Iterator[Advice]:
    window_us = profile.window_ms * _MICROSECONDS
    waited = sum(one.total_us for one in profile.synchronisations)
    share = min(1.0, waited / window_us) if window_us else 0.0
    if share >= _LEAST_SHARE and profile.on_device and profile.bound == "launch":
        names = ", ".join(dict.fromkeys(one.name for one in profile.synchronisations[:3]))
        yield Advice(
            "no synchronisation in the call",
            f"remove what asks the device for a value before the end: {names}",
            f"the host waits for the device in {share:.0%} of a call",
            Gain(1.0, without(share), f"at most the {share:.0%} of waiting goes away"),
            "low",
            "new image",
        )
    data = profile.data_wait_share or 0.0
    if data >= _LEAST_SHARE:
        yield Advice(
            "load inputs ahead",
            "prepare the next input while the device works: more DataLoader workers, pinned memory",
            f"a call waits for its input in {data:.0%} of the time",
            Gain(1.0, without(data), f"at most the {data:.0%} of waiting goes away"),
            "medium",
            "config line",
        )


def _layout(profile: ProfilerResult) -> Iterator[Advice]:
    assert profile.shares is not None
    share = profile.kinds.get("convolution", 0.0) * profile.shares.work
    half = sum(profile.precisions.get(dtype, 0.0) for dtype in ("fp16", "bf16", "tf32", "int8"))
    if share < _LEAST_CONVOLUTION or not half or not profile.on_device:
        return
    yield Advice(
        "channels_last",
        "model.to(memory_format=torch.channels_last), and the inputs too",
        f"{share:.0%} of a call is convolutions on tensor cores, which read this layout",
        None,
        "medium",
        "config line",
        unquantified="not timed on this model",
    )
