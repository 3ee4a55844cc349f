"""The node that the end-to-end tests play on: up, with images, Prometheus and the operator.

Role: make it once per run of pytest, from this checkout, by the same steps as the demo. Must not
know: any test. Trade-off: what runs already is used and left running, so that a second run is
quick; a node that the tests had to start is taken down by them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo import install, place
from demo.console import Console
from demo.errors import RefusedError
from demo.image_set import RECIPES, provide_images, reference
from demo.kubectl import Kubectl, manifests
from demo.options import Options
from demo.place import Place
from demo.workload import CLIENT
from demo.workload import NAMESPACE as DEMO_NAMESPACE
from devcluster import lifecycle
from devcluster.settings import current, saved
from infertune.adapters.kube.connection import Connection, load_configuration

OPTIONS = Options("up", context=None, registry=None, loader=None, record=None)


@dataclass(frozen=True, slots=True)
class Node:
    """A node with an operator that runs; `connection` asks cheaply, `place` holds kubectl."""

    place: Place
    connection: Connection

    @property
    def images(self) -> dict[str, str]:
        """Image names as pods write them, by the tag in the manifests."""
        return {recipe.tag: reference(self.place, recipe.tag) for recipe in RECIPES}


@contextmanager
def prepared_node() -> Iterator[Node]:
    """Yield the node, ready for tests.

    Raises:
        RefusedError: This machine cannot have a node; the message says what is missing.
        DevclusterError: A step failed.
    """
    console = Console()
    place.check_machine(OPTIONS)
    _refuse_foreign()
    was_there = saved(current().state) is not None
    where = place.own_node(console)
    connection = Connection(load_configuration(str(where.settings.kubeconfig)))
    try:
        with _demo_at_rest(where.cluster):
            _install(where, console)
            yield Node(where, connection)
    finally:
        connection.close()
        if not was_there:
            lifecycle.down(where.settings)


def _refuse_foreign() -> None:
    named = os.environ.get("INFERTUNE_TEST_KUBECONFIG")
    own = current().kubeconfig
    if named and Path(named).resolve() != own.resolve():
        message = f"they load images into the node of devcluster ({own}), "
        message += f"but INFERTUNE_TEST_KUBECONFIG names {named}: unset it"
        raise RefusedError(message)


def _install(where: Place, console: Console) -> None:
    keys = provide_images(where, console)
    labels = {install.OWNED: "true"}
    metadata = {"name": install.OPERATOR_NAMESPACE, "labels": labels}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    where.cluster.apply(manifests([namespace]), manager="infertune-demo-claim")
    install.install_metrics(where)
    install.install_operator(where, keys, console)


@contextmanager
def _demo_at_rest(cluster: Kubectl) -> Iterator[None]:
    """Let the client of a demo on the same node rest: it takes the processor that is measured."""
    found = cluster.find("deployment", CLIENT, DEMO_NAMESPACE)
    replicas = int(found["spec"].get("replicas", 0)) if found else 0
    scale = ("scale", f"deployment/{CLIENT}", f"--namespace={DEMO_NAMESPACE}")
    if replicas:
        cluster.run(*scale, "--replicas=0")
    try:
        yield
    finally:
        if replicas and cluster.find("deployment", CLIENT, DEMO_NAMESPACE):
            cluster.run(*scale, f"--replicas={replicas}")
