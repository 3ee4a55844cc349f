"""buildah from the unpacked packages, told everything by flags and environment.

No file of the machine's own container configuration is read or written: storage,
policy and temporary files lie in the cache. The machine's certificates and pip
settings reach a build by read-only mounts, never by the Dockerfile. Trade-off:
chroot isolation on the host's network, because pods have no way out.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.console import run, run_logged
from devcluster.errors import CommandError
from devcluster.packages import tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devcluster.settings import Settings

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
REGISTRIES = 'unqualified-search-registries = []\nshort-name-mode = "disabled"\n'
CONTAINERS = "[engine]\n[containers]\n"
CERTIFICATES = (
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
)


def _folder(settings: Settings) -> Path:
    return settings.cache / "buildah"


def _environment(settings: Settings) -> dict[str, str]:
    base = _folder(settings)
    temporary = base / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    files = {"policy.json": POLICY, "registries.conf": REGISTRIES, "containers.conf": CONTAINERS}
    for name, text in files.items():
        (base / name).write_text(text)
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{base}/root"\nrunroot = "{base}/run"\n'
    (base / "storage.conf").write_text(storage)
    return {
        "CONTAINERS_STORAGE_CONF": str(base / "storage.conf"),
        "CONTAINERS_CONF": str(base / "containers.conf"),
        "TMPDIR": str(temporary),
        "BUILDAH_ISOLATION": "chroot",
    }


def _command(settings: Settings, words: Sequence[str | Path]) -> list[str | Path]:
    registries = _folder(settings) / "registries.conf"
    return [tool(settings, "buildah"), "--registries-conf", registries, *words]


def buildah(settings: Settings, *words: str | Path) -> str:
    """Call buildah and return what it said."""
    env = _environment(settings)
    return run(_command(settings, words), env=env, timeout_seconds=1800).strip()


def policy_flags(settings: Settings) -> list[str | Path]:
    """Return the flag that names our signature policy; some sub-commands want it."""
    return ["--signature-policy", _folder(settings) / "policy.json"]


def declared_arguments(dockerfile: str) -> set[str]:
    """Return the names that a Dockerfile declares by ARG."""
    return set(re.findall(r"^\s*ARG\s+(\w+)", dockerfile, re.MULTILINE | re.IGNORECASE))


def pip_configuration(listed: str) -> str:
    """Return one pip.conf from the answer of `pip config list`; "" when nothing is set.

    The environment's values (`:env:`) win over those of files, as they do for pip.
    """
    values: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda text: text.startswith(":env:")):
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in ("global", ":env:", "install") and name:
            values[name] = value.strip("'\"").replace("\\n", "\n    ")
    lines = [f"{name} = {value}" for name, value in sorted(values.items())]
    return "[global]\n" + "\n".join(lines) + "\n" if lines else ""


def machine_mounts(settings: Settings) -> list[str]:
    """Return the volume flags for the machine's certificates and pip settings."""
    mounts = [path for path in CERTIFICATES if Path(path).is_dir()]
    flags = [flag for path in mounts for flag in ("-v", f"{path}:{path}:ro")]
    try:
        text = pip_configuration(run([sys.executable, "-m", "pip", "config", "list"]))
    except CommandError:
        text = ""
    if text:
        path = _folder(settings) / "pip.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        flags += ["-v", f"{path}:/etc/pip.conf:ro"]
    for folder in re.findall(r"^find-links = (/\S+)$", text, re.MULTILINE):
        if Path(folder).is_dir():
            flags += ["-v", f"{folder}:{folder}:ro"]
    return flags


def environment_arguments(dockerfile: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments: those given, and declared ones the environment has."""
    names = declared_arguments(dockerfile) - set(given)
    settable = {name for name in names if name.startswith(("PIP_", "UV_", "SSL_CERT_"))}
    return {**{n: os.environ[n] for n in sorted(settable) if n in os.environ}, **given}


def build(
    settings: Settings,
    context: Path,
    dockerfile: Path,
    tag: str,
    target: str,
    arguments: Mapping[str, str],
) -> Path:
    """Build one target of a Dockerfile into buildah's storage; return the log's path.

    Raises:
        CommandError: The build failed; the message holds the end of its log.
    """
    log = settings.cache / "logs" / f"image-{re.sub(r'[^A-Za-z0-9]+', '-', tag)}.log"
    flags: list[str | Path] = ["--isolation", "chroot", "--network", "host", "--layers"]
    flags += ["--pull=false", *policy_flags(settings), *machine_mounts(settings)]
    for name, value in environment_arguments(dockerfile.read_text(), arguments).items():
        flags += ["--build-arg", f"{name}={value}"]
    if target:
        flags += ["--target", target]
    words = ["bud", *flags, "-t", tag, "-f", dockerfile, context]
    run_logged(_command(settings, words), log, _environment(settings))
    return log
