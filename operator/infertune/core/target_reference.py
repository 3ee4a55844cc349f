"""Which workload a tuning acts on now: that of its open rollout, else the one its spec names.

Role: the target of a rollout does not move when the spec is edited in the middle of it. Must not
know: what is done there. Trade-off: an intent of an older operator names no target; the spec could
not change its target then, so it is asked.
"""

from infertune.api.spec import TuningSpec
from infertune.api.status import RolloutIntent, TuningStatus
from infertune.core.rollout import ROLLOUT_OPEN


def target_of(spec: TuningSpec, intent: RolloutIntent) -> tuple[str, str]:
    """Return kind and name of the workload that an intent is about."""
    if intent.target_name:
        return intent.target_kind, intent.target_name
    return spec.target_ref.kind, spec.target_ref.name


def target_now(spec: TuningSpec, status: TuningStatus) -> tuple[str, str]:
    """Return kind and name of the workload that the tuning acts on now."""
    rollout = status.rollout
    if status.state in ROLLOUT_OPEN and rollout is not None and rollout.intent is not None:
        return target_of(spec, rollout.intent)
    return spec.target_ref.kind, spec.target_ref.name


def recorded_target(status: TuningStatus) -> tuple[str, str] | None:
    """Return kind and name of the workload of the recorded rollout, without asking the spec."""
    intent = status.rollout.intent if status.rollout is not None else None
    if intent is None:
        return None
    if intent.target_name:
        return intent.target_kind, intent.target_name
    seen = status.target
    same = seen.uid == intent.target_uid
    return (seen.kind, seen.name) if same and seen.kind and seen.name else None
