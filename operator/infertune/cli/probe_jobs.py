"""The Jobs of one run of ``infertune probe``: make them, list them, take them away.

Role: every word that the command says to the cluster about its own Jobs, found again by the label
of the run. Must not know: what a Job's pod answers. Trade-off: what cannot be deleted is told and
left to its own time to live, because a shell that waits for it would hang with it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infertune.cli.kubectl import Kubectl, KubectlError
from infertune.core.manifests.shell_probe import LABEL_RUN, Order, shell_probe_job
from infertune.core.snapshot import JobView

# A pod that is there but never starts, and a Job that gets no pod at all.
START_SECONDS = 120.0
MOST_AT_ONCE = 20
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProbeNode:
    """A node that is to answer, and how many GPUs it offers."""

    name: str
    gpus: int


@dataclass(frozen=True, slots=True)
class RunJobs:
    """The Jobs of one order, on any number of nodes."""

    kubectl: Kubectl
    order: Order
    tell: Progress

    def create(self, number: int, node: ProbeNode) -> str:
        """Make the Job for one node and return its name.

        Raises:
            KubectlError: the cluster refused it; the message says why.
        """
        job = shell_probe_job(self.order, node.name, number, node.gpus)
        self.kubectl.text("create", "--filename=-", stdin=json.dumps(job))
        return str(job["metadata"]["name"])

    def found(self, kind: str) -> list[dict[str, Any]]:
        """Return the run's ``jobs`` or ``pods``."""
        selector = f"--selector={LABEL_RUN}={self.order.run}"
        found = self.kubectl.read("get", kind, "--namespace", self.order.namespace, selector)
        items: list[dict[str, Any]] = found["items"]
        return items

    def delete(self, *what: str) -> None:
        """Delete one Job by name, without waiting for its end."""
        where = ("--namespace", self.order.namespace, "--wait=false", "--ignore-not-found")
        try:
            self.kubectl.text("delete", "job", *what, *where)
        except KubectlError as error:
            self.tell(f"a Job stays until its time to live ends: {error}")

    def delete_all(self) -> None:
        """Delete whatever belongs to the run."""
        self.delete(f"--selector={LABEL_RUN}={self.order.run}")

    def why_podless(self, job: str) -> str:
        """Return what the cluster says of a Job that gets no pod."""
        chosen = f"--field-selector=involvedObject.name={job},type=Warning"
        try:
            found = self.kubectl.read("get", "events", "-n", self.order.namespace, chosen)
        except KubectlError as error:
            return str(error)
        messages = [str(event.get("message", "")) for event in found["items"]]
        return messages[-1] if messages else "nobody says why"


def reason_of(view: JobView) -> str:
    """Return why the Job or its pod failed or waits, in one line; empty: nobody says."""
    return ": ".join(filter(None, (view.failure_reason, view.failure_message)))
