"""Which program is run for which component, and where it comes from.

Order: a folder the user names, the cache, an official release checked against its
published checksum, a build from the committed Go modules. The cache folder is named
by a digest of those modules, so that a changed version never meets an old program.
Trade-off: metrics-server publishes no program, so it is always built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from devcluster import gobuild
from devcluster.console import say, step
from devcluster.download import Release, UnreachableError, download
from devcluster.settings import Settings

KUBENODE = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
PROGRAMS = (*KUBENODE, "metrics-server", "helm", "coredns", "pause")
Builder = Callable[[Settings, gobuild.Build, Path], None]


def architecture() -> str:
    """Return Go's name of this machine's processor."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def cache_folder(settings: Settings) -> Path:
    """Return the folder of the programs that belong to the committed modules."""
    digest = hashlib.sha256()
    for path in sorted(gobuild.MODULES.glob("*/*")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return settings.cache / "bin" / digest.hexdigest()[:12]


def releases() -> tuple[Release, ...]:
    """Return the official files of the pinned versions."""
    kubernetes = gobuild.pinned_version("kubernetes", "k8s.io/kubernetes")
    etcd = gobuild.pinned_version("kubernetes", "go.etcd.io/etcd/server/v3")
    helm = gobuild.pinned_version("kubernetes", "helm.sh/helm/v3")
    coredns = gobuild.pinned_version("coredns", "github.com/coredns/coredns")
    arch = architecture()
    kube = f"https://dl.k8s.io/release/{kubernetes}/bin/linux/{arch}"
    etcd_root = f"https://github.com/etcd-io/etcd/releases/download/{etcd}"
    etcd_name = f"etcd-{etcd}-linux-{arch}"
    helm_url = f"https://get.helm.sh/helm-{helm}-linux-{arch}.tar.gz"
    coredns_url = (
        f"https://github.com/coredns/coredns/releases/download/{coredns}/"
        f"coredns_{coredns.lstrip('v')}_linux_{arch}.tgz"
    )
    return (
        *(Release(n, f"{kube}/{n}", f"{kube}/{n}.sha256") for n in KUBENODE if n != "etcd"),
        Release(
            "etcd",
            f"{etcd_root}/{etcd_name}.tar.gz",
            f"{etcd_root}/SHA256SUMS",
            f"{etcd_name}/etcd",
        ),
        Release("helm", helm_url, f"{helm_url}.sha256sum", f"linux-{arch}/helm"),
        Release("coredns", coredns_url, f"{coredns_url}.sha256", "coredns"),
    )


def _present(folders: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in names:
        for folder in folders:
            if os.access(folder / name, os.X_OK):
                found[name] = folder / name
                break
    return found


def _download_missing(missing: Iterable[str], cache: Path, sources: Sequence[Release]) -> None:
    """Fetch what is published; stop at the first host that does not answer."""
    wanted = [release for release in sources if release.name in set(missing)]
    if not wanted:
        return
    with step("trying official release downloads (never tried against the real hosts)") as now:
        for count, release in enumerate(wanted, start=1):
            now.detail = f"{release.name}, {count} of {len(wanted)}"
            try:
                download(release, cache / release.name)
            except UnreachableError as error:
                say(f"no download: {error}; building from Go modules instead")
                return


def _build_missing(
    settings: Settings, missing: Iterable[str], cache: Path, builder: Builder
) -> None:
    for wanted in gobuild.BUILDS:
        combined = wanted.programs == ("kubenode",)
        names = [name for name in missing if name in (KUBENODE if combined else wanted.programs)]
        if not names:
            continue
        staging = cache / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        reduced = wanted if combined else _only(wanted, names)
        builder(settings, reduced, staging)
        for program in reduced.programs:
            (staging / program).rename(cache / program)
        shutil.rmtree(staging)
        if combined:
            for name in names:
                (cache / name).unlink(missing_ok=True)
                (cache / name).symlink_to("kubenode")


def _only(wanted: gobuild.Build, names: Sequence[str]) -> gobuild.Build:
    """Return a build of the named programs alone: what was downloaded is not built again."""
    pairs = zip(wanted.packages, wanted.programs, strict=True)
    kept = [(package, program) for package, program in pairs if program in names]
    return gobuild.Build(wanted.module, tuple(p for p, _ in kept), tuple(n for _, n in kept))


def ensure_binaries(
    settings: Settings,
    sources: Sequence[Release] | None = None,
    builder: Builder = gobuild.build,
    wanted: Sequence[str] = PROGRAMS,
) -> dict[str, Path]:
    """Return the path of every wanted program, fetched or built where the cache has none.

    Args:
        settings: Names the user's folder and the cache.
        sources: The release files to try; the pinned official ones by default.
        builder: What builds from Go modules; tests pass their own.
        wanted: The names of the programs; all by default.

    Raises:
        ChecksumError: A downloaded file is not the published one.
        CommandError: The build failed.
    """
    cache = cache_folder(settings)
    missing = missing_binaries(settings, wanted)
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
    if missing and settings.downloads:
        _download_missing(missing, cache, releases() if sources is None else sources)
        missing = missing_binaries(settings, wanted)
    if missing:
        _build_missing(settings, missing, cache, builder)
    return _present(_folders(settings), wanted)


def missing_binaries(settings: Settings, wanted: Sequence[str] = PROGRAMS) -> list[str]:
    """Return the names of the wanted programs that are neither in the user's folder nor cached."""
    found = _present(_folders(settings), wanted)
    return [name for name in wanted if name not in found]


def _folders(settings: Settings) -> list[Path]:
    cache = cache_folder(settings)
    return [settings.bin_dir, cache] if settings.bin_dir else [cache]
