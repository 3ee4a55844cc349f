"""What the user asked for, from the command line and the environment.

Role: parsed once into a frozen value. It must not know what is done with it. Its trade-off: make
passes its variables (`CONTEXT=name make demo`) through the environment, so both spellings exist.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.errors import RefusedError

DESCRIPTION = """Infertune on a real Kubernetes node: a model server that misses its promise is
tuned until it keeps it, and the difference is measured.

Without CONTEXT a node is started on this machine (needs root on Linux). With CONTEXT=name (and
KUBECONFIG, as kubectl reads it) an existing cluster is used; its nodes get the images by
REGISTRY=host/path (pushed) or LOADER='kind load image-archive {archive}' (any command in which
{archive} or {image} is replaced)."""


@dataclass(frozen=True, slots=True)
class Options:
    """One call of the demo."""

    command: str
    context: str | None
    registry: str | None
    loader: str | None
    record: Path | None

    @property
    def foreign(self) -> bool:
        """Whether an existing cluster is used."""
        return self.context is not None


def parse(argv: Sequence[str] | None, environ: Mapping[str, str]) -> Options:
    """Return the options; the command line wins over the environment.

    Raises:
        RefusedError: A combination that cannot work, with what to do.
    """
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--context", default=environ.get("CONTEXT") or None)
    parser.add_argument("--registry", default=environ.get("REGISTRY") or None)
    parser.add_argument("--loader", default=environ.get("LOADER") or None)
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help="keep the run's figures in this folder"
    )
    given = parser.parse_args(argv)
    options = Options(given.command, given.context, given.registry, given.loader, given.record)
    _check(options)
    return options


def _check(options: Options) -> None:
    ways = [way for way in (options.registry, options.loader) if way]
    if not options.foreign:
        if ways:
            raise RefusedError("REGISTRY and LOADER are for an existing cluster: set CONTEXT too")
        return
    if options.command == "up" and len(ways) != 1:
        message = f"CONTEXT={options.context} needs exactly one way for the images: "
        message += "REGISTRY=host/path, or LOADER='kind load image-archive {archive}'"
        raise RefusedError(message)
    if options.loader and "{archive}" not in options.loader and "{image}" not in options.loader:
        raise RefusedError("LOADER must contain {archive} or {image}")
