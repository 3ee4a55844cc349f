"""Which candidate is tried next, and at which rates; or why the search is over.

Role: ask-and-tell over finished trials: same trials, same proposal. Must not know: time, Jobs, how
a rate was judged. Trade-off: a bracketing search on one batch axis per image instead of a model of
the server. It assumes that capacity rises with the batch, then falls, and that a setting which
helps alone helps together with others; where that is wrong it may miss the best candidate, but
never recommends one that was not measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from infertune.core.known_trials import (
    NO_ROOM,
    PLATEAU,
    TRIES,
    Certificate,
    Exhausted,
    Known,
    SearchRules,
)
from infertune.core.ladder import ladder, rate_for
from infertune.core.outcomes import TrialOutcome, lowest_unproven, outcome_of
from infertune.core.space import Candidate, SearchSpace, Variant, candidate_at

__all__ = [
    "Certificate",
    "Exhausted",
    "Proposal",
    "SearchRules",
    "TrialOutcome",
    "outcome_of",
    "propose",
]

# Another image is searched too when its best is within this share of the best image's.
_CLOSE = 0.8


@dataclass(frozen=True, slots=True)
class Proposal:
    """Try this candidate at these rates, rising."""

    candidate: Candidate
    rates: tuple[float, ...]
    why: str


def propose(
    space: SearchSpace, trials: Sequence[TrialOutcome], rules: SearchRules
) -> Proposal | Exhausted:
    """Return the next trial, or why there is none; the same answer for the same arguments.

    Today's configuration comes first, then a middle batch on each variant (image and settings) that
    differs from the best one so far in one thing, then the bracket around the best batch of the
    best variant is halved, then that of others that come close, and last the rates between the best
    candidate's highest pass and lowest failure. Once something carries the peak, what probes saw
    (``rules.hints``) changes the order: a first look above today's batch, or the lower side of a
    bracket first. A measurement that was void is repeated once. Wrong answers end a variant, a
    missing image all that use it; a crash or out-of-memory ends the variant's larger batches too.
    Over when the fewest allowed replicas are enough, when no bracket is open, when two trials in a
    row found no room, or when ``max_trials`` are used.
    """
    known = Known(space, tuple(trial for trial in trials if trial.failure != "Running"), rules)
    found = _first_of_all(known, len(trials)) or _next(known)
    if found is not None:
        return found
    why = f"no open bracket is left; {known.best_text()}"
    return known.exhausted(why, complete=True)


def _first_of_all(known: Known, begun: int) -> Proposal | Exhausted | None:
    """Return what comes before any search: an end, a repetition, today's configuration."""
    space, rules, ended = known.space, known.rules, known.trials
    if begun >= rules.max_trials:
        return known.exhausted(f"all {rules.max_trials} trials are used", complete=False)
    if len(ended) >= TRIES and all(t.failure in NO_ROOM for t in ended[-TRIES:]):
        return known.exhausted("two trials in a row found no room to run", complete=False)
    again = known.to_repeat()
    if again is not None:
        return Proposal(again, known.rates(again), "its measurement was void; repeated once")
    if not known.tried(space.incumbent):
        return Proposal(space.incumbent, known.rates(space.incumbent), "today's configuration")
    if known.best_replicas == rules.limits.min:
        return known.exhausted(f"{known.best_text()}, the fewest allowed", complete=True)
    return None


def _next(known: Known) -> Proposal | None:
    return _first_look(known) or _halving(known) or _cross_check(known) or _finer_rates(known)


def _first_look(known: Known) -> Proposal | None:
    """Propose a middle batch on a variant that has no trial yet, or only today's at its edge."""
    for variant in known.near():
        axis = known.axis(variant)
        batches: tuple[int | None, ...] = axis or (
            (None,) if None in known.space.batch_sizes else ()
        )
        inner = {candidate_at(variant, batch) for batch in batches[1:-1] or batches}
        if batches and not any(known.tried(candidate) for candidate in inner):
            hinted = known.looked_at_first(axis)
            among = hinted or batches
            candidate = candidate_at(variant, among[len(among) // 2])
            if not known.tried(candidate):
                place = " above today's" if hinted else ""
                why = f"a middle batch{place} on {_noun(known)}"
                why += f"; {known.rules.hints.words}" if hinted else ""
                return Proposal(candidate, known.rates(candidate), why)
    return None


def _halving(known: Known) -> Proposal | None:
    """Propose the middle of the larger open side of the best batch, variant by variant."""
    ranked = sorted(known.variants(), key=known.best_of, reverse=True)
    for variant in ranked:
        if known.best_of(variant) < _CLOSE * known.best_of(ranked[0]):
            break
        batch = _open_batch(known, variant)
        if batch is not None:
            candidate = candidate_at(variant, batch)
            why = f"between the best batch of {_noun(known)} and its neighbours"
            why += f"; {known.rules.hints.words}" if known.saturated(variant) else ""
            return Proposal(candidate, known.rates(candidate), why)
    return None


def _open_batch(known: Known, variant: Variant) -> int | None:
    axis = known.axis(variant)
    scores = {
        index: known.estimate(known.merged[candidate_at(variant, batch)])
        for index, batch in enumerate(axis)
        if candidate_at(variant, batch) in known.merged
    }
    free = [i for i, batch in enumerate(axis) if not known.tried(candidate_at(variant, batch))]
    if not scores or not free:
        return None
    best = max(scores, key=lambda index: (scores[index], -index))
    left = max((i for i in scores if i < best), default=-1)
    right = min((i for i in scores if i > best), default=len(axis))
    if _flat(known, scores, left, best, right):
        return None
    above = [i for i in free if best < i < right]
    below = [i for i in free if left < i < best]
    down = known.saturated(variant) or len(above) < len(below)
    side = (below or above) if down else above
    return axis[side[len(side) // 2]] if side else None


def _flat(known: Known, scores: dict[int, float], left: int, best: int, right: int) -> bool:
    """Whether both neighbours carry about as much as the best, and a replica less needs more."""
    if left not in scores or right not in scores or known.best_replicas is None:
        return False
    lower = min(scores[left], scores[right])
    wanted = known.rules.peak / max(known.best_replicas - 1, 1)
    return lower >= scores[best] * (1 - PLATEAU) and wanted > scores[best] * (1 + PLATEAU)


def _cross_check(known: Known) -> Proposal | None:
    """Propose the best batch on a variant that has not kept the promise anywhere yet.

    Where the first look at a variant was at a batch that is too slow on any, it said nothing about
    the variant.
    """
    if not known.merged:
        return None
    best = known.best or max(known.merged.values(), key=known.estimate)
    for variant in known.variants():
        candidate = candidate_at(variant, best.candidate.batch_size)
        able = any(o.knee_rate for o in known.merged.values() if o.candidate.variant == variant)
        allowed = candidate.batch_size is None or candidate.batch_size in known.axis(variant)
        if allowed and not able and not known.tried(candidate):
            why = f"the best batch on {_noun(known)}"
            return Proposal(candidate, known.rates(candidate), why)
    return None


def _finer_rates(known: Known) -> Proposal | None:
    """Propose rates between a pass and a failure that would save a replica, the likeliest first."""
    needed, rules = known.best_replicas, known.rules
    if needed is None or needed <= rules.limits.min:
        return None
    wanted = rate_for(rules.peak, needed - 1)
    sound = [one for one in known.merged.values() if known.sound(one.candidate)]
    for outcome in sorted(sound, key=known.estimate, reverse=True):
        if known.estimate(outcome) * (1 + PLATEAU) < wanted and lowest_unproven(outcome) < math.inf:
            continue
        counts = [
            count
            for count in range(needed - 1, rules.limits.min - 1, -1)
            if rate_for(rules.peak, count) < lowest_unproven(outcome)
        ]
        if counts and outcome.knee_rate is not None:
            rates = ladder(rules.peak, counts[0], counts[-1], rules.max_rates)
            why = "rates between its highest pass and lowest failure"
            return Proposal(outcome.candidate, rates, why)
    return None


def _noun(known: Known) -> str:
    return "these settings" if known.space.settings else "this image"
