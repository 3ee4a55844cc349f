"""What our containers in a trial server's pod say of its devices.

Role: the gate's termination message to a summary, the watch's log to its newest envelope. Must not
know: what follows from it. Trade-off: the summary is enough of the gate, so that no log is read
while a server starts; the watch runs on, and its log is all there is.
"""

from collections.abc import Mapping
from typing import Any

from infertune.core.manifests.device_containers import GATE, OUR_CONTAINERS
from infertune.core.snapshot import DeviceLook, ProbeFailure, RawObject
from infertune_probes.contract.load import (
    Envelope,
    PayloadError,
    PayloadInvalid,
    Summary,
    parse_summary,
)
from infertune_probes.contract.newest import parse_newest

_HARMLESS_WAITS = frozenset({"ContainerCreating", "PodInitializing", ""})


def device_look(pod: RawObject) -> DeviceLook | None:
    """Return what is seen of the gate and the watch; None where the pod has neither."""
    containers = pod.get("spec", {}).get("initContainers") or ()
    if not any(container.get("name") in OUR_CONTAINERS for container in containers):
        return None
    statuses = pod.get("status", {}).get("initContainerStatuses") or ()
    ours = [status for status in statuses if status.get("name") in OUR_CONTAINERS]
    gate: RawObject = next((status for status in ours if status["name"] == GATE), {})
    blocked = next((words for status in ours if (words := _blocked(status))), "")
    return DeviceLook(str(pod["metadata"]["uid"]), _said(gate), blocked)


def newest_look(pod_uid: str, log: str) -> Envelope | ProbeFailure:
    """Return the newest envelope in the log of a watch; it must name the pod it was read from."""
    try:
        found = parse_newest(log)
    except PayloadInvalid as error:
        return ProbeFailure("PayloadInvalid", str(error))
    except PayloadError as error:
        return ProbeFailure("PayloadLost", str(error))
    if found.pod == pod_uid:
        return found
    return ProbeFailure("PayloadForeign", f"the look names pod {found.pod}, not {pod_uid}")


def _said(gate: Mapping[str, Any]) -> Summary | ProbeFailure | None:
    ended = (gate.get("state") or {}).get("terminated")
    if not ended:
        return None
    try:
        return parse_summary(str(ended.get("message") or ""))
    except PayloadInvalid as error:
        return ProbeFailure("PayloadInvalid", str(error))
    except PayloadError as error:
        return ProbeFailure("NoResult", str(error))


def _blocked(status: Mapping[str, Any]) -> str:
    """Return why this container does not let the server start, or nothing.

    A gate that ended badly without a summary has failed; one with a summary speaks for itself. A
    watch that ran once has let the server start, whatever becomes of it.
    """
    state = status.get("state") or {}
    name, waiting, ended = status["name"], state.get("waiting") or {}, state.get("terminated") or {}
    if name == GATE and int(ended.get("exitCode", 0)) != 0:
        return f"container {name!r}: {ended.get('reason')}, exit code {ended['exitCode']}"
    ran = ended or status.get("lastState") or status.get("restartCount")
    if ran or waiting.get("reason", "") in _HARMLESS_WAITS:
        return ""
    return f"container {name!r}: {waiting['reason']}: {waiting.get('message', '')}"
