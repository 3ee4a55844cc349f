"""Advice about the memory of the device: batch, sharding, allocator, sharing.

Role: what fits, by peaks that were measured. Must not know: time. Trade-off: how much a larger
batch gains is left to a trial, since memory alone cannot tell.
"""

from collections.abc import Iterator

from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import IN_USE, Evidence
from infertune_probes.contract.gpu_result import GpuDevice
from infertune_probes.contract.memory_result import MemoryResult

_FRAGMENTED = 0.25
_IDLE_PERCENT = 30.0
_SMALL_SHARE = 0.4
_LEAST_WINDOW_SAMPLES = 10
# GPUs that can be divided (NVIDIA MIG user guide, supported GPUs).
_DIVISIBLE = ("A30", "A100", "H100", "H200", "B200", "RTX PRO 6000")


def about_memory(evidence: Evidence) -> Iterator[Advice]:
    """Yield what the memory probe and the window of the device speak for."""
    if evidence.memory is not None:
        yield from _peaks(evidence.memory, evidence)
        yield from _fragmentation(evidence.memory)
    yield from _sharing(evidence)


def _peaks(memory: MemoryResult, evidence: Evidence) -> Iterator[Advice]:
    told = f"largest batch below {memory.serving_share:.0%} of {memory.device_name}: "
    told += f"{memory.largest_serving}"
    if memory.largest_fitting == 0:
        yield Advice(
            "sharding",
            "spread the model over several GPUs: tensor parallel (vLLM: --tensor-parallel-size 2, "
            "with the same number of GPUs and shared memory), or ZeRO-style sharding",
            f"not even batch 1 fits on {memory.device_name}",
            None,
            "high",
            "other hardware",
            unquantified="it makes serving possible; how fast, a trial says",
        )
        return
    now = None if evidence.ladder is None else evidence.ladder.batch_size
    if now is not None and memory.largest_serving > now:
        yield Advice(
            "larger batch",
            f"let the search try batch sizes up to {memory.largest_serving}",
            f"{told}, in use: {now}",
            None,
            "medium",
            "config line",
            unquantified="a trial measures it",
        )
    if now is not None and 0 < memory.largest_serving < now:
        yield Advice(
            "smaller batch",
            f"cap the batch at {memory.largest_serving}",
            f"{told}, in use: {now}; a little more traffic and the server runs out of memory",
            None,
            "high",
            "config line",
            unquantified="it prevents a failure and makes nothing faster",
        )


def _fragmentation(memory: MemoryResult) -> Iterator[Advice]:
    known = [step.fragmentation for step in memory.steps if step.fragmentation is not None]
    if not known or max(known) < _FRAGMENTED:
        return
    base = next((one.step for one in memory.variants if one.setting is None), None)
    better = [
        one
        for one in memory.variants
        if one.setting is not None
        and one.step.fragmentation is not None
        and base is not None
        and base.fragmentation is not None
        and one.step.fragmentation < base.fragmentation
    ]
    best = min(better, key=lambda one: one.step.fragmentation or 0.0, default=None)
    setting = "expandable_segments:True" if best is None else best.setting
    tried = "" if best is None else f", and {best.step.fragmentation:.0%} with {best.setting}"
    yield Advice(
        "allocator setting",
        f"set PYTORCH_CUDA_ALLOC_CONF={setting} in the container's env",
        f"{max(known):.0%} of the reserved memory was not in use at the worst batch{tried}",
        None,
        "medium" if best is None else "high",
        "config line",
        unquantified="it frees memory, and time only where memory was short",
    )


def _sharing(evidence: Evidence) -> Iterator[Advice]:
    gpu, window = evidence.gpu, evidence.busiest
    if gpu is None or window is None:
        return
    device = next((one for one in gpu.devices if one.index == window.index), None)
    used = window.fields[IN_USE]
    if device is None or used.n < _LEAST_WINDOW_SAMPLES or used.maximum > _IDLE_PERCENT:
        return
    if not _divisible(device) or device.memory_total_bytes is None:
        return
    share = (device.memory_used_bytes or 0) / device.memory_total_bytes
    if device.memory_used_bytes is None or share > _SMALL_SHARE:
        return
    yield Advice(
        "MIG",
        "divide the GPU and ask for a part of it (resources.limits: nvidia.com/mig-...)",
        f"GPU {device.index} ({device.name}) was in use at most {used.maximum:.0f} % of the time "
        f"({used.n} samples), {share:.0%} of its memory is in use",
        None,
        "medium",
        "other hardware",
        "a part has a part of the bandwidth: measure it at peak",
        unquantified="it makes serving cheaper and not faster",
    )


def _divisible(device: GpuDevice) -> bool:
    name = device.name or ""
    divided = device.mig is not None and bool(device.mig.enabled)
    return not divided and any(word in name for word in _DIVISIBLE)
