"""Which candidate is tried next, and at which rates; or why the search is over.

Role: ask-and-tell over finished trials: same trials, same proposal. Must not know: time, Jobs, how
a rate was judged. Trade-off: a bracketing search on one batch axis per image instead of a model of
the server. It assumes that capacity rises with the batch, then falls, and that a setting which
helps alone helps together with others; where that is wrong it may miss the best candidate, but
never recommends one that was not measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from infertune.api.knobs import ReplicaLimits
from infertune.core.capacity import replicas_for
from infertune.core.ladder import ladder, rate_for
from infertune.core.outcomes import (
    FailureName,
    TrialOutcome,
    estimated_knee,
    lowest_unproven,
    outcome_of,
)
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

_TOO_LARGE: frozenset[FailureName] = frozenset({"OutOfMemory", "Crashed", "NotReady"})
_NO_ROOM: frozenset[FailureName] = frozenset({"NoCapacity", "Refused"})
_TRIES = 2
_SHORT_LADDER = 2
# Another image is searched too when its best is within this share of the best image's.
_CLOSE = 0.8
_HOPE = 2.0
_PLATEAU = 0.1


@dataclass(frozen=True, slots=True)
class SearchRules:
    """What the search has to respect.

    ``baseline_fails``: live traffic of today breaks the promise (None: not known), which makes the
    first ladder short. ``slo_ms`` lets latencies give the search a direction; without it only
    verdicts do.
    """

    peak: float
    limits: ReplicaLimits
    max_rates: int
    max_trials: int
    baseline_fails: bool | None = None
    slo_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Try this candidate at these rates, rising."""

    candidate: Candidate
    rates: tuple[float, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What stands behind "this promise cannot be kept": the best that was found, and its limit.

    ``best_p95_ms`` is at ``rate``, the peak's share of the most replicas allowed; None when it was
    not measured there. ``complete`` is False when the budget ended the search before the bracket.
    """

    best: Candidate | None
    rate: float
    best_p95_ms: float | None
    tried: tuple[Candidate, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The search is over. ``unreachable`` is set when no candidate carries the peak."""

    why: str
    unreachable: Certificate | None = None


def propose(
    space: SearchSpace, trials: Sequence[TrialOutcome], rules: SearchRules
) -> Proposal | Exhausted:
    """Return the next trial, or why there is none; the same answer for the same arguments.

    Today's configuration comes first, then a middle batch on each variant (image and settings) that
    differs from the best one so far in one thing, then the bracket around the best batch of the
    best variant is halved, then that of others that come close, and last the rates between the best
    candidate's highest pass and lowest failure. A measurement that was void is repeated once. Wrong
    answers end a variant, a missing image all that use it; a crash or out-of-memory ends the
    variant's larger batches too. Over when the fewest allowed replicas are enough, when no bracket
    is open, when two trials in a row found no room, or when ``max_trials`` are used.
    """
    ended = tuple(trial for trial in trials if trial.failure != "Running")
    known = _Known(space, ended, rules)
    if len(trials) >= rules.max_trials:
        return known.exhausted(f"all {rules.max_trials} trials are used", complete=False)
    if len(ended) >= _TRIES and all(t.failure in _NO_ROOM for t in ended[-_TRIES:]):
        return known.exhausted("two trials in a row found no room to run", complete=False)
    again = known.to_repeat()
    if again is not None:
        return Proposal(again, known.rates(again), "its measurement was void; repeated once")
    if not known.tried(space.incumbent):
        return Proposal(space.incumbent, known.rates(space.incumbent), "today's configuration")
    if known.best_replicas == rules.limits.min:
        return known.exhausted(f"{_best_text(known)}, the fewest allowed", complete=True)
    return (
        _first_look(known)
        or _halving(known)
        or _cross_check(known)
        or _finer_rates(known)
        or known.exhausted(f"no open bracket is left; {_best_text(known)}", complete=True)
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ended trials say together."""

    space: SearchSpace
    trials: tuple[TrialOutcome, ...]
    rules: SearchRules
    merged: dict[Candidate, TrialOutcome] = field(init=False)

    def __post_init__(self) -> None:
        merged: dict[Candidate, TrialOutcome] = {}
        for trial in self.trials:
            if trial.failure is None:
                before = merged.get(trial.candidate)
                levels = (before.levels if before else ()) + trial.levels
                merged[trial.candidate] = TrialOutcome(trial.candidate, levels)
        object.__setattr__(self, "merged", merged)

    @property
    def best(self) -> TrialOutcome | None:
        """The measured candidate that needs fewest replicas, then with the highest estimate."""
        able = [one for one in self.merged.values() if self.replicas(one) is not None]
        return min(able, key=self._rank, default=None)

    @property
    def best_replicas(self) -> int | None:
        """How many replicas the best candidate needs; None while nothing carries the peak."""
        return None if self.best is None else self.replicas(self.best)

    def _rank(self, outcome: TrialOutcome) -> tuple[float, float]:
        return self.replicas(outcome) or math.inf, -self.estimate(outcome)

    def replicas(self, outcome: TrialOutcome) -> int | None:
        """Return the replicas that a measured candidate needs within the limits, or None."""
        knee = outcome.knee_rate
        if knee is None:
            return None
        needed = max(replicas_for(self.rules.peak, knee), self.rules.limits.min)
        return needed if needed <= self.rules.limits.max else None

    def estimate(self, outcome: TrialOutcome) -> float:
        """Return about which rate one replica carries: for direction, never for a verdict."""
        return estimated_knee(outcome, self.rules.slo_ms)

    def tried(self, candidate: Candidate) -> bool:
        """Whether this candidate needs no (further) first trial."""
        return any(trial.candidate == candidate for trial in self.trials)

    def to_repeat(self) -> Candidate | None:
        """Return a candidate whose only trial was void or found no room."""
        for trial in self.trials:
            same = [one for one in self.trials if one.candidate == trial.candidate]
            void = trial.failure == "Invalid" or trial.failure in _NO_ROOM
            if void and len(same) < _TRIES:
                return trial.candidate
        return None

    def sound(self, candidate: Candidate) -> bool:
        """Whether every trial of this candidate, but for one void one, gave a measurement."""
        failures = [t.failure for t in self.trials if t.candidate == candidate and t.failure]
        return failures in ([], ["Invalid"])

    def near(self) -> tuple[Variant, ...]:
        """Return the variants one step from the best one so far that are still in."""
        return tuple(v for v in self.space.neighbours(self._centre()) if not self._out(v))

    def variants(self) -> tuple[Variant, ...]:
        """Return the variants that are still in: one step from the best, and those tried."""
        tried = (trial.candidate.variant for trial in self.trials)
        found = dict.fromkeys((*self.near(), *tried))
        return tuple(variant for variant in found if not self._out(variant))

    def _centre(self) -> Variant:
        """Return the variant with the best estimate; today's until one was measured."""
        today = self.space.incumbent.variant
        measured = dict.fromkeys(one.candidate.variant for one in self.merged.values())
        return max((today, *measured), key=self.best_of)

    def _out(self, variant: Variant) -> bool:
        return any(
            (trial.failure == "QualityFailed" and trial.candidate.variant == variant)
            or (trial.failure == "ImageUnavailable" and trial.candidate.image == variant.image)
            for trial in self.trials
        )

    def axis(self, variant: Variant) -> tuple[int, ...]:
        """Return the batch sizes of a variant that may be tried: below any that crashed."""
        crashed = [
            trial.candidate.batch_size
            for trial in self.trials
            if trial.candidate.variant == variant and trial.failure in _TOO_LARGE
        ]
        limit = min((batch for batch in crashed if batch is not None), default=math.inf)
        return tuple(batch for batch in self.space.batches if batch < limit)

    def best_of(self, variant: Variant) -> float:
        """Return the best estimate on a variant; 0 when nothing was measured on it."""
        return max(
            (
                self.estimate(one)
                for one in self.merged.values()
                if one.candidate.variant == variant
            ),
            default=0.0,
        )

    def rates(self, candidate: Candidate) -> tuple[float, ...]:
        """Return the ladder of a first trial: rates that could beat what is known, rising.

        The first rate is the best candidate's own, for comparison. The last is at most twice what
        the best is thought to carry; a candidate that passes it gets finer rates later.
        """
        limits, rules = self.rules.limits, self.rules
        if self.best is None or self.best_replicas is None:
            short = candidate == self.space.incumbent and rules.baseline_fails is True
            rates = ladder(rules.peak, limits.max, limits.min, rules.max_rates)
            return rates[:_SHORT_LADDER] if short else rates
        hoped = replicas_for(rules.peak, _HOPE * self.estimate(self.best))
        fewest = max(limits.min, min(hoped, self.best_replicas - 1))
        return ladder(rules.peak, self.best_replicas, fewest, rules.max_rates)

    def exhausted(self, why: str, *, complete: bool) -> Exhausted:
        """Return the end of the search, with the certificate when nothing carries the peak."""
        if self.best is not None:
            return Exhausted(why)
        rate = rate_for(self.rules.peak, self.rules.limits.max)
        closest = max(self.merged.values(), key=self.estimate, default=None)
        at_rate = [] if closest is None else [p for p in closest.levels if p.rate == rate]
        certificate = Certificate(
            best=None if closest is None else closest.candidate,
            rate=rate,
            best_p95_ms=at_rate[-1].p95_ms if at_rate else None,
            tried=tuple(dict.fromkeys(trial.candidate for trial in self.trials)),
            complete=complete,
        )
        return Exhausted(why, certificate)


def _first_look(known: _Known) -> Proposal | None:
    """Propose a middle batch on a variant that has no trial yet, or only today's at its edge."""
    for variant in known.near():
        axis = known.axis(variant)
        batches: tuple[int | None, ...] = axis or (
            (None,) if None in known.space.batch_sizes else ()
        )
        middle = len(batches) // 2
        inner = {candidate_at(variant, batch) for batch in batches[1:-1] or batches}
        if batches and not any(known.tried(candidate) for candidate in inner):
            candidate = candidate_at(variant, batches[middle])
            if not known.tried(candidate):
                why = f"a middle batch on {_noun(known)}"
                return Proposal(candidate, known.rates(candidate), why)
    return None


def _halving(known: _Known) -> Proposal | None:
    """Propose the middle of the larger open side of the best batch, variant by variant."""
    ranked = sorted(known.variants(), key=known.best_of, reverse=True)
    for variant in ranked:
        if known.best_of(variant) < _CLOSE * known.best_of(ranked[0]):
            break
        batch = _open_batch(known, variant)
        if batch is not None:
            candidate = candidate_at(variant, batch)
            why = f"between the best batch of {_noun(known)} and its neighbours"
            return Proposal(candidate, known.rates(candidate), why)
    return None


def _open_batch(known: _Known, variant: Variant) -> int | None:
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
    side = above if len(above) >= len(below) else below
    return axis[side[len(side) // 2]] if side else None


def _flat(known: _Known, scores: dict[int, float], left: int, best: int, right: int) -> bool:
    """Whether both neighbours carry about as much as the best, and a replica less needs more."""
    if left not in scores or right not in scores or known.best_replicas is None:
        return False
    lower = min(scores[left], scores[right])
    wanted = known.rules.peak / max(known.best_replicas - 1, 1)
    return lower >= scores[best] * (1 - _PLATEAU) and wanted > scores[best] * (1 + _PLATEAU)


def _cross_check(known: _Known) -> Proposal | None:
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


def _finer_rates(known: _Known) -> Proposal | None:
    """Propose rates between a pass and a failure that would save a replica, the likeliest first."""
    needed, rules = known.best_replicas, known.rules
    if needed is None or needed <= rules.limits.min:
        return None
    wanted = rate_for(rules.peak, needed - 1)
    sound = [one for one in known.merged.values() if known.sound(one.candidate)]
    for outcome in sorted(sound, key=known.estimate, reverse=True):
        if (
            known.estimate(outcome) * (1 + _PLATEAU) < wanted
            and lowest_unproven(outcome) < math.inf
        ):
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


def _noun(known: _Known) -> str:
    return "these settings" if known.space.settings else "this image"


def _best_text(known: _Known) -> str:
    if known.best is None or known.best_replicas is None:
        return "nothing carries the peak within the replica limits"
    count = known.best_replicas
    return f"the best needs {count} replica{'s' if count > 1 else ''}"
