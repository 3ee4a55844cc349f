"""What the watch beside a trial's server said, read once it matters.

Role: the last look at a trial's devices for a snapshot. Must not know: what it means. Trade-off:
the log is read only when the load has ended and until the trial's record says so, since while the
server works nobody decides by it.
"""

from dataclasses import replace

from infertune.core.snapshot import Snapshot
from infertune.ports import Namespace


def with_device_watch(namespace: Namespace, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with the last look at the devices of a trial whose load has ended."""
    ended = {job.name for job in snapshot.jobs if job.role == "load" and job.result is not None}
    for job in snapshot.jobs:
        look, pod = job.devices, job.pod_name
        load = f"{job.name.removesuffix('-server')}-load"
        if look is None or pod is None or load not in ended:
            continue
        where = snapshot.tuning.key.namespace
        found = namespace.fetch_device_watch(where, pod, look.pod_uid)
        return replace(snapshot, device_watch=found)
    return snapshot
