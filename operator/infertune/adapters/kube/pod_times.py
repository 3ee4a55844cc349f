"""When a pod came how far, by what its status says anyway.

Role: read conditions and container states. Must not know: what a time is for. Trade-off: the
kubelet tells seconds, and the time of a pull only in Events; a condition that came and went shows
its last change only.
"""

from datetime import datetime

from infertune.core.snapshot import PodTimes, RawObject


def pod_times(pod: RawObject) -> PodTimes:
    """Return the times; a container that was restarted has none, since its first start is gone."""
    status = pod.get("status", {})
    since = {
        str(one.get("type")): datetime.fromisoformat(str(one["lastTransitionTime"]))
        for one in status.get("conditions") or ()
        if one.get("status") == "True" and one.get("lastTransitionTime")
    }
    started: dict[str, datetime] = {}
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        at = (state.get("running") or state.get("terminated") or {}).get("startedAt")
        if at and not container.get("restartCount"):
            started[str(container["name"])] = datetime.fromisoformat(str(at))
    return PodTimes(since.get("PodScheduled"), since.get("Ready"), started)
