"""What the trials of a search say together.

Role: from ended trials to estimates, what may still be tried, rates of a first trial, and the end
with its certificate. Must not know: which candidate comes next (``search``), Jobs, time. Trade-off:
everything is computed anew from the trials at each question; there are at most some dozens.
"""

import math
from dataclasses import dataclass, field

from infertune.api.knobs import ReplicaLimits
from infertune.core.capacity import replicas_for
from infertune.core.hints import NO_HINTS, Hints, Reach
from infertune.core.ladder import ladder, rate_for
from infertune.core.outcomes import FailureName, TrialOutcome, estimated_knee
from infertune.core.space import Candidate, SearchSpace, Variant

_TOO_LARGE: frozenset[FailureName] = frozenset({"OutOfMemory", "Crashed", "NotReady"})
NO_ROOM: frozenset[FailureName] = frozenset({"NoCapacity", "Refused"})
TRIES = 2
PLATEAU = 0.1
_SHORT_LADDER = 2
_HOPE = 2.0


@dataclass(frozen=True, slots=True)
class SearchRules:
    """What the search has to respect.

    ``baseline_fails``: live traffic of today breaks the promise (None: not known), which makes the
    first ladder short. ``slo_ms`` lets latencies give the search a direction; without it only
    verdicts do. ``hints`` are what probes saw: they change the order alone.
    """

    peak: float
    limits: ReplicaLimits
    max_rates: int
    max_trials: int
    baseline_fails: bool | None = None
    slo_ms: float | None = None
    hints: Hints = NO_HINTS


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


@dataclass(frozen=True, slots=True)
class Known:
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
            void = trial.failure == "Invalid" or trial.failure in NO_ROOM
            if void and len(same) < TRIES:
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

    def reach(self) -> Reach:
        """Return what probes say of the order; nothing before some candidate carries the peak.

        So a wrong word of a probe never turns an answer into none.
        """
        return "Any" if self.best is None else self.rules.hints.reach

    def looked_at_first(self, axis: tuple[int, ...]) -> tuple[int, ...]:
        """Return the part of an axis where probes would look first; empty: they do not say."""
        today = self.space.incumbent.batch_size
        if today is None or self.reach() != "Larger":
            return ()
        return tuple(batch for batch in axis if batch > today)

    def saturated(self, variant: Variant) -> bool:
        """Whether a probe saw nothing left to gain by growing; it looked at today's variant."""
        return self.reach() == "Saturated" and variant == self.space.incumbent.variant

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

    def best_text(self) -> str:
        """Return the best so far as words."""
        if self.best is None or self.best_replicas is None:
            return "nothing carries the peak within the replica limits"
        count = self.best_replicas
        return f"the best needs {count} replica{'s' if count > 1 else ''}"
