"""A container image archive with one static program, written without any tool.

The pause image is needed before anything that could build images runs, and it is one
file; a tar in the archive format that containerd imports is forty lines.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def _entry(archive: tarfile.TarFile, name: str, body: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    info.mode = mode
    archive.addfile(info, io.BytesIO(body))


def write_single_program_image(program: Path, reference: str, architecture: str, out: Path) -> None:
    """Write an image archive whose only file is `program`, and whose entry point it is."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _entry(archive, program.name, program.read_bytes(), 0o755)
    layer_bytes = layer.getvalue()
    digest = hashlib.sha256(layer_bytes).hexdigest()
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "devcluster"}],
    }
    config_bytes = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out, mode="w") as archive:
        _entry(archive, config_name, config_bytes)
        _entry(archive, "layer.tar", layer_bytes)
        _entry(archive, "manifest.json", json.dumps(manifest).encode())
