"""A probe as Jobs on nodes, from a shell: create, wait, read, take away.

Role: keep a bounded number of Jobs running until every node has answered or missed its time, and
tell how far it is. Must not know: what an answer means. Trade-off: two list calls a second by
kubectl for the whole fleet instead of a watch, which costs the API server little and needs nothing
on the user's machine.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infertune.adapters.kube.jobs import PROBE_CONTAINER, job_view, newest_pod
from infertune.adapters.kube.probe_results import parse_result
from infertune.cli.kubectl import Kubectl, KubectlError
from infertune.core.manifests.shell_probe import LABEL_RUN, Order, shell_probe_job
from infertune.core.snapshot import JobView, ProbeFailure
from infertune.report.probe_report import NodeAnswer

POLL_SECONDS = 1.0
# A pod that is there but never starts, and a Job that gets no pod at all.
START_SECONDS = 120.0
MOST_AT_ONCE = 20
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProbeNode:
    """A node that is to answer, and how many GPUs it offers."""

    name: str
    gpus: int


@dataclass(slots=True)
class Fleet:
    """One run of one probe over some nodes."""

    kubectl: Kubectl
    order: Order
    progress: Progress
    at_once: int = MOST_AT_ONCE
    start_seconds: float = START_SECONDS
    _started: dict[str, tuple[str, float]] = field(default_factory=dict)
    _answers: dict[str, NodeAnswer] = field(default_factory=dict)

    def run(self, nodes: Sequence[ProbeNode]) -> list[NodeAnswer]:
        """Return an answer for each node, in the order given; leaves no Job behind."""
        waiting = deque(enumerate(nodes))
        try:
            while waiting or self._started:
                while waiting and len(self._started) < self.at_once:
                    self._start(*waiting.popleft())
                time.sleep(POLL_SECONDS)
                self._look()
                self.progress(self._how_far(len(nodes)))
        finally:
            self._take_away()
        return [self._answers[node.name] for node in nodes]

    def _start(self, number: int, node: ProbeNode) -> None:
        job = shell_probe_job(self.order, node.name, number, node.gpus)
        try:
            self.kubectl.text("create", "--filename=-", stdin=json.dumps(job))
        except KubectlError as error:
            self._answers[node.name] = NodeAnswer(node.name, problem=str(error))
        else:
            self._started[node.name] = (job["metadata"]["name"], time.monotonic())

    def _look(self) -> None:
        jobs = {job["metadata"]["name"]: job for job in self._list("jobs")}
        pods = self._list("pods")
        for node, (name, since) in list(self._started.items()):
            job = jobs.get(name)
            if job is None:
                self._end(node, NodeAnswer(node, problem=f"Job {name} was deleted"))
                continue
            pod = newest_pod(job, pods)
            view = job_view(job, "gpu", pod, None, None)
            answer = self._answer(node, view, pod, time.monotonic() - since)
            if answer is not None:
                self._end(node, answer)

    def _answer(
        self, node: str, view: JobView, pod: Mapping[str, Any] | None, waited: float
    ) -> NodeAnswer | None:
        if view.finished and pod is not None:
            return self._read(node, view, pod)
        if view.finished:
            return NodeAnswer(node, problem=_reason(view) or "its Job ended without a pod")
        late = waited > self.start_seconds and view.pod_phase in {None, "Pending"}
        if late:
            why = _reason(view) or self._why_podless(view.name)
            return NodeAnswer(node, problem=f"not started within {self.start_seconds:g} s: {why}")
        return None

    def _read(self, node: str, view: JobView, pod: Mapping[str, Any]) -> NodeAnswer:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]

        def log() -> str:
            where = ("--namespace", self.order.namespace, "--container", PROBE_CONTAINER)
            return self.kubectl.text("logs", name, *where)

        try:
            found = parse_result(uid, _last_words(pod), log)
        except KubectlError as error:
            return NodeAnswer(node, problem=f"its log could not be read: {error}")
        if isinstance(found, ProbeFailure):
            told = "; ".join(filter(None, (f"{found.reason}: {found.message}", _reason(view))))
            return NodeAnswer(node, problem=told)
        return NodeAnswer(node, found)

    def _end(self, node: str, answer: NodeAnswer) -> None:
        self._answers[node] = answer
        name, _ = self._started.pop(node)
        self._delete(name)

    def _delete(self, *what: str) -> None:
        where = ("--namespace", self.order.namespace, "--wait=false", "--ignore-not-found")
        try:
            self.kubectl.text("delete", "job", *what, *where)
        except KubectlError as error:
            self.progress(f"a Job stays until its time to live ends: {error}")

    def _take_away(self) -> None:
        if self._started:
            self._delete(f"--selector={LABEL_RUN}={self.order.run}")

    def _list(self, kind: str) -> list[dict[str, Any]]:
        selector = f"--selector={LABEL_RUN}={self.order.run}"
        found = self.kubectl.read("get", kind, "--namespace", self.order.namespace, selector)
        items: list[dict[str, Any]] = found["items"]
        return items

    def _why_podless(self, job: str) -> str:
        chosen = f"--field-selector=involvedObject.name={job},type=Warning"
        try:
            found = self.kubectl.read("get", "events", "-n", self.order.namespace, chosen)
        except KubectlError as error:
            return str(error)
        messages = [str(event.get("message", "")) for event in found["items"]]
        return messages[-1] if messages else "nobody says why"

    def _how_far(self, nodes: int) -> str:
        running = ", ".join(sorted(self._started)[:3])
        more = ", ..." if len(self._started) > 3 else ""  # noqa: PLR2004  # three names fit a line
        left = f"; running: {running}{more}" if running else ""
        return f"{self.order.probe}: {len(self._answers)} of {nodes} nodes answered{left}"


def _reason(view: JobView) -> str:
    return ": ".join(filter(None, (view.failure_reason, view.failure_message)))


def _last_words(pod: Mapping[str, Any]) -> str:
    """Return the termination message of the probe's container."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status.get("name") == PROBE_CONTAINER:
            return str(status.get("state", {}).get("terminated", {}).get("message", ""))
    return ""
