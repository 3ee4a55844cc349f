"""Writes the bundle as a folder or as one runnable file.

It must not choose what travels. Trade-off: pynvml (nvidia-ml-py, BSD licence, the text stands in
its head) is taken from this interpreter and left out, and said to be, where there is none: the
probe in the target's image then says that NVML could not be asked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import zipfile
from importlib import metadata
from pathlib import Path

from infertune_probes.bundle.contents import PROBES, ROOT, files

_NOTICE = """\
The files under infertune_probes/ are part of Infertune (Apache License 2.0).
pynvml.py is nvidia-ml-py, Copyright NVIDIA Corporation, under the BSD licence that stands in
its head; it is unchanged.
"""
# Of a zip file; the same contents then give the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def contents() -> dict[str, bytes]:
    """Return every file of the bundle by its path in it."""
    bundle = {f"infertune_probes/{path.as_posix()}": (ROOT / path).read_bytes() for path in files()}
    bundle["__main__.py"] = (ROOT / "bundle" / "start.py").read_bytes()
    spec = importlib.util.find_spec("pynvml")
    version = None
    if spec is not None and spec.origin is not None and Path(spec.origin).name == "pynvml.py":
        bundle["pynvml.py"] = Path(spec.origin).read_bytes()
        version = metadata.version("nvidia-ml-py")
    bundle["NOTICE"] = _NOTICE.encode("utf-8")
    digest = hashlib.sha256()
    for name in sorted(bundle):
        digest.update(name.encode("utf-8") + b"\0" + bundle[name] + b"\0")
    told = {"probes": list(PROBES), "pynvml": version, "sha256": digest.hexdigest()}
    bundle["bundle.json"] = (json.dumps(told, indent=1) + "\n").encode("utf-8")
    return bundle


def write_folder(target: Path) -> int:
    """Write the bundle into a folder, which may exist; return the number of files."""
    bundle = contents()
    for name, content in bundle.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(bundle)


def write_file(target: Path) -> int:
    """Write the bundle as one file that `python3 FILE` runs; return the number of files in it."""
    bundle = contents()
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(bundle):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, bundle[name])
    return len(bundle)
