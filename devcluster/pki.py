"""Certificates of the cluster, made by the `openssl` command.

Keys are P-256: made in milliseconds and cheap in every handshake. Everything lies
in the state folder, is valid for a year and goes away with `down`; the service-account
key signs tokens and is no certificate. Trade-off: calling a program that every
Debian machine has instead of depending on a library.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcluster.console import run
from devcluster.node import nodes

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.settings import Settings

DAYS = "365"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One certificate to make: file name, subject, usage, alternative names."""

    name: str
    subject: str
    usage: str
    names: str = ""


def leaves(settings: Settings) -> tuple[Leaf, ...]:
    """Return the certificates of a cluster with these settings."""
    hosts = (
        "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        "DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,"
        f"IP:{settings.api_address},IP:{settings.api_service}"
    )
    kubelets = [
        Leaf(one.called("kubelet"), f"/O=system:nodes/CN=system:node:{one.name}", "clientAuth")
        for one in nodes(settings)
    ]
    return (
        Leaf("apiserver", "/CN=kube-apiserver", "serverAuth", hosts),
        Leaf("admin", "/O=system:masters/CN=devcluster-admin", "clientAuth"),
        *kubelets,
        Leaf("controller-manager", "/CN=system:kube-controller-manager", "clientAuth"),
        Leaf("scheduler", "/CN=system:kube-scheduler", "clientAuth"),
        Leaf("proxy", "/CN=system:kube-proxy", "clientAuth"),
        Leaf("front-proxy", "/CN=front-proxy-client", "clientAuth"),
        Leaf("dns", "/CN=devcluster-dns", "clientAuth"),
    )


def _key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
    path.chmod(0o600)


def _sign(folder: Path, leaf: Leaf) -> None:
    key, request = folder / f"{leaf.name}.key", folder / f"{leaf.name}.csr"
    _key(key)
    run(["openssl", "req", "-new", "-key", key, "-subj", leaf.subject, "-out", request])
    extensions = folder / f"{leaf.name}.ext"
    lines = ["keyUsage=critical,digitalSignature", f"extendedKeyUsage={leaf.usage}"]
    if leaf.names:
        lines.append(f"subjectAltName={leaf.names}")
    extensions.write_text("\n".join(lines) + "\n")
    authority: list[str | Path] = [
        "-CA",
        folder / "ca.crt",
        "-CAkey",
        folder / "ca.key",
        "-CAcreateserial",
    ]
    output: list[str | Path] = ["-extfile", extensions, "-out", folder / f"{leaf.name}.crt"]
    run(["openssl", "x509", "-req", "-in", request, "-days", DAYS, *authority, *output])
    request.unlink()
    extensions.unlink()


def ensure_pki(settings: Settings) -> None:
    """Make the authority, the certificates and the service-account key that are missing."""
    folder = settings.pki
    if not (folder / "complete").exists():
        _make_authority(folder)
    for leaf in leaves(settings):
        if not (folder / f"{leaf.name}.crt").exists():
            _sign(folder, leaf)


def _make_authority(folder: Path) -> None:
    """Make the keys that everything else depends on, anew where a first try was interrupted."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    _key(folder / "ca.key")
    authority: list[str | Path] = ["-days", DAYS, "-subj", "/CN=devcluster-ca"]
    authority += ["-key", folder / "ca.key", "-out", folder / "ca.crt"]
    run(["openssl", "req", "-x509", "-new", *authority])
    _key(folder / "service-account.key")
    (folder / "service-account.pub").write_text(
        run(["openssl", "ec", "-in", folder / "service-account.key", "-pubout"])
    )
    (folder / "complete").touch()
