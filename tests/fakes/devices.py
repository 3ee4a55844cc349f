"""What gate and watch say in a simulated trial pod.

One device, `GPU-a`: well, its own and busy, unless a test says otherwise. The gate's summary is
text, as the kubelet has it; the envelope of the watch is read by the fake cluster as it is.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infertune_probes.contract.load import Envelope
from tests.fakes import envelopes
from tests.fakes.cluster import FakeCluster

UUID = "GPU-a"
WHO = f"device 0 ({UUID})"
Finding = dict[str, str]
_SECONDS = 280


@dataclass(slots=True)
class Devices:
    """The GPU of every trial: what gate and watch find, and how busy it is, in percent.

    ``watch`` None: the watch has no log; ``silent_gate``: the gate ended without a word.
    """

    gate: Sequence[Finding] = ()
    watch: Callable[[], Sequence[Finding] | None] = lambda: ()
    busy: float = 95.0
    silent_gate: bool = False

    def summary(self, now: datetime) -> str:
        """Return the gate's termination message."""
        if self.silent_gate:
            return ""
        given = envelopes.finding("TRIAL_DEVICE", "pass", UUID)
        found = [{k: f[k] for k in ("code", "verdict", "evidence")} for f in (*self.gate, given)]
        return json.dumps(
            {
                "schema": "infertune.io/probe-summary/v1",
                "probe": "gpu",
                "node": "node-1",
                "finishedAt": now.isoformat(),
                "verdict": "pass",
                "partial": False,
                "sha256": "0" * 64,
                "payloadBytes": 1,
                "findings": found,
                "findingsOmitted": 0,
            }
        )

    def status(self, now: datetime) -> dict[str, Any]:
        """Return the gate's container status, as the kubelet has it."""
        refused = any(finding["verdict"] == "fail" for finding in self.gate)
        message = self.summary(now)
        ended = {"exitCode": 1 if refused else 0, "reason": "Completed", "message": message}
        return {"name": "infertune-gate", "state": {"terminated": ended}, "restartCount": 0}

    def look_at(self, pod: dict[str, Any], cluster: FakeCluster) -> dict[str, Any]:
        """Let gate and watch look; the status of the pod, with a phase where it ends there."""
        if "initContainers" not in pod["spec"]:
            return {}
        now, uid = cluster.clock.now(), pod["metadata"]["uid"]
        gate = self.status(now)
        refused = gate["state"]["terminated"]["exitCode"] != 0
        cluster.watches.pop(uid, None)
        if (seen := self.seen(now, uid)) is not None:
            cluster.watches[uid] = seen
        return {"initContainerStatuses": [gate], **({"phase": "Failed"} if refused else {})}

    def seen(self, now: datetime, uid: str) -> Envelope | None:
        """Return the watch's newest envelope: five minutes that end now."""
        found = self.watch()
        if found is None:
            return None
        given = envelopes.finding("TRIAL_DEVICE", "pass", UUID)
        watched = envelopes.envelope("gpu", "node-1", now, [*found, given], _section(self.busy))
        began = now - timedelta(seconds=_SECONDS)
        return watched.model_copy(update={"started_at": began, "pod": uid})


def _section(busy: float) -> dict[str, Any]:
    course = [[float(at), busy] for at in range(_SECONDS + 1)]
    memory = [[float(at), 12e9] for at in range(_SECONDS + 1)]
    unknown = dict.fromkeys(
        (
            *("name", "pciBusId", "memoryTotalBytes", "memoryUsedBytes", "memoryFreeBytes"),
            *("utilisationPercent", "temperatureCelsius", "powerWatts", "powerLimitWatts"),
            *("eccUncorrected", "eventReasons", "processes"),
        )
    )
    window = {
        "index": 0,
        "samples": len(course),
        "fields": {},
        "reasonShares": {},
        "powerViolationPercent": None,
        "thermalViolationPercent": None,
        "grown": {},
        "courses": {"smPercent": course, "framebufferUsedBytes": memory},
    }
    return {
        "kind": "gpu",
        "driverVersion": "580.65.06",
        "cudaDriverVersion": "13.0",
        "sources": [],
        "devices": [{"index": 0, "uuid": UUID, **unknown}],
        "window": {
            "seconds": float(_SECONDS),
            "intervalSeconds": 1.0,
            "ticks": len(course),
            "failure": None,
            "devices": [window],
        },
    }
