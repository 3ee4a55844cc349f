"""Certificates of the cluster, made by the `openssl` command.

Keys are P-256: made in milliseconds and cheap in every handshake. Everything lies
in the state folder, is valid for a year and goes away with `down`; the service-account
key signs tokens and is no certificate. Trade-off: calling a program that every
Debian machine has instead of depending on a library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcluster.console import run

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
    node = f"/O=system:nodes/CN=system:node:{settings.node_name}"
    return (
        Leaf("apiserver", "/CN=kube-apiserver", "serverAuth", hosts),
        Leaf("admin", "/O=system:masters/CN=devcluster-admin", "clientAuth"),
        Leaf("kubelet", node, "clientAuth"),
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
    """Make the authority, all certificates and the service-account key once."""
    folder = settings.pki
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _key(folder / "ca.key")
    authority: list[str | Path] = ["-days", DAYS, "-subj", "/CN=devcluster-ca"]
    authority += ["-key", folder / "ca.key", "-out", folder / "ca.crt"]
    run(["openssl", "req", "-x509", "-new", *authority])
    for leaf in leaves(settings):
        _sign(folder, leaf)
    _key(folder / "service-account.key")
    (folder / "service-account.pub").write_text(
        run(["openssl", "ec", "-in", folder / "service-account.key", "-pubout"])
    )
    (folder / "complete").touch()
