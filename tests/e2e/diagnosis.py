"""What a human needs when an end-to-end test fails.

Role: the tuning, the operator's last words, pods and events, as text. Must not know: the test.
Trade-off: everything is asked again after the failure, so it may show a moment later than the
failure itself; what was seen on the way stands first.
"""

import json

from demo.install import OPERATOR_NAMESPACE, RELEASE
from devcluster.errors import CommandError
from infertune.ports import ClusterError
from tests.e2e.stage import Stage

LOG_LINES = 60


def diagnosis(stage: Stage) -> str:
    """Return the report on a stage whose test failed."""
    parts = {
        "states seen": " -> ".join(stage.seen.states) or "none",
        "Jobs seen": ", ".join(sorted(stage.seen.jobs)) or "none",
        "status of the tuning": _status(stage),
        "objects": stage.kubectl_lines("get", "deployment,replicaset,hpa,pods,jobs", "-o", "wide"),
        "events": stage.kubectl_lines("get", "events", "--sort-by=.lastTimestamp"),
        f"last {LOG_LINES} lines of the operator": _operator_log(stage),
    }
    return "\n".join(f"--- {title}\n{text}" for title, text in parts.items())


def _status(stage: Stage) -> str:
    try:
        found = stage.find_tuning()
    except ClusterError as error:
        return str(error)
    return json.dumps(found.get("status", {}), indent=1) if found else "the tuning does not exist"


def _operator_log(stage: Stage) -> str:
    scope = f"--namespace={OPERATOR_NAMESPACE}"
    try:
        return stage.cluster.run("logs", f"deployment/{RELEASE}", scope, f"--tail={LOG_LINES}")
    except CommandError as error:
        return str(error)
