"""Images from the project's Dockerfile, into our node or a foreign one.

`build_image` and `load_image` are what the demo and the tests call. Both are keyed by
content: when nothing changed they do nothing. Archives are not compressed, because a
disk on the same machine is faster than a compressor on two cores.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcluster.base_image import BASE_IMAGE, base_key, ensure_base
from devcluster.buildah import build, buildah, policy_flags
from devcluster.console import run, step
from devcluster.dockerfile import content_key
from devcluster.errors import DevclusterError
from devcluster.node import nodes
from devcluster.packages import ensure_packages, tool
from devcluster.settings import REPO_ROOT, Settings, current

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devcluster.node import Node


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its full name, its archive and the digest of its inputs."""

    reference: str
    archive: Path
    key: str


def full_reference(tag: str) -> str:
    """Return a tag as the container runtime writes it: with registry and version."""
    name, colon, version = tag.rpartition(":")
    if not colon or "/" in version:
        name, version = tag, "latest"
    first = name.partition("/")[0]
    if "/" not in name:
        name = f"docker.io/library/{name}"
    elif first != "localhost" and "." not in first and ":" not in first:
        name = f"docker.io/{name}"
    return f"{name}:{version}"


def _file_name(reference: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", reference)


def build_image(
    target: str,
    tag: str,
    build_args: Mapping[str, str] | None = None,
    *,
    context: Path = REPO_ROOT,
    dockerfile: Path | None = None,
    settings: Settings | None = None,
) -> Image:
    """Build a target of a Dockerfile and keep its archive; nothing when nothing changed.

    Args:
        target: The stage to build; "" for the last one.
        tag: The image's name as pods write it.
        build_args: Values for ARG lines; `BASE` is our base image unless given.
        context: The folder that COPY lines refer to.
        dockerfile: Its path; `context/Dockerfile` by default.
        settings: Names the cache; the running cluster's by default.

    Raises:
        CommandError: The build failed; the message holds the end of its log.
    """
    settings = settings or current()
    path = dockerfile or context / "Dockerfile"
    arguments = {"BASE": BASE_IMAGE, **(build_args or {})}
    inputs = {**arguments, "": base_key()}
    key = content_key(path.read_text(), target, context, inputs)
    reference = full_reference(tag)
    archive = settings.cache / "images" / f"{_file_name(reference)}@{key}.tar"
    image = Image(reference, archive, key)
    if archive.exists():
        return image
    ensure_packages(settings)
    if arguments["BASE"] == BASE_IMAGE:
        ensure_base(settings)
    with step(f"building image {tag}"):
        build(settings, context, path, reference, target, arguments)
        _archive(settings, image)
    return image


def _archive(settings: Settings, image: Image) -> None:
    folder = image.archive.parent
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"partial-{os.getpid()}.tar"
    partial.unlink(missing_ok=True)
    target = f"oci-archive:{partial}:{image.reference}"
    push = ["push", "-q", "--disable-compression", *policy_flags(settings)]
    buildah(settings, *push, image.reference, target)
    for old in folder.glob(f"{_file_name(image.reference)}@*.tar"):
        old.unlink()
    partial.rename(image.archive)


def find_image(tag: str, settings: Settings | None = None) -> Image:
    """Return the image that was built under a tag last.

    Raises:
        DevclusterError: None was built.
    """
    settings = settings or current()
    reference = full_reference(tag)
    found = sorted((settings.cache / "images").glob(f"{_file_name(reference)}@*.tar"))
    if not found:
        msg = f"no image {tag} was built; call build_image first"
        raise DevclusterError(msg)
    return Image(reference, found[0], found[0].stem.partition("@")[2])


def load_image(tag: str, settings: Settings | None = None) -> bool:
    """Import a built image into every node; return False when all had it already.

    Raises:
        DevclusterError: No image was built under the tag, or the node is not up.
    """
    settings = settings or current()
    image = find_image(tag, settings)
    members = [one for one in nodes(settings) if not _holds(one, image)]
    for node in members:
        if not node.socket.exists():
            raise DevclusterError("the node is not up; run: python -m devcluster up")
        with step(f"loading image {tag} into {node.name}"):
            _load(settings, node, image)
    return bool(members)


def _marker(node: Node, image: Image) -> Path:
    return node.state / "images" / _file_name(image.reference)


def _holds(node: Node, image: Image) -> bool:
    marker = _marker(node, image)
    return marker.exists() and marker.read_text() == image.key


def _load(settings: Settings, node: Node, image: Image) -> None:
    import_archive(settings, node, image.archive)
    marker = _marker(node, image)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(image.key)


def share_images(settings: Settings) -> None:
    """Give every node the images that the first one was given and that are still cached."""
    first, *others = nodes(settings)
    for marker in sorted((first.state / "images").glob("*")) if others else ():
        key = marker.read_text()
        archive = settings.cache / "images" / f"{marker.name}@{key}.tar"
        image = Image(marker.name, archive, key)
        for node in others:
            if archive.exists() and not _holds(node, image):
                with step(f"loading image {marker.name} into {node.name}"):
                    _load(settings, node, image)


def import_archive(settings: Settings, node: Node, archive: Path) -> None:
    """Import an image archive into a node's containerd."""
    ctr: list[str | Path] = [tool(settings, "ctr"), "-a", node.socket, "-n", "k8s.io"]
    run([*ctr, "images", "import", archive], timeout_seconds=900)


def load_image_foreign(tag: str, loader: str, settings: Settings | None = None) -> None:
    """Give a built image to a foreign cluster by the user's own command.

    Args:
        tag: The tag that was built.
        loader: A command line in which `{archive}` and `{image}` are replaced, for example
            `kind load image-archive {archive}` or `ctr -n k8s.io images import {archive}`.
        settings: Names the cache; the running cluster's by default.

    Raises:
        DevclusterError: The template names no archive and no image.
        CommandError: The command failed.
    """
    image = find_image(tag, settings)
    if "{archive}" not in loader and "{image}" not in loader:
        raise DevclusterError("the loader must contain {archive} or {image}")
    words = [
        word.replace("{archive}", str(image.archive)).replace("{image}", image.reference)
        for word in shlex.split(loader)
    ]
    with step(f"loading image {tag} by {words[0]}"):
        run(words, timeout_seconds=1800)
