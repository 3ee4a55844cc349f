"""From evidence to an ordered plan of what to try.

Role: ask every rule, drop what is said twice, put the rest in order. Must not know: any rule's
reasons. Trade-off: at most twelve pieces, since a longer list is not read; what was left out is
counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from infertune.core.advice.about_attention import about_attention
from infertune.core.advice.about_execution import about_execution
from infertune.core.advice.about_hardware import about_hardware
from infertune.core.advice.about_host import about_host
from infertune.core.advice.about_memory import about_memory
from infertune.core.advice.about_model import about_model
from infertune.core.advice.about_precision import about_precision
from infertune.core.advice.about_timed import about_timed, timed_techniques
from infertune.core.advice.bottleneck import Bottleneck, find_bottleneck
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Evidence
from infertune.core.evidence import NoData

MOST = 12


@dataclass(frozen=True, slots=True)
class AdvicePlan:
    """The verdict and what to try, first things first; ``left_out`` pieces did not fit."""

    bottleneck: Bottleneck | NoData
    steps: tuple[Advice, ...]
    left_out: int = 0


def advise(evidence: Evidence) -> AdvicePlan:
    """Return the plan."""
    bottleneck = find_bottleneck(evidence)
    found: dict[str, Advice] = {step.technique: step for step in about_timed(evidence)}
    timed = timed_techniques(evidence)
    for advice in _all(evidence, bottleneck):
        if advice.technique in timed:
            continue
        known = found.get(advice.technique)
        if known is None or advice.score > known.score:
            found[advice.technique] = advice
    ranked = sorted(
        found.values(), key=lambda one: (one.gain is None, -one.score, one.effort, one.technique)
    )
    return AdvicePlan(bottleneck, tuple(ranked[:MOST]), max(0, len(ranked) - MOST))


def _all(evidence: Evidence, bottleneck: Bottleneck | NoData) -> Iterator[Advice]:
    yield from about_precision(evidence)
    yield from about_execution(evidence)
    yield from about_attention(evidence)
    yield from about_memory(evidence)
    yield from about_host(evidence)
    if isinstance(bottleneck, Bottleneck):
        yield from about_model(evidence, bottleneck)
        yield from about_hardware(evidence, bottleneck)
