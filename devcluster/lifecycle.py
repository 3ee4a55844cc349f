"""`up` and `down`: the order in which things come and go.

The order is the safety: refusals before any change, the ledger before the first
change, the fences before any process, and on the way down everything else before the
fences. `up` is also the repair: it starts what is missing and leaves what runs.
"""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import (
    addons,
    api,
    components,
    config,
    exclusion,
    images,
    iptables,
    ledger,
    network,
    oci,
    processes,
)
from devcluster.binaries import architecture, ensure_binaries
from devcluster.console import run, say, step
from devcluster.errors import DevclusterError, RefusedError
from devcluster.node import nodes as nodes_of
from devcluster.packages import ensure_packages
from devcluster.pki import ensure_pki
from devcluster.settings import Settings, refuse_narrow, saved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devcluster.node import Node

BRIDGE_FILTER = "net.bridge.bridge-nf-call-iptables"
NEEDED = ("ip", "openssl", "umount")


def refuse_unfit_machine() -> None:
    """Stop, with one line that says what to do, where a node cannot run.

    Raises:
        RefusedError: Not Linux, not root, or a program is missing.
    """
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise RefusedError(
            "a node needs root on Linux; run it with sudo, or use CONTEXT=name with a cluster"
        )
    for name in NEEDED:
        if not shutil.which(name):
            package = {"ip": "iproute2", "umount": "mount"}.get(name, name)
            msg = f"the program {name} is missing; apt-get install {package}"
            raise RefusedError(msg)


def prepare(settings: Settings) -> dict[str, Path]:
    """Fill the cache with programs and packages, side by side; return the programs."""
    refuse_unfit_machine()
    with ThreadPoolExecutor(max_workers=1) as beside:
        unpacking = beside.submit(ensure_packages, settings)
        programs = ensure_binaries(settings)
        unpacking.result()
    return programs


def up(settings: Settings, nodes: int | None = None) -> Settings:
    """Have nodes that are Ready; return the settings of the cluster that runs.

    A running cluster is left as it is, a half-dead one is repaired with the settings it
    was started with. Another number of nodes adds or removes the further ones.

    Args:
        settings: What a new cluster is started with.
        nodes: How many nodes it shall have; as many as it has by default.

    Raises:
        RefusedError: This machine cannot have them, or another command changes it just now.
        DevclusterError: Something did not start.
    """
    refuse_unfit_machine()
    with exclusion.alone():
        known = saved(settings.state) or settings
        wanted = replace(known, nodes=nodes or known.nodes)
        refuse_narrow(wanted)
        fresh = not (wanted.state / "ledger.json").exists()
        if not fresh and wanted.nodes < known.nodes:
            _remove_further_nodes(known, wanted.nodes)
            wanted.save()
        if not fresh and is_up(wanted):
            say(f"already up; KUBECONFIG={wanted.kubeconfig}")
            return wanted
        return _raise(wanted, fresh=fresh)


def _raise(settings: Settings, *, fresh: bool) -> Settings:
    started = time.monotonic()
    network.refuse_overlap(settings)
    programs = prepare(settings)
    node_started = time.monotonic()
    if fresh:
        iptables.refuse_foreign_chains(settings)
    rules = {family: iptables.saved_rules(settings, family) for family in iptables.FAMILIES}
    ledger.open_ledger(settings, rules)
    settings.save()
    _raise_network(settings)
    _stop_broken(settings)
    ensure_pki(settings)
    config.write_all(settings)
    table = components.table(settings, programs)
    names = _start(settings, table, programs)
    images.share_images(settings)
    ledger.print_changes(settings)
    say(f"started {', '.join(names) or 'nothing'}")
    ready = f"{_spoken(nodes_of(settings))} Ready in {time.monotonic() - node_started:.1f} s"
    say(f"{ready} ({time.monotonic() - started:.1f} s in all); KUBECONFIG={settings.kubeconfig}")
    return settings


def _spoken(members: Sequence[Node]) -> str:
    return " and ".join(one.name for one in members)


def is_up(settings: Settings) -> bool:
    """Whether every component runs, the node is Ready and the fences stand."""
    alive = components.running(settings)
    members = nodes_of(settings)
    return (
        all(name in alive for name in components.names(settings))
        and network.bridge_exists(settings)
        and all(network.namespace_exists(node) for node in members)
        and network.fences_stand(settings)
        and all(api.node_ready(settings, node.name) for node in members)
    )


def _raise_network(settings: Settings) -> None:
    network.raise_fences(settings)
    network.ensure_bridge(settings)
    for node in nodes_of(settings):
        network.ensure_namespace(node, settings.gateway)
    network.check_fences(settings)
    say(f"added bridge {settings.bridge} {settings.gateway}, routes and a rule (undone by down)")
    ledger.write_sysctl("net.ipv4.ip_forward", "1")
    if ledger.read_sysctl(BRIDGE_FILTER) is None and shutil.which("modprobe"):
        run(["modprobe", "br_netfilter"])
    # Without it the answer of a pod on the same bridge would not be rewritten back.
    ledger.write_sysctl(BRIDGE_FILTER, "1")


def _stop_broken(settings: Settings) -> None:
    """Stop what depends on a store or a runtime that died: it would hold on to stale state."""
    alive = components.running(settings)
    pids = settings.state / "pids"
    base = {"etcd", *components.names_of(nodes_of(settings), ["containerd"])}
    if alive and "etcd" not in alive:
        processes.stop(pids, [name for name in alive if name not in base])
    for node in nodes_of(settings):
        if node.called("containerd") not in alive:
            processes.stop(pids, components.names_of([node], components.OF_A_NODE))


def _start(
    settings: Settings,
    table: tuple[components.Component, ...],
    programs: Mapping[str, Path],
) -> list[str]:
    base = [one for one in table if one.wave == 0]
    names = components.start_missing(settings, base)
    _load_pause(settings, programs["pause"])
    names += components.start_missing(
        settings, [one for one in table if 0 < one.wave < components.ADDON_WAVE]
    )
    addons.apply(settings, programs["kubectl"], addons.render(settings, "addons.yaml"))
    return names + components.start_missing(
        settings, [one for one in table if one.wave == components.ADDON_WAVE]
    )


def _load_pause(settings: Settings, program: Path) -> None:
    archive = settings.state / "pause.tar"
    oci.write_single_program_image(program, config.PAUSE_IMAGE, architecture(), archive)
    for node in nodes_of(settings):
        images.import_archive(settings, node, archive)
    archive.unlink()


def down(settings: Settings) -> None:
    """End everything that was started and undo everything that was changed.

    Raises:
        RefusedError: Another command changes this machine just now.
        DevclusterError: Something could not be undone; the rest was.
    """
    refuse_unfit_machine()
    with exclusion.alone():
        known = saved(settings.state)
        if known is None:
            say(f"nothing to do: no cluster in {settings.state}")
            return
        _lower(known)


def _lower(known: Settings) -> None:
    with step(f"stopping {_spoken(nodes_of(known))}"):
        _stop_processes(known)
        ledger.unmount_below([known.state, known.run_dir, known.cache])
        for node in nodes_of(known):
            network.remove_namespace(node)
        iptables.remove_chains(known)
        iptables.remove_empty_tables(known, ledger.rules_before(known))
        network.remove_bridge(known)
        problems = ledger.close_ledger(known)
        network.lower_fences(known)
        shutil.rmtree(known.run_dir, ignore_errors=True)
    if problems:
        raise DevclusterError("not everything could be undone:\n  " + "\n  ".join(problems))
    shutil.rmtree(known.state)
    say("down: processes, mounts, bridge, routes, chains, kernel settings and state are gone")


def _stop_processes(settings: Settings) -> None:
    pids = settings.state / "pids"
    members = nodes_of(settings)
    # The kubelets first: they would start again what is ended below.
    processes.stop(pids, components.names_of(members, ["kubelet", "kube-proxy"]))
    processes.stop(pids, [name for name in components.OF_THE_CLUSTER if name != "etcd"])
    _end_containers(settings, members)
    processes.stop(pids, ["etcd"])


def _end_containers(settings: Settings, members: Sequence[Node]) -> None:
    """End every container of these nodes, then their runtimes, and what those left."""
    processes.end(_container_processes(members), grace_seconds=0.0)
    processes.stop(settings.state / "pids", components.names_of(members, ["containerd"]))
    processes.end(_container_processes(members), grace_seconds=0.0)


def _container_processes(members: Sequence[Node]) -> list[processes.Identity]:
    """Return the shims of these nodes' runtimes and everything below them."""
    sockets = {str(node.socket) for node in members}
    shims = [
        pid
        for pid in processes.all_pids()
        if (words := processes.command_line(pid))
        and Path(words[0]).name.startswith("containerd-shim")
        and sockets & set(words)
    ]
    return processes.with_descendants(shims)


def _remove_further_nodes(settings: Settings, kept: int) -> None:
    """Take the nodes after the first ones out of a cluster, with everything on them."""
    removed = nodes_of(settings)[kept:]
    with step(f"removing {_spoken(removed)}"):
        processes.stop(
            settings.state / "pids", components.names_of(removed, ["kubelet", "kube-proxy"])
        )
        _end_containers(settings, removed)
        for node in removed:
            ledger.unmount_below([node.state, node.run_dir])
            ledger.unlink_logs_below(node.state)
            network.remove_namespace(node)
            shutil.rmtree(node.run_dir, ignore_errors=True)
            shutil.rmtree(node.state)
        if api.get_raw(settings, "/readyz") is not None:
            _forget(settings, removed)


def _forget(settings: Settings, removed: Sequence[Node]) -> None:
    """Delete what the API server still holds of nodes that are gone."""
    kubectl = ensure_binaries(settings)["kubectl"]
    for node in removed:
        addons.kubectl(settings, kubectl, "delete", "node", node.name, "--ignore-not-found")
        # Nobody is left to say that these have ended; the collector would wait for 40 seconds.
        where = f"--field-selector=spec.nodeName={node.name}"
        words = ("delete", "pods", "--all-namespaces", where, "--force", "--grace-period=0")
        addons.kubectl(settings, kubectl, *words)
