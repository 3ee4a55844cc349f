"""A rollout that was never judged and whose tuning is gone: told, and left to be undone.

Role: from a mark on a workload to whether its record still stands open over its values. Must not
know: how anything is written. Trade-off: its finalizer was taken off by force, so nobody may undo
it unasked; the record stays, since it is the only way back, and giving it up would make values
that nobody verified look like the user's own.
"""

from infertune.core.last_good import LastGood, read_last_good
from infertune.core.plan import Event
from infertune.core.release import Mark
from infertune.core.tuned_target import standing
from infertune.ports import Namespace

WORKLOADS = frozenset({"Deployment", "StatefulSet"})


def abandoned(cluster: Namespace, mark: Mark) -> LastGood | None:
    """Return the record of an unjudged rollout whose values stand on the workload, or None.

    Raises:
        ClusterError: the workload cannot be read.
    """
    if mark.kind not in WORKLOADS:
        return None
    target = cluster.fetch_target(mark.namespace, mark.kind, mark.name)
    if target is None or target.raw["metadata"]["uid"] != mark.uid:
        return None
    record = read_last_good(target.raw)
    if record is None or record.state != "Open":
        return None
    return record if standing(record.intent, target.raw, None) == "after" else None


def told(mark: Mark) -> Event:
    """Return what is said of it, once."""
    words = (
        f"{mark.kind} {mark.name!r} runs values of InferenceTuning {mark.tuning!r}, which is gone "
        f"and was never verified: a new tuning of that name puts the values before back; "
        f"`infertune release {mark.namespace}/{mark.tuning}` keeps what stands"
    )
    return Event("Warning", "RolloutAbandoned", words)
