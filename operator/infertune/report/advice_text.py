"""Advice in words: the verdict, then what to try, first things first.

Role: sentences from an advice plan, for a terminal and for Markdown. Must not know: rules.
Trade-off: a gain is told as a range with what was assumed, never as one number.
"""

from collections.abc import Iterator

from infertune.core.advice.bottleneck import Bottleneck, Part
from infertune.core.advice.gains import Gain
from infertune.core.advice.plan import AdvicePlan
from infertune.core.advice.proposals import Advice
from infertune.core.evidence import NoData


def advice_text(plan: AdvicePlan) -> str:
    """Return the plan as text that ends with a line break."""
    return "\n".join([*verdict_lines(plan.bottleneck), *_steps(plan)]) + "\n"


def part_sentence(part: Part) -> str:
    """Return one part of the verdict as a sentence."""
    return f"{part.kind}: {part.share:.0%} of {part.of} ({part.why}; {part.confidence} confidence)"


def gain_sentence(gain: Gain | None, unquantified: str) -> str:
    """Return a gain as a range, or why there is none."""
    if gain is None:
        return f"gain not computed: {unquantified}"
    low, high = f"{gain.low:.2f}", f"{gain.high:.2f}"
    times = f"{low} to {high}" if low != high else low
    assumed = f"; assumed: {gain.assumption}" if gain.assumption else ""
    return f"a call becomes {times} times faster: {gain.how}{assumed}"


def verdict_lines(bottleneck: Bottleneck | NoData) -> list[str]:
    """Return the verdict: what weighs most, then what else there is."""
    if isinstance(bottleneck, NoData):
        return [f"What holds the server back is not known: {bottleneck.detail}"]
    besides = [f"  besides, {part_sentence(part)}" for part in bottleneck.parts[1:]]
    return [f"Held back by {part_sentence(bottleneck.first)}", *besides]


def _steps(plan: AdvicePlan) -> Iterator[str]:
    if not plan.steps:
        yield "No advice: nothing that was measured speaks for a change."
    for number, advice in enumerate(plan.steps, 1):
        yield ""
        yield from _step(number, advice)
    if plan.left_out:
        yield f"\n{plan.left_out} more with a smaller gain are left out."


def _step(number: int, advice: Advice) -> Iterator[str]:
    yield f"{number}. {advice.technique} ({advice.ease}, {advice.confidence} confidence)"
    yield f"   do: {advice.action}"
    yield f"   because: {advice.evidence}"
    yield f"   gain: {gain_sentence(advice.gain, advice.unquantified)}"
    if advice.risk:
        yield f"   mind: {advice.risk}"
