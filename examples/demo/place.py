"""Where the demo runs: the node of this machine, or an existing cluster.

Role: turn the options into a cluster that answers, and say in one line what is missing. It must not
know what is installed there. Its trade-off: images are built by the same tools in both places, so
even with an existing cluster this machine needs root on Linux; a build in the cluster would not.
"""

import shutil
from dataclasses import dataclass

from demo.console import Console
from demo.errors import DemoError, RefusedError
from demo.kubectl import Kubectl
from demo.options import Options
from devcluster import lifecycle
from devcluster.binaries import ensure_binaries
from devcluster.errors import CommandError, DevclusterError
from devcluster.errors import RefusedError as DevclusterRefused
from devcluster.settings import Settings, current, from_environment, saved


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster that answers, and how images get there."""

    settings: Settings
    cluster: Kubectl
    context: str | None
    loader: str | None
    registry: str | None
    export_line: str

    @property
    def foreign(self) -> bool:
        """Whether the cluster was there before the demo."""
        return self.context is not None


def check_machine(options: Options) -> None:
    """Stop with one line where the demo cannot run.

    Raises:
        RefusedError: Something is missing; the line says what to do.
    """
    try:
        lifecycle.refuse_unfit_machine()
    except DevclusterRefused as error:
        raise RefusedError(_for_images(str(error)) if options.foreign else str(error)) from error


def own_node(console: Console) -> Place:
    """Have the node of this machine up and return it."""
    console.say("node: starting, or using the one that runs (a first time builds it: about 25 min)")
    try:
        settings = lifecycle.up(from_environment())
    except DevclusterRefused as error:
        raise RefusedError(str(error)) from error
    cluster = _kubectl(settings, (f"--kubeconfig={settings.kubeconfig}",))
    return Place(
        settings=settings,
        cluster=cluster,
        context=None,
        loader=None,
        registry=None,
        export_line=f"export KUBECONFIG={settings.kubeconfig}",
    )


def existing_cluster(options: Options) -> Place:
    """Return the cluster that a context of the user's kubeconfig names.

    Raises:
        RefusedError: The context does not exist or the cluster does not answer.
    """
    settings = current()
    context = options.context or ""
    cluster = _kubectl(settings, (f"--context={context}",), ("--kube-context", context))
    try:
        cluster.run("get", "--raw", "/readyz", timeout_seconds=20)
    except CommandError as error:
        said = str(error).splitlines()[-1].rpartition("error: ")[2]
        message = f"CONTEXT={context}: the cluster does not answer: {said}"
        raise RefusedError(message) from error
    return Place(
        settings=settings,
        cluster=cluster,
        context=context,
        loader=options.loader,
        registry=options.registry,
        export_line=f"kubectl config use-context {context}",
    )


def stop_own_node(console: Console) -> None:
    """Remove the node of this machine with everything on it."""
    wanted = from_environment()
    if saved(wanted.state) is None:
        console.say("nothing to do: no node of the demo runs on this machine")
        return
    try:
        lifecycle.down(wanted)
    except DevclusterRefused as error:
        raise RefusedError(str(error)) from error
    except DevclusterError as error:
        raise DemoError(str(error)) from error


def _kubectl(
    settings: Settings, options: tuple[str, ...], helm_options: tuple[str, ...] = ()
) -> Kubectl:
    programs = ensure_binaries(settings)
    kubectl = str(programs["kubectl"]) if "kubectl" in programs else _on_path("kubectl")
    helm = str(programs["helm"]) if "helm" in programs else _on_path("helm")
    return Kubectl((kubectl, *options), (helm, *(helm_options or options)))


def _on_path(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"the program {name} is missing on this machine: install it"
        raise RefusedError(message)
    return found


def _for_images(reason: str) -> str:
    return f"images are built on this machine, and {reason}"
