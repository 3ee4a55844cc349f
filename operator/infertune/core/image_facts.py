"""What an image is built for, as far as its config, its owner or its tag says.

Role: turn a reference, the config's variables and labels, and declared facts into the software that
the rules of compatibility judge; the first source that names a fact has it. Must not know: how a
config is fetched. Trade-off: only tags of two publishers are read, whose pattern is their own
documented one; any other tag says nothing, since a wrong guess would cost a good candidate.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from infertune_probes.contract.compatibility import Software
from infertune_probes.contract.require_cuda import (
    SWITCHED_OFF,
    VARIABLE,
    Malformed,
    driver_branches,
)

DEFAULT_REGISTRY = "docker.io"
_NVIDIA_TAG = re.compile(r"^(\d+\.\d+(?:\.\d+)?)(?:-cudnn(\d*))?-")
_PYTORCH_TAG = re.compile(r"^(\d+\.\d+\.\d+)-cuda(\d+\.\d+)-cudnn(\d+)-(runtime|devel)$")
_REFERENCE = re.compile(
    r"^(?:(?P<registry>[^/]+)/)?(?P<repository>[a-z0-9](?:[a-z0-9._/-]*[a-z0-9])?)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Where an image lies; ``tag`` or ``digest`` says which one."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def version(self) -> str:
        """What a registry is asked for: the digest where there is one, else the tag."""
        return self.digest or self.tag or "latest"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What of an image's config speaks of its software."""

    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The software of an image and who says so: config, declaration, tag; empty: nobody."""

    software: Software
    sources: tuple[str, ...] = ()


def parse_reference(text: str) -> ImageReference | None:
    """Return the parts of an image reference as a container runtime reads it; None: it is none."""
    found = _REFERENCE.match(text)
    if found is None:
        return None
    first, rest = found["registry"], found["repository"]
    if first is not None and not _is_registry(first):
        first, rest = None, f"{first}/{rest}"
    if first is None and "/" not in rest:
        rest = f"library/{rest}"
    return ImageReference(first or DEFAULT_REGISTRY, rest, found["tag"], found["digest"])


def _is_registry(word: str) -> bool:
    return "." in word or ":" in word or word == "localhost"


def facts_of(
    image: str, config: ImageConfig | None = None, declared: Software | None = None
) -> ImageFacts:
    """Return what is known of an image, each fact from the first source that names it.

    The tag is asked for its own facts even where the config speaks: the config of an image of
    PyTorch names its torch and not its CUDA release, of which there are several.
    """
    told = (
        ("its config", software_of_config(config) if config is not None else None),
        ("its declaration", declared),
        ("its tag", software_of_tag(image)),
    )
    known = [(source, software) for source, software in told if software is not None]
    whole = Software(
        cuda=next((s.cuda for _, s in known if s.cuda), None),
        torch=next((s.torch for _, s in known if s.torch), None),
        cudnn=next((s.cudnn for _, s in known if s.cudnn), None),
        nccl=next((s.nccl for _, s in known if s.nccl), None),
        compat=next((s.compat for _, s in known if s.compat is not None), None),
        requires=next((s.requires for _, s in known if s.requires), None),
    )
    return ImageFacts(whole, tuple(source for source, _ in known))


def software_of_config(config: ImageConfig) -> Software | None:
    """Return what variables and labels of a config say; None where they say nothing of CUDA."""
    env = config.env
    demanded = env.get(VARIABLE)
    off = env.get(SWITCHED_OFF, "").lower() in {"1", "true"}
    found = Software(
        cuda=env.get("CUDA_VERSION"),
        torch=env.get("PYTORCH_VERSION"),
        cudnn=env.get("NV_CUDNN_VERSION")
        or env.get("CUDNN_VERSION")
        or config.labels.get("com.nvidia.cudnn.version"),
        nccl=env.get("NCCL_VERSION"),
        compat=True if "NV_CUDA_COMPAT_PACKAGE" in env or _brings_compat(demanded) else None,
        requires=None if off else demanded,
    )
    return None if found == Software() else found


def _brings_compat(demanded: str | None) -> bool:
    """An image that admits old driver branches does so because it carries cuda-compat for them."""
    try:
        return bool(driver_branches(demanded or ""))
    except Malformed:
        return False


def software_of_tag(image: str) -> Software | None:
    """Return what the tag of a known publisher says; mirrors keep the last two path elements."""
    reference = parse_reference(image)
    if reference is None or reference.tag is None:
        return None
    repository = f"/{reference.repository}"
    if repository.endswith("/nvidia/cuda"):
        found = _NVIDIA_TAG.match(f"{reference.tag}-")
        # Every flavour is made from `base`, which installs cuda-compat.
        return None if found is None else Software(found[1], cudnn=found[2] or None, compat=True)
    if repository.endswith("/pytorch/pytorch"):
        found = _PYTORCH_TAG.match(reference.tag)
        if found is None:
            return None
        # `devel` is made from nvidia/cuda, `runtime` from a plain distribution.
        return Software(found[2], found[1], found[3], compat=found[4] == "devel")
    return None
