"""The base image, made from distribution packages where none can be pulled.

debootstrap gives a minimal Debian with Python 3.11 and the certificates; it is put
into buildah's storage once and kept in the cache. Trade-off: larger than the public
slim image (about 200 MB), but it needs nothing except a Debian mirror.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.buildah import buildah, policy_flags
from devcluster.console import run, run_logged, step
from devcluster.errors import CommandError
from devcluster.packages import ensure_packages, tool

if TYPE_CHECKING:
    from devcluster.settings import Settings

BASE_IMAGE = "localhost/infertune-base:bookworm"
SUITE = "bookworm"
INCLUDED = ("python3", "python3-venv", "python3-pip", "ca-certificates")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DROPPED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
)


def base_key() -> str:
    """Return a digest of what goes into the base image."""
    return hashlib.sha256(" ".join(("1", SUITE, *INCLUDED)).encode()).hexdigest()[:12]


def mirror() -> str:
    """Return the Debian mirror that this machine's apt uses, else the public one."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(COMPONENT)"]
    try:
        listed = run([*targets, "Created-By: Packages"])
    except CommandError:
        return DEFAULT_MIRROR
    found = [line.split() for line in listed.splitlines()]
    mirrors = [w[0] for w in found if w[1:] == ["Debian", "main"] and "security" not in w[0]]
    return mirrors[0] if mirrors else DEFAULT_MIRROR


def exists(settings: Settings, reference: str) -> bool:
    """Whether buildah's storage holds an image."""
    try:
        buildah(settings, "inspect", "--type", "image", "--format", "{{.FromImageID}}", reference)
    except CommandError:
        return False
    return True


def ensure_base(settings: Settings) -> str:
    """Have the base image in buildah's storage and return its name.

    Raises:
        CommandError: debootstrap or buildah failed; the message holds the end of the log.
    """
    stamp = settings.cache / "images" / "base"
    if stamp.exists() and stamp.read_text() == base_key() and exists(settings, BASE_IMAGE):
        return BASE_IMAGE
    ensure_packages(settings)
    root = settings.cache / "base-root"
    shutil.rmtree(root, ignore_errors=True)
    with step("making the base image by debootstrap"):
        keyring = [f"--keyring={KEYRING}"] if KEYRING.exists() else []
        flags = ["--variant=minbase", *keyring, f"--include={','.join(INCLUDED)}"]
        log = settings.cache / "logs" / "debootstrap.log"
        run_logged([tool(settings, "debootstrap"), *flags, SUITE, str(root), mirror()], log)
        for name in DROPPED:
            shutil.rmtree(root / name, ignore_errors=True)
        _commit(settings, root)
    shutil.rmtree(root)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(base_key())
    return BASE_IMAGE


def _commit(settings: Settings, root: Path) -> None:
    container = buildah(settings, "from", *policy_flags(settings), "scratch")
    try:
        buildah(settings, "add", container, root, "/")
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        buildah(settings, "config", "--env", f"PATH={path}", "--cmd", "python3", container)
        buildah(settings, "commit", "-q", *policy_flags(settings), container, BASE_IMAGE)
    finally:
        buildah(settings, "rm", container)
