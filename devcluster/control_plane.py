"""A control plane of one's own, without a node: the store, the API server, the controllers.

For tests that ask a real API server and need no running pod, and for `kubectl` at one's
desk. It listens on loopback only, on ports that nobody uses, needs no root, changes
nothing outside its folder and ends with the process that started it. Trade-off: there
is no scheduler and no kubelet, so a pod stays Pending for ever.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
from ipaddress import IPv4Address
from itertools import count, islice
from typing import TYPE_CHECKING

from devcluster import addons, components, config, processes
from devcluster.binaries import ensure_binaries
from devcluster.errors import RefusedError
from devcluster.pki import ensure_pki
from devcluster.settings import Listen, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
LOOPBACK = IPv4Address("127.0.0.1")
# Below the ports that the kernel gives to outgoing connections (from 32768 on), and apart by the
# process: two control planes that start at the same moment do not reach for the same ones.
FIRST_PORT, PORTS, PORTS_APART = 20000, 12000, 8


def free_ports(start: int, amount: int) -> list[int]:
    """Return ports of loopback that nobody listens on, the first ones from `start` on."""
    return list(islice(filter(_is_free, count(start)), amount))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((str(LOOPBACK), port))
        except OSError:
            return False
    return True


def placed(settings: Settings, folder: Path) -> Settings:
    """Return settings for a control plane in a folder, on loopback, on free ports."""
    start = FIRST_PORT + os.getpid() * PORTS_APART % PORTS
    listen = Listen(LOOPBACK, *free_ports(start, 4))
    return dataclasses.replace(settings, state=folder, listen=listen)


@contextlib.contextmanager
def control_plane(
    settings: Settings, folder: Path, crds: Sequence[Path] = (), server_flags: Sequence[str] = ()
) -> Iterator[Settings]:
    """Yield the settings of a control plane that answers; end it afterwards.

    Args:
        settings: Names the cache with the programs, which are built where it has none.
        folder: Keys, logs, data and the kubeconfig; it stays, for the logs.
        crds: Files that are applied before the controllers start: the collector of orphans
            would notice a kind that comes later only after half a minute.
        server_flags: Further arguments of the API server.

    Raises:
        RefusedError: A program of this machine is missing.
        DevclusterError: A component ended or was not ready in time.
    """
    if not shutil.which("openssl"):
        raise RefusedError("the program openssl is missing; apt-get install openssl")
    programs = ensure_binaries(settings, wanted=PROGRAMS)
    made = placed(settings, folder)
    ensure_pki(made)
    config.write_kubeconfigs(made, ("controller-manager",))
    try:
        *servers, controllers = parts(made, programs, server_flags)
        components.start_missing(made, servers)
        _apply_crds(made, programs["kubectl"], crds)
        components.start_missing(made, [controllers])
        yield made
    finally:
        # Nobody needs the data any more: no long good-byes.
        processes.stop(made.state / "pids", NAMES, grace_seconds=0.5)


def parts(
    settings: Settings, programs: Mapping[str, Path], server_flags: Sequence[str] = ()
) -> list[components.Component]:
    """Return store, API server and controllers, as they are started."""
    store, server, controllers = components.control_plane(settings, programs)
    server = dataclasses.replace(server, argv=(*server.argv, *server_flags))
    return [_bound_to_us(one) for one in (store, server, controllers)]


@contextlib.contextmanager
def api_server(settings: Settings, folder: Path) -> Iterator[Settings]:
    """Yield the settings of an API server with its store alone: nothing else moves an object."""
    programs = ensure_binaries(settings, wanted=PROGRAMS)
    made = placed(settings, folder)
    ensure_pki(made)
    config.write_kubeconfigs(made, ("controller-manager",))
    try:
        *servers, _ = map(_bound_to_us, components.control_plane(made, programs))
        components.start_missing(made, servers)
        yield made
    finally:
        processes.stop(made.state / "pids", NAMES, grace_seconds=0.5)


def _bound_to_us(component: components.Component) -> components.Component:
    """Return a component that the kernel ends when we die, however we die."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return component
    argv = (setpriv, "--pdeathsig", "KILL", "--", *component.argv)
    return dataclasses.replace(component, argv=argv)


def _apply_crds(settings: Settings, kubectl: Path, crds: Sequence[Path]) -> None:
    for path in crds:
        addons.apply(settings, kubectl, path.read_text())
    if crds:
        addons.kubectl(settings, kubectl, "wait", "--for=condition=Established", "crd", "--all")
