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
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import (
    addons,
    api,
    components,
    config,
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
from devcluster.packages import ensure_packages
from devcluster.pki import ensure_pki
from devcluster.settings import Settings, saved

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def up(settings: Settings) -> Settings:
    """Have a node that is Ready; return the settings of the cluster that runs.

    A running cluster is left as it is, a half-dead one is repaired with the settings it
    was started with.
    """
    started = time.monotonic()
    refuse_unfit_machine()
    settings = saved(settings.state) or settings
    fresh = not (settings.state / "ledger.json").exists()
    if not fresh and is_up(settings):
        say(f"already up; KUBECONFIG={settings.kubeconfig}")
        return settings
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
    ledger.print_changes(settings)
    say(f"started {', '.join(names) or 'nothing'}")
    say(
        f"node Ready in {time.monotonic() - node_started:.1f} s "
        f"({time.monotonic() - started:.1f} s in all); KUBECONFIG={settings.kubeconfig}"
    )
    return settings


def is_up(settings: Settings) -> bool:
    """Whether every component runs, the node is Ready and the fences stand."""
    alive = components.running(settings)
    return (
        all(name in alive for name in components.NAMES)
        and network.bridge_exists(settings)
        and network.fences_stand(settings)
        and api.node_ready(settings)
    )


def _raise_network(settings: Settings) -> None:
    network.raise_fences(settings)
    network.ensure_bridge(settings)
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
    if alive and not ({"etcd", "containerd"} <= alive.keys()):
        others = [name for name in alive if name not in ("etcd", "containerd")]
        processes.stop(settings.state / "pids", others)


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
    images.import_archive(settings, archive)
    archive.unlink()


def down(settings: Settings) -> None:
    """End everything that was started and undo everything that was changed.

    Raises:
        DevclusterError: Something could not be undone; the rest was.
    """
    refuse_unfit_machine()
    known = saved(settings.state)
    if known is None:
        say(f"nothing to do: no cluster in {settings.state}")
        return
    with step("stopping the node"):
        _stop_processes(known)
        ledger.unmount_below([known.state, known.run_dir, known.cache])
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
    # The kubelet first: it would start again what is ended below.
    processes.stop(pids, ["kubelet", "kube-proxy"])
    processes.stop(pids, [n for n in components.NAMES if n not in ("containerd", "etcd")])
    processes.end(_container_processes(settings), grace_seconds=0.0)
    processes.stop(pids, ["containerd", "etcd"])
    processes.end(_container_processes(settings), grace_seconds=0.0)


def _container_processes(settings: Settings) -> list[processes.Identity]:
    """Return the shims of our containerd and everything below them."""
    socket = str(settings.containerd_socket)
    shims = [
        pid
        for pid in processes.all_pids()
        if (words := processes.command_line(pid))
        and Path(words[0]).name.startswith("containerd-shim")
        and socket in words
    ]
    return processes.with_descendants(shims)
