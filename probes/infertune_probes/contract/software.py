"""Whose software a probe runs on: the target's own, through the bundle, or the probe image's.

Emit side: standard library only, Python 3.8. It must not import torch: its version is read from
the installed package. Trade-off: the bundle tells by an environment variable that it was started
in a foreign image, because from inside nothing else can.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata

from infertune_probes.contract.envelope import Software
from infertune_probes.contract.host import image

# Set by the bundle's own start, and only there.
BUNDLE_VARIABLE = "INFERTUNE_BUNDLE"


def software_here(torch: str | None = None) -> Software:
    """Return the software of this process; `torch` is what a child saw, else what is installed."""
    found = image()
    return Software(
        source="target" if os.environ.get(BUNDLE_VARIABLE) else "probes",
        image=None if found is None else found.reference,
        python=platform.python_version(),
        torch=torch or _installed("torch"),
    )


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
