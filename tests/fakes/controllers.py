"""What the control plane and the kubelet do between two looks of the operator.

Role: ``SimulatedNode.tick()`` moves Deployments, Jobs and pods one step: rollouts complete, trial
pods get an address and become ready, probe pods finish with what ``world`` says. Trade-off: one
node, no scheduler; what a test wants to go wrong it says in ``World``.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infertune.api.v1alpha1 import API_VERSION
from infertune.core.manifests.naming import LABEL_ROLE, LABEL_TRIAL
from infertune.core.snapshot import ProbeFailure
from infertune_probes.contract.load import Envelope
from tests.fakes import envelopes
from tests.fakes.cluster import FakeCluster
from tests.fakes.copies import copied
from tests.fakes.devices import Devices
from tests.fakes.raw_objects import SECONDS_BY_ROLE, argument, conditions, pending

NODE = "node-1"
Labels = Mapping[str, str]


@dataclass(slots=True)
class World:
    """How servers and probes behave.

    ``serve`` is the model server: P95 in ms of one replica, by its container and request rate.
    ``quality`` says how many golden answers an image gives right, of how many; None: not asked.
    ``server_fails`` gives the container state reason with which a trial server with this container
    ends, or None. ``pods_refused`` lets pod creation fail for Jobs, as a quota does.
    """

    serve: Callable[[Mapping[str, Any], float], float]
    quality: Callable[[str], tuple[int, int] | None] = lambda _: None
    server_fails: Callable[[Mapping[str, Any]], str | None] = lambda _: None
    load_result: Callable[[Envelope], Envelope | ProbeFailure] = lambda found: found
    gpu: Callable[[str, Any], Envelope] = envelopes.no_gpu
    versions: Callable[[str, Any], Envelope] = envelopes.no_driver
    devices: Devices = field(default_factory=Devices)
    pods_refused: str = ""
    unschedulable: bool = False
    live_without_room: bool = False
    rollout_stuck: bool = False
    startup_seconds: float = 2.0
    seconds_by_role: dict[str, float] = field(default_factory=SECONDS_BY_ROLE.copy)


class SimulatedNode:
    """Controllers and one node over a ``FakeCluster``."""

    def __init__(self, cluster: FakeCluster, world: World) -> None:
        self.cluster = cluster
        self.world = world
        self._started: dict[str, float] = {}
        self._addresses = 1

    def tick(self) -> None:
        """Move everything one step."""
        self.cluster.store.collect_garbage()
        for scaler in self.cluster.store.look_at_all("HorizontalPodAutoscaler"):
            self._scale(scaler)
        for deployment in self.cluster.store.look_at_all("Deployment"):
            self._roll(deployment)
        for job in self.cluster.store.look_at_all("Job"):
            self._run(job)
        self.cluster.store.collect_garbage()

    def _scale(self, scaler: dict[str, Any]) -> None:
        spec, metadata = scaler["spec"], scaler["metadata"]
        name = spec["scaleTargetRef"]["name"]
        target = self.cluster.store.look("Deployment", metadata["namespace"], name)
        if target is None:
            return
        replicas = int(target["spec"].get("replicas", 1))
        wanted = max(int(spec.get("minReplicas", 1)), min(replicas, int(spec["maxReplicas"])))
        if wanted != replicas:
            self.cluster.store.edit(
                "Deployment",
                metadata["namespace"],
                name,
                lambda raw: raw["spec"].update(replicas=wanted),
                "kube-controller-manager",
            )

    def _roll(self, deployment: dict[str, Any]) -> None:
        metadata = deployment["metadata"]
        namespace, wanted = metadata["namespace"], int(deployment["spec"].get("replicas", 1))
        hashed = template_hash(deployment["spec"]["template"])
        replica_set = self._replica_set(deployment, hashed)
        mine = self._pods_of(namespace, replica_set["metadata"]["uid"])
        if not self.world.rollout_stuck:
            for pod in mine[wanted:]:
                self.cluster.store.delete("Pod", namespace, pod["metadata"]["name"])
            labels = {
                **deployment["spec"]["template"]["metadata"].get("labels", {}),
                "pod-template-hash": hashed,
            }
            for _ in range(wanted - len(mine)):
                pod_spec = deployment["spec"]["template"]["spec"]
                self._make_pod(replica_set, labels, pod_spec)
        mine = [self._advance_live(pod) for pod in self._pods_of_set(replica_set)]
        ready = sum(1 for pod in mine if _ready(pod))
        if ready >= wanted:
            self._end_older(deployment, hashed)
        total = sum(len(self._pods_of_set(raw)) for raw in self._sets_of(deployment))
        self._set_status(
            "Deployment",
            deployment,
            {
                "observedGeneration": self._generation("Deployment", deployment),
                "replicas": total,
                "updatedReplicas": len(mine),
                "readyReplicas": ready if ready >= wanted else total - len(mine) + ready,
                "availableReplicas": ready if ready >= wanted else total - len(mine) + ready,
            },
        )

    def _replica_set(self, deployment: dict[str, Any], hashed: str) -> dict[str, Any]:
        metadata = deployment["metadata"]
        name, namespace = f"{metadata['name']}-{hashed}", metadata["namespace"]
        known = self.cluster.store.look("ReplicaSet", namespace, name)
        sets = self._sets_of(deployment)
        newest = max((_revision(raw) for raw in sets), default=0)
        if known is not None and _revision(known) == newest:
            return known
        number = {"deployment.kubernetes.io/revision": str(newest + 1)}
        template = deployment["spec"]["template"]
        labels = {**template["metadata"].get("labels", {}), "pod-template-hash": hashed}
        if known is None:
            known = self.cluster.store.add(
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "metadata": {
                        "name": name,
                        "namespace": namespace,
                        "labels": labels,
                        "annotations": number,
                        "ownerReferences": [_owner(deployment)],
                    },
                    "spec": {
                        "replicas": 0,
                        "selector": {"matchLabels": labels},
                        "template": {**template, "metadata": {"labels": labels}},
                    },
                },
                "kube-controller-manager",
            )
        else:
            self._annotate("ReplicaSet", known, number)
        self._annotate("Deployment", deployment, number)
        return self.cluster.store.read("ReplicaSet", namespace, name)

    def _end_older(self, deployment: dict[str, Any], hashed: str) -> None:
        for raw in self._sets_of(deployment):
            if raw["metadata"]["labels"]["pod-template-hash"] != hashed:
                for pod in self._pods_of_set(raw):
                    place = pod["metadata"]["namespace"], pod["metadata"]["name"]
                    self.cluster.store.delete("Pod", *place)

    def _run(self, job: dict[str, Any]) -> None:
        metadata = job["metadata"]
        if "deletionTimestamp" in metadata or conditions(job, "Complete", "Failed"):
            return
        pods = self._pods_of(metadata["namespace"], metadata["uid"])
        if not pods:
            self._begin(job)
            return
        pod = pods[0]
        if self.world.unschedulable:
            self._set_status("Pod", pod, pending("0/1 nodes are available: Insufficient cpu"))
            return
        if metadata["labels"][LABEL_ROLE] == "server":
            self._run_server(job, pod)
        else:
            self._run_probe(job, pod)

    def _begin(self, job: dict[str, Any]) -> None:
        metadata = job["metadata"]
        if not self.world.pods_refused:
            template = job["spec"]["template"]
            self._make_pod(job, template["metadata"]["labels"], template["spec"])
            return
        name = f"{metadata['name']}.1"
        if self.cluster.store.look("Event", metadata["namespace"], name) is None:
            self.cluster.store.add(
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": metadata["namespace"]},
                    "involvedObject": {"uid": metadata["uid"]},
                    "reason": "FailedCreate",
                    "message": self.world.pods_refused,
                }
            )

    def _run_server(self, job: dict[str, Any], pod: dict[str, Any]) -> None:
        if not self._let_in(job, pod):
            return
        reason = self.world.server_fails(pod["spec"]["containers"][0])
        if reason is None:
            self._advance_server(pod)
            return
        ended = {"terminated": {"reason": reason, "exitCode": 137}}
        status = {"name": pod["spec"]["containers"][0]["name"], "state": ended, "restartCount": 0}
        self._set_status("Pod", pod, {"phase": "Failed", "containerStatuses": [status]})
        self._end_job(job, "Failed", "BackoffLimitExceeded")

    def _let_in(self, job: dict[str, Any], pod: dict[str, Any]) -> bool:
        """Run the gate of a pod that has one; whether its server may start."""
        status = self.world.devices.look_at(pod, self.cluster)
        if status:
            self._set_status("Pod", pod, status)
        if "phase" in status:
            self._end_job(job, "Failed", "BackoffLimitExceeded")
        return "phase" not in status

    def _advance_live(self, pod: dict[str, Any]) -> dict[str, Any]:
        waits = pod.get("status", {}).get("phase") != "Running"
        if not (self.world.live_without_room and waits):
            return self._advance_server(pod)
        self._set_status("Pod", pod, pending("0/1 nodes are available: Insufficient cpu"))
        return self.cluster.store.read("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _advance_server(self, pod: dict[str, Any]) -> dict[str, Any]:
        age = self._age(pod)
        name = pod["spec"]["containers"][0]["name"]
        if age <= 0:
            return pod
        ready = age >= self.world.startup_seconds
        address = pod.get("status", {}).get("podIP") or self._next_address()
        self._set_status(
            "Pod",
            pod,
            {
                "phase": "Running",
                "podIP": address,
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                "containerStatuses": [
                    {
                        "name": name,
                        "state": {"running": {}},
                        "imageID": "sha256:fake",
                        "restartCount": 0,
                    }
                ],
            },
        )
        return self.cluster.store.read("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _run_probe(self, job: dict[str, Any], pod: dict[str, Any]) -> None:
        role = job["metadata"]["labels"][LABEL_ROLE]
        if self._age(pod) < self.world.seconds_by_role[role]:
            self._set_status("Pod", pod, {"phase": "Running", "podIP": self._next_address()})
            return
        found = self._result(job, role)
        self.cluster.results[pod["metadata"]["uid"]] = found
        good = isinstance(found, Envelope) and found.verdict != "fail"
        self._set_status("Pod", pod, {"phase": "Succeeded" if good else "Failed"})
        self._end_job(job, "Complete" if good else "Failed", "")

    def _result(self, job: dict[str, Any], role: str) -> Envelope | ProbeFailure:
        now = self.cluster.clock.now()
        if role == "gpu":
            return self.world.gpu(NODE, now)
        if role == "versions":
            return self.world.versions(NODE, now)
        if role == "system":
            return envelopes.envelope("system", NODE, now, [envelopes.finding("CPU_IDLE", "pass")])
        if role == "benchmark":
            return envelopes.matmul(NODE, now)
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        container = self._served_by(job)
        if container is None:
            return ProbeFailure("NoResult", "the server is gone")
        rates = [float(rate) for rate in argument(arguments, "--rates").split(",")]
        asked = "--golden" in arguments
        return self.world.load_result(
            envelopes.load(
                rates,
                lambda rate: self.world.serve(container, rate),
                float(argument(arguments, "--slo-ms")),
                float(argument(arguments, "--seconds-per-rate")),
                now,
                self.world.quality(container["image"]) if asked else None,
            )
        )

    def _served_by(self, job: dict[str, Any]) -> dict[str, Any] | None:
        trial = job["metadata"]["labels"].get(LABEL_TRIAL)
        for pod in self.cluster.store.look_at_all("Pod", job["metadata"]["namespace"]):
            labels = pod["metadata"].get("labels") or {}
            if labels.get(LABEL_TRIAL) == trial and labels.get(LABEL_ROLE) == "server":
                found: dict[str, Any] = pod["spec"]["containers"][0]
                return found
        return None

    def _make_pod(self, owner: dict[str, Any], labels: Labels, spec: Mapping[str, Any]) -> None:
        self._addresses += 1
        name = f"{owner['metadata']['name']}-{self._addresses:04d}"
        pod = self.cluster.store.add(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": owner["metadata"]["namespace"],
                    "labels": dict(labels),
                    "ownerReferences": [_owner(owner)],
                },
                "spec": {**copied(dict(spec)), "nodeName": NODE},
            },
            "kube-controller-manager",
        )
        self._started[pod["metadata"]["uid"]] = self.cluster.clock.now().timestamp()
        self._set_status("Pod", pod, {"phase": "Pending"})

    def _end_job(self, job: dict[str, Any], name: str, reason: str) -> None:
        done = {"type": name, "status": "True", "reason": reason, "message": reason}
        self._set_status("Job", job, {"conditions": [done]})

    def _set_status(self, kind: str, raw: dict[str, Any], status: dict[str, Any]) -> None:
        place = kind, raw["metadata"]["namespace"], raw["metadata"]["name"]
        live = self.cluster.store.look(*place)
        if live is None:
            return
        changed = {**live.get("status", {}), **status}
        if changed != live.get("status", {}):
            self.cluster.store.replace({**live, "status": changed}, status_only=True)

    def _annotate(self, kind: str, raw: dict[str, Any], annotations: Labels) -> None:
        def change(live: dict[str, Any]) -> None:
            live["metadata"].setdefault("annotations", {}).update(annotations)

        place = raw["metadata"]["namespace"], raw["metadata"]["name"]
        self.cluster.store.edit(kind, *place, change, "kube-controller-manager")

    def _generation(self, kind: str, raw: dict[str, Any]) -> int:
        place = raw["metadata"]["namespace"], raw["metadata"]["name"]
        return int(self.cluster.store.read(kind, *place)["metadata"]["generation"])

    def _sets_of(self, deployment: dict[str, Any]) -> list[dict[str, Any]]:
        uid, namespace = deployment["metadata"]["uid"], deployment["metadata"]["namespace"]
        return [
            r for r in self.cluster.store.look_at_all("ReplicaSet", namespace) if _owned(r, uid)
        ]

    def _pods_of_set(self, replica_set: dict[str, Any]) -> list[dict[str, Any]]:
        metadata = replica_set["metadata"]
        return self._pods_of(metadata["namespace"], metadata["uid"])

    def _pods_of(self, namespace: str, uid: str) -> list[dict[str, Any]]:
        return [pod for pod in self.cluster.store.look_at_all("Pod", namespace) if _owned(pod, uid)]

    def _age(self, pod: dict[str, Any]) -> float:
        began = self._started[pod["metadata"]["uid"]]
        return self.cluster.clock.now().timestamp() - began

    def _next_address(self) -> str:
        self._addresses += 1
        return f"10.244.{self._addresses // 250}.{self._addresses % 250 + 2}"


def template_hash(template: Mapping[str, Any]) -> str:
    """Return the hash that stands for a pod template."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _owner(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": raw.get("apiVersion", API_VERSION),
        "kind": raw["kind"],
        "name": raw["metadata"]["name"],
        "uid": raw["metadata"]["uid"],
        "controller": True,
    }


def _owned(raw: dict[str, Any], uid: str) -> bool:
    return any(owner["uid"] == uid for owner in raw["metadata"].get("ownerReferences") or ())


def _revision(raw: dict[str, Any]) -> int:
    return int(raw["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
