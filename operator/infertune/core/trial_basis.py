"""What trials measured, and which of them still answer a question that was changed.

Role: digests of the spec and of the server that was measured, and the trials that survive an edit.
Must not know: states. Trade-off: the pod template is compared as a whole, knobs and image apart, so
that an edit without any effect on speed voids trials too; a trial of another server would be worse.
"""

from collections.abc import Mapping
from typing import Any

from infertune.api.edits import values_of
from infertune.api.spec import TuningSpec
from infertune.api.status import Configuration, TrialRecord
from infertune.core.ladder import rate_for
from infertune.core.render import canonical_json, digest
from infertune.core.resolve import Resolved
from infertune.core.snapshot import TuningView
from infertune.core.space import Candidate, candidate_of
from infertune.core.turning import without_knobs

_LENGTH = 16
_PART_LENGTH = 12
_SEPARATOR = "-"
_PARTS = (
    "spec",
    "the serving container of the pod template",
    "the rest of the pod template",
    "a ConfigMap that a knob stands in",
    "the ConfigMap of payload or golden answers",
)
# Failures that say something about the candidate; all others are worth another try.
_SAYING = frozenset({"OutOfMemory", "Crashed", "QualityFailed"})
INTERRUPTED = "Interrupted"


def spec_digest(spec: TuningSpec) -> str:
    """Return the digest of all fields of a spec that start a tuning anew when they change."""
    return digest(canonical_json(values_of(spec, "Decision", "Candidates", "Trials")))[:_LENGTH]


def answers_this_spec(tuning: TuningView) -> bool:
    """Whether the status answers the spec as it stands, fields apart that are read at every look.

    A status without a digest, from an older operator, answers the generation that it names.
    """
    status = tuning.status
    if status.observed_generation == tuning.generation:
        return True
    if not isinstance(tuning.spec, TuningSpec) or status.observed_generation == 0:
        return False
    return status.spec_digest == spec_digest(tuning.spec)


def trial_basis(
    spec: TuningSpec, resolved: Resolved, config_maps: Mapping[str, Mapping[str, str]]
) -> str:
    """Return the digest of all that every trial of this tuning has in common."""
    return _SEPARATOR.join(
        digest(canonical_json(content))[:_PART_LENGTH]
        for content in _shared(spec, resolved, config_maps)
    )


def moved_parts(before: str, now: str) -> tuple[str, ...]:
    """Return in words what two digests of a basis differ in; none where nothing was recorded."""
    if not before or before == now:
        return ()
    old, new = before.split(_SEPARATOR), now.split(_SEPARATOR)
    if len(old) != len(_PARTS):
        return ("what the trials have in common",)
    return tuple(name for name, one, other in zip(_PARTS, old, new, strict=True) if one != other)


def _shared(
    spec: TuningSpec, resolved: Resolved, config_maps: Mapping[str, Mapping[str, str]]
) -> tuple[Any, ...]:
    """Return what all trials have in common, in the order of ``_PARTS``."""
    pod = without_knobs(resolved.stand, spec.knobs)
    name = resolved.container.get("name")
    serving = [one for one in pod.get("containers", ()) if one.get("name") == name]
    pod["containers"] = [one for one in pod.get("containers", ()) if one.get("name") != name]
    other_keys = pod.pop("knobs")
    bodies = [
        config_maps.get(reference.config_map, {}).get(reference.key)
        for reference in (spec.load.payload_ref,)
        if reference is not None
    ]
    if spec.quality is not None:
        bodies.append(config_maps.get(spec.quality.golden_config_map, {}).get(spec.quality.key))
    return values_of(spec, "Trials"), serving, pod, other_keys, bodies


def finished(trials: tuple[TrialRecord, ...]) -> tuple[TrialRecord, ...]:
    """Return the trials whose result says something about their candidate, whenever it is asked."""
    return tuple(
        trial
        for trial in trials
        if trial.phase == "Completed" or (trial.phase == "Failed" and trial.reason in _SAYING)
    )


def kept_trials(
    trials: tuple[TrialRecord, ...], spec: TuningSpec, incumbents: tuple[Configuration, ...]
) -> tuple[TrialRecord, ...]:
    """Return the finished trials that still answer this spec, measured on the same basis.

    Their candidate is named by the spec or was there before; and they either carry something, or
    have shown that they do not at a rate as low as any that the search would offer now.
    """
    demand, limits = spec.demand, spec.knobs.replicas
    lowest = rate_for(float(demand.peak_requests_per_second), limits.max)
    named = {(c.image, c.batch_size) for c in incumbents}
    images = {image for image, _ in named} | set(spec.knobs.images)
    batches = {batch for _, batch in named}
    if spec.knobs.batch_size is not None:
        batches |= set(spec.knobs.batch_size.values)
    of_candidate: dict[Candidate, list[TrialRecord]] = {}
    for trial in finished(trials):
        point = candidate_of(trial.candidate)
        if point.image in images and point.batch_size in batches:
            of_candidate.setdefault(point, []).append(trial)
    kept = [same for same in of_candidate.values() if _says_enough(same, lowest)]
    return tuple(trial for trial in trials if any(trial in same for same in kept))


def interrupted(trials: tuple[TrialRecord, ...], why: str) -> tuple[TrialRecord, ...]:
    """Return the trials with the running one ended, without a word about its candidate."""
    return tuple(
        trial.model_copy(update={"phase": "Invalid", "reason": INTERRUPTED, "message": why[:1024]})
        if trial.phase == "Running"
        else trial
        for trial in trials
    )


def _says_enough(trials: list[TrialRecord], lowest: float) -> bool:
    """Whether the trials of one candidate together answer for the lowest rate of interest."""
    if any(trial.phase == "Failed" or trial.knee_rate is not None for trial in trials):
        return True
    return any(level.offered_rate <= lowest for trial in trials for level in trial.levels)
