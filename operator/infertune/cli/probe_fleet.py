"""A probe as Jobs on nodes, from a shell: create, wait, read, take away.

Role: keep a bounded number of Jobs running until every node has answered or missed its time, and
tell how far it is. Must not know: what an answer means. Trade-off: two list calls a second by
kubectl for the whole fleet instead of a watch, which costs the API server little and needs nothing
on the user's machine.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infertune.adapters.kube.jobs import PROBE_CONTAINER, job_view, newest_pod
from infertune.adapters.kube.probe_results import parse_result
from infertune.cli.kubectl import Kubectl, KubectlError
from infertune.cli.probe_jobs import (
    MOST_AT_ONCE,
    START_SECONDS,
    ProbeNode,
    Progress,
    RunJobs,
    reason_of,
)
from infertune.core.manifests.shell_probe import Order
from infertune.core.snapshot import JobView, ProbeFailure
from infertune.report.probe_report import NodeAnswer

POLL_SECONDS = 1.0


@dataclass(slots=True)
class Fleet:
    """One run of one probe over some nodes."""

    kubectl: Kubectl
    order: Order
    progress: Progress
    at_once: int = MOST_AT_ONCE
    start_seconds: float = START_SECONDS
    _creating: bool = False
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

    @property
    def _jobs(self) -> RunJobs:
        return RunJobs(self.kubectl, self.order, self.progress)

    def _start(self, number: int, node: ProbeNode) -> None:
        self._creating = True
        try:
            name = self._jobs.create(number, node)
        except KubectlError as error:
            self._answers[node.name] = self._silent(node.name, str(error))
        else:
            self._started[node.name] = (name, time.monotonic())
        self._creating = False

    def _look(self) -> None:
        jobs = {job["metadata"]["name"]: job for job in self._jobs.found("jobs")}
        pods = self._jobs.found("pods")
        for node, (name, since) in list(self._started.items()):
            job = jobs.get(name)
            if job is None:
                self._end(node, self._silent(node, f"Job {name} was deleted"))
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
            return self._silent(node, reason_of(view) or "its Job ended without a pod")
        late = waited > self.start_seconds and view.pod_phase in {None, "Pending"}
        if late:
            why = reason_of(view) or self._jobs.why_podless(view.name)
            return self._silent(node, f"not started within {self.start_seconds:g} s: {why}")
        return None

    def _read(self, node: str, view: JobView, pod: Mapping[str, Any]) -> NodeAnswer:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]

        def log() -> str:
            where = ("--namespace", self.order.namespace, "--container", PROBE_CONTAINER)
            return self.kubectl.text("logs", name, *where)

        try:
            found = parse_result(uid, _last_words(pod), log)
        except KubectlError as error:
            return self._silent(node, f"its log could not be read: {error}")
        if isinstance(found, ProbeFailure):
            told = "; ".join(filter(None, (f"{found.reason}: {found.message}", reason_of(view))))
            return self._silent(node, told)
        return NodeAnswer(node, found, probe=self.order.probe)

    def _silent(self, node: str, problem: str) -> NodeAnswer:
        return NodeAnswer(node, problem=problem, probe=self.order.probe)

    def _end(self, node: str, answer: NodeAnswer) -> None:
        self._answers[node] = answer
        name, _ = self._started.pop(node)
        self._jobs.delete(name)

    def _take_away(self) -> None:
        # Whoever is stopped while a Job is being made does not know its name yet.
        if self._started or self._creating:
            self._jobs.delete_all()

    def _how_far(self, nodes: int) -> str:
        running = ", ".join(sorted(self._started)[:3])
        more = ", ..." if len(self._started) > 3 else ""  # noqa: PLR2004  # three names fit a line
        left = f"; running: {running}{more}" if running else ""
        return f"{self.order.probe}: {len(self._answers)} of {nodes} nodes answered{left}"


def _last_words(pod: Mapping[str, Any]) -> str:
    """Return the termination message of the probe's container."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status.get("name") == PROBE_CONTAINER:
            return str(status.get("state", {}).get("terminated", {}).get("message", ""))
    return ""
