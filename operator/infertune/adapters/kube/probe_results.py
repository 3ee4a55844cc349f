"""What a finished probe pod has to say.

Role: termination message and log to a checked envelope, once per pod. Must not know: what the
result means. Trade-off: parsed results are kept for the last pods only; an operator that restarts
reads the log again, while the Job is still there.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from infertune.core.snapshot import ProbeFailure
from infertune_probes.contract.load import (
    Envelope,
    PayloadAltered,
    PayloadError,
    PayloadInvalid,
    parse_log,
    parse_summary,
)

KEPT = 64


class ProbeResults:
    """Results by pod UID; each log is read once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Envelope | ProbeFailure] = OrderedDict()
        self._lock = Lock()

    def result_of(
        self, pod_uid: str, message: str, read_log: Callable[[], str]
    ) -> Envelope | ProbeFailure:
        """Return the result of a finished probe pod; a cluster error of ``read_log`` passes on."""
        with self._lock:
            known = self._kept.get(pod_uid)
        if known is not None:
            return known
        found = parse_result(pod_uid, message, read_log)
        with self._lock:
            self._kept[pod_uid] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def parse_result(
    pod_uid: str, message: str, read_log: Callable[[], str]
) -> Envelope | ProbeFailure:
    """Return the envelope that the termination message vouches for, or why it cannot be used.

    It must name the pod that it was read from: a true result of another trial is forged here.
    """
    if not message.strip():
        return ProbeFailure("NoResult", "the probe ended without a termination message")
    try:
        summary = parse_summary(message)
        found = parse_log(read_log(), summary.sha256)
    except PayloadAltered as error:
        return ProbeFailure("PayloadAltered", str(error))
    except PayloadInvalid as error:
        return ProbeFailure("PayloadInvalid", str(error))
    except PayloadError as error:
        return ProbeFailure("PayloadLost", str(error))
    if found.pod == pod_uid:
        return found
    named = "no pod" if found.pod is None else f"pod {found.pod}"
    words = f"the result names {named}, and was read from pod {pod_uid}"
    hint = ": is the probe image of the operator's version?" if found.pod is None else ""
    return ProbeFailure("PayloadForeign", words + hint)
