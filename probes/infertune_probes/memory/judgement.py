"""Findings, measurements and the result section of what the steps found.

Pure. It must not run anything. Trade-off: 85 % of the memory is the line for serving, as for the
guards of a rollout: the rest is for fragmentation, other batches and the CUDA context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from infertune_probes.contract.envelope import measured, unmeasured
from infertune_probes.memory import codes
from infertune_probes.memory.search import (
    FAILED,
    FITS,
    Step,
    fitted,
    largest_below,
    largest_fitting,
    smallest_failing,
)
from infertune_probes.memory.variants import EMPTY_CACHE, compare

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Finding, Measurement
    from infertune_probes.memory.variants import Comparison, Variant

SERVING_SHARE = 0.85
FRAGMENTED_SHARE = 0.25
GOOD_SHARE = 0.08
_MEBIBYTE = 1 << 20


class Tried(NamedTuple):
    """Everything that was measured on one device."""

    device: str
    name: str
    total: int
    source: str
    steps: tuple[Step, ...]
    variants: tuple[Variant, ...]
    most: int
    wanted: int | None = None
    torch: str | None = None

    @property
    def line(self) -> float:
        """The bytes that serving may take."""
        return SERVING_SHARE * self.total


def judge(tried: Tried) -> list[Finding]:
    """Return what the steps and variants amount to."""
    failed = next((step for step in tried.steps if step.outcome == FAILED), None)
    if largest_fitting(tried.steps) == 0:
        reason = failed.reason if failed else f"not even batch 1 fits into {_mib(tried.total)} MiB"
        return [codes.MEMORY_NOT_MEASURED.unknown(reason or "no step ended")]
    count = sum(step.outcome == FITS for step in tried.steps)
    findings = [codes.MEMORY_MEASURED.passed(f"{count} batches on {tried.name}")]
    if failed is not None:
        evidence = f"batch {failed.batch} ended for another reason than memory: {failed.reason}"
        findings.append(codes.MEMORY_NOT_MEASURED.unknown(evidence))
    findings.append(_limit(tried))
    if tried.wanted is not None:
        findings += _wanted(tried, tried.wanted)
    findings += _fragmentation(tried)
    return findings + _allocator(tried)


def _limit(tried: Tried) -> Finding:
    fits, out = largest_fitting(tried.steps), smallest_failing(tried.steps)
    below = largest_below(tried.steps, tried.line)
    serving = f"batch {below} is the largest tried below 85 % of {_mib(tried.total)} MiB"
    if out is None:
        return codes.BATCH_HAS_ROOM.passed(f"batch {fits} fits, larger was not asked; {serving}")
    evidence = f"batch {fits} fits, batch {out} runs out of memory; {serving}"
    return codes.BATCH_RUNS_OUT.passed(evidence)


def _wanted(tried: Tried, wanted: int) -> list[Finding]:
    step = next((one for one in tried.steps if one.batch == wanted), None)
    below = largest_below(tried.steps, tried.line)
    fix = f"set the batch size to {below}" if below else None
    if step is None or step.outcome == FAILED:
        return []
    if step.outcome != FITS or step.peak is None:
        return [codes.BATCH_TOO_LARGE.failed(f"batch {wanted} runs out of memory", fix)]
    share = step.peak / tried.total
    if step.peak > tried.line:
        return [codes.BATCH_TOO_LARGE.warned(f"batch {wanted} takes {share:.0%}", fix)]
    return [codes.BATCH_TOO_LARGE.passed(f"batch {wanted} takes {share:.0%}, below 85 %")]


def _fragmentation(tried: Tried) -> list[Finding]:
    """Judge the mixed load where it was run, else the largest batch that fits."""
    mixed = [one.step for one in tried.variants if one.setting is None and one.step.reserved]
    fitting = [step for step in tried.steps if step.outcome == FITS and step.reserved]
    step = mixed[0] if mixed else max(fitting, key=lambda one: one.batch, default=None)
    if step is None or step.fragmentation is None:
        return []
    free = f", largest free block {_mib(step.largest_free or 0)} MiB"
    evidence = (
        f"{step.fragmentation:.0%} of {_mib(step.reserved or 0)} MiB reserved was unused at the "
        f"peak of {'mixed batches' if mixed else f'batch {step.batch}'}{free}"
    )
    if step.fragmentation >= FRAGMENTED_SHARE:
        return [codes.FRAGMENTED.warned(evidence)]
    good = " (good)" if step.fragmentation <= GOOD_SHARE else ""
    return [codes.NOT_FRAGMENTED.passed(evidence + good)]


def _allocator(tried: Tried) -> list[Finding]:
    compared = compare(tried.variants)
    if tried.device == "cpu":
        return []
    if not compared:
        return [codes.ALLOCATOR_NOT_TRIED.unknown("the mixed load did not run")]
    settings = [one for one in compared if one.variant.name != EMPTY_CACHE]
    paying = [one for one in settings if one.pays]
    told = "; ".join(_told(one) for one in compared)
    findings: list[Finding] = []
    if paying:
        best = max(paying, key=lambda one: one.memory_saved)
        fix = f"set PYTORCH_CUDA_ALLOC_CONF={best.variant.setting}"
        findings.append(codes.ALLOCATOR_SETTING_PAYS.warned(told, fix))
    elif settings:
        findings.append(codes.ALLOCATOR_DEFAULT_GOOD.passed(told))
    for one in compared:
        if one.variant.name == EMPTY_CACHE and one.pays:
            findings.append(codes.EMPTY_CACHE_HELPS.warned(_told(one)))
        elif one.variant.name == EMPTY_CACHE and one.hurts:
            findings.append(codes.EMPTY_CACHE_HURTS.warned(_told(one)))
    return findings


def _told(one: Comparison) -> str:
    return (
        f"{one.variant.name}: {one.memory_saved:+.0%} reserved memory saved, "
        f"{one.time_lost:+.0%} time per call"
    )


def measure(tried: Tried) -> list[Measurement]:
    """Return the figures of the search."""
    tries = len(tried.steps)
    figures = [
        measured("memory_total", "By", tried.total, 1),
        measured("memory_largest_batch_fitting", "1", largest_fitting(tried.steps), tries),
        measured(
            "memory_largest_batch_below_85_percent",
            "1",
            largest_below(tried.steps, tried.line),
            tries,
        ),
    ]
    out = smallest_failing(tried.steps)
    name = "memory_smallest_batch_out"
    figures.append(
        unmeasured(name, "1", f"memory did not run out up to batch {tried.most}", tries)
        if out is None
        else measured(name, "1", out, tries)
    )
    line = fitted(tried.steps)
    few = "fewer than three batches fit"
    for name, value in (
        ("memory_base", None if line is None else line.base),
        ("memory_per_item", None if line is None else line.per_item),
    ):
        figures.append(
            unmeasured(name, "By", few)
            if value is None or line is None
            else measured(name, "By", value, line.n)
        )
    return figures


def result_section(tried: Tried) -> dict[str, object]:
    """Return the memory section of the envelope."""
    line = fitted(tried.steps)
    return {
        "kind": "memory",
        "device": tried.device,
        "deviceName": tried.name,
        "torch": tried.torch,
        "totalBytes": tried.total,
        "totalSource": tried.source,
        "servingShare": SERVING_SHARE,
        "largestFitting": largest_fitting(tried.steps),
        "smallestFailing": smallest_failing(tried.steps),
        "largestServing": largest_below(tried.steps, tried.line),
        "predictedServing": None if line is None else line.batch_at(tried.line),
        "steps": [_step(step) for step in tried.steps],
        "variants": [
            {"name": one.name, "setting": one.setting, "step": _step(one.step)}
            for one in tried.variants
        ],
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "batch": step.batch,
        "outcome": step.outcome,
        "peakBytes": step.peak,
        "allocatedBytes": step.allocated,
        "reservedBytes": step.reserved,
        "largestFreeBytes": step.largest_free,
        "allocationRetries": step.retries,
        "fragmentation": step.fragmentation,
        "callMs": step.call_ms,
        "reason": step.reason,
    }


def _mib(size: int) -> int:
    return size // _MEBIBYTE
