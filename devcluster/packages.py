"""Distribution packages, unpacked into the cache and never installed.

Installing Debian's containerd would remove Docker's; unpacking changes nothing on
the machine. apt is called with its own lists and cache folders, so it verifies
signatures as always but leaves the system's lists alone. Trade-off: programs find
their libraries by a small wrapper, because nothing is in the default search path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from devcluster.console import run, step
from devcluster.errors import CommandError, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.settings import Settings

PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "conntrack",
    "buildah",
    "debootstrap",
    "prometheus",
)
# Prometheus's web fonts and scripts are not needed; of its dependencies none is missed.
RESOLVED = tuple(name for name in PACKAGES if name != "prometheus")
# Shared libraries that may be on this machine and not in its package database's way.
LIBRARIES = (
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libnftnl11",
    "libnfnetlink0",
    "libnetfilter-conntrack3",
    "libgpgme11",
    "libsubid4",
)
LAYOUT = "3"


def _apt(settings: Settings) -> list[str]:
    lists = settings.cache / "packages" / "lists"
    archives = settings.cache / "packages" / "apt"
    for folder in (lists / "partial", archives / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    return [
        "apt-get",
        "-q",
        "-o",
        f"Dir::State::lists={lists}",
        "-o",
        f"Dir::Cache={archives}",
        "-o",
        "APT::Sandbox::User=root",
    ]


def _stamp_text() -> str:
    return hashlib.sha256(" ".join((LAYOUT, *PACKAGES, *LIBRARIES)).encode()).hexdigest() + "\n"


def _closure(settings: Settings) -> list[str]:
    """Return the packages to fetch: ours and the dependencies this machine lacks."""
    simulated = run(
        [*_apt(settings), "install", "--simulate", "--no-install-recommends", *RESOLVED]
    )
    missing = [
        line.split()[1]
        for line in simulated.splitlines()
        # "Inst NAME [OLD] (NEW ...)" is an upgrade of something that is there already.
        if line.startswith("Inst ") and not line.split()[2].startswith("[")
    ]
    return list(dict.fromkeys((*PACKAGES, *LIBRARIES, *missing)))


def ensure_packages(settings: Settings) -> None:
    """Have the packages unpacked in the cache; quick when they are.

    Raises:
        RefusedError: There is no apt on this machine.
        CommandError: A package could not be fetched.
    """
    base = settings.cache / "packages"
    stamp = base / "complete"
    if stamp.exists() and stamp.read_text() == _stamp_text():
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise RefusedError(
            "containerd and its companions come from Debian packages, and apt-get is not here; "
            "use Debian or Ubuntu, or CONTEXT=name with an existing cluster"
        )
    with step("fetching distribution packages") as progress:
        run([*_apt(settings), "update"], timeout_seconds=300)
        names = _closure(settings)
        progress.detail = f"{len(names)} packages"
        debs = base / "debs"
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir(parents=True)
        run([*_apt(settings), "download", *names], cwd=debs, timeout_seconds=900)
        _unpack(debs, settings.root)
        _write_wrappers(settings)
        stamp.write_text(_stamp_text())
    shutil.rmtree(debs, ignore_errors=True)


def _unpack(debs: Path, root: Path) -> None:
    """Unpack beside the old folder and swap, because a running node may use the old one."""
    fresh, old = root.with_name("root.new"), root.with_name("root.old")
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", deb, fresh])
    if root.exists():
        root.rename(old)
    fresh.rename(root)
    shutil.rmtree(old, ignore_errors=True)


def library_path(settings: Settings) -> str:
    """Return the folders in which the unpacked programs find their libraries."""
    triplet = "x86_64-linux-gnu" if os.uname().machine == "x86_64" else "aarch64-linux-gnu"
    return f"{settings.root}/usr/lib/{triplet}:{settings.root}/lib/{triplet}"


def tools(settings: Settings) -> Path:
    """Return the folder with one entry per unpacked program, to be put first in PATH."""
    return settings.cache / "packages" / "bin"


def _wrapper(settings: Settings, target: Path, extra: str = "", argument: str = "") -> str:
    libraries = library_path(settings)
    return (
        "#!/bin/sh\n"
        f'export LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"\n'
        f"{extra}"
        f'exec "{target}"{argument} "$@"\n'
    )


def _write_wrappers(settings: Settings) -> None:
    folder = tools(settings)
    folder.mkdir(parents=True, exist_ok=True)
    found = [
        program
        for part in ("usr/bin", "usr/sbin", "sbin", "bin")
        if (settings.root / part).is_dir()
        for program in sorted((settings.root / part).iterdir())
        if program.is_file() and "tables" not in program.name
    ]
    texts = {program.name: _wrapper(settings, program) for program in found}
    xtables = next(settings.root.glob("usr/lib/*/xtables"), settings.root)
    extra = f'export XTABLES_LIBDIR="{xtables}"\n'
    multi = settings.root / "usr" / "sbin" / "xtables-nft-multi"
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            name = f"{family}{suffix}"
            # The machine's own tool knows which of the two back ends its other users chose.
            if not shutil.which(name):
                texts[name] = _wrapper(settings, multi, extra, f" {name}")
    texts["debootstrap"] = _wrapper(
        settings,
        settings.root / "usr" / "sbin" / "debootstrap",
        f'export DEBOOTSTRAP_DIR="{settings.root}/usr/share/debootstrap"\n',
    )
    texts["buildah"] = _buildah_wrapper(settings)
    for name, text in texts.items():
        partial = folder / f".{name}"
        partial.write_text(text)
        partial.chmod(0o755)
        partial.rename(folder / name)


def _buildah_wrapper(settings: Settings) -> str:
    """Return a wrapper with a private view of the machine's library cache.

    buildah calls itself with an empty environment, so a library path would be lost. In its
    own mount namespace our cache file lies over /etc/ld.so.cache; nothing else sees that,
    and mounts that buildah leaves behind end with it.
    """
    conf = settings.cache / "packages" / "ld.so.conf"
    cache = settings.cache / "packages" / "ld.so.cache"
    folders = library_path(settings).replace(":", "\n")
    conf.write_text(f"{folders}\ninclude /etc/ld.so.conf\n")
    run([shutil.which("ldconfig") or "/sbin/ldconfig", "-X", "-C", cache, "-f", conf])
    program = settings.root / "usr" / "bin" / "buildah"
    return (
        "#!/bin/sh\n"
        "exec unshare --mount --propagation slave sh -c "
        f'\'mount --bind "{cache}" /etc/ld.so.cache && exec "{program}" "$@"\' '
        'buildah "$@"\n'
    )


def search_path(settings: Settings) -> str:
    """Return a PATH with the unpacked programs first."""
    return f"{tools(settings)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def tool(settings: Settings, name: str) -> str:
    """Return the path of an unpacked program, else the name, to be found in PATH.

    Raises:
        CommandError: It is neither in the cache nor on the machine.
    """
    path = tools(settings) / name
    if path.exists():
        return str(path)
    found = shutil.which(name)
    if not found:
        msg = f"{name} is neither in {tools(settings)} nor on this machine"
        raise CommandError(msg)
    return found
