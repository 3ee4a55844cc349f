"""How far a rollout of the target is, read from the workload's own status.

Role: the same questions kubectl asks in ``rollout status``. Must not know: what is rolled out.
Trade-off: a workload whose controller has not seen the new template counts as not begun.
"""

from infertune.core.snapshot import RawObject


def rollout_complete(raw: RawObject) -> bool:
    """Return whether every replica runs the current template and is available."""
    status, spec = raw.get("status", {}), raw["spec"]
    wanted = int(spec.get("replicas", 1))
    if not _seen_by_controller(raw):
        return False
    if raw.get("kind") == "StatefulSet":
        same = status.get("currentRevision") == status.get("updateRevision")
        return same and int(status.get("readyReplicas", 0)) == wanted
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return all(int(status.get(name, 0)) == wanted for name in counts)


def rollout_stuck(raw: RawObject) -> str | None:
    """Return the controller's own sentence when it gave up on progress, else None.

    A sentence about a template that is not the current one any more says nothing.
    """
    if not _seen_by_controller(raw):
        return None
    for condition in raw.get("status", {}).get("conditions", ()):
        if condition.get("type") == "Progressing" and condition.get("status") == "False":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return None


def _seen_by_controller(raw: RawObject) -> bool:
    seen = int(raw.get("status", {}).get("observedGeneration", 0))
    return seen >= int(raw["metadata"].get("generation", 0))
