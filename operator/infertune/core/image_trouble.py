"""Why an image does not become a running server, in words with the fix.

Role: reasons and messages of kubelet and runtime to one sentence. Must not know: trials, search.
Trade-off: told by pieces of text that containerd, CRI-O and Docker share, since no field holds it;
text that nobody here knows is passed on as it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass

IMAGE_UNAVAILABLE = "ImageUnavailable"
_PULLS = frozenset({"ErrImagePull", "ImagePullBackOff"})
_STARTS = frozenset(
    {
        "StartError",
        "RunContainerError",
        "ContainerCannotRun",
        "CreateContainerError",
        "CrashLoopBackOff",
        "Error",
    }
)
_ARCHITECTURE = (
    "the image is not built for the processor of the node: name one that is, or a multi-platform "
    "image"
)
# Passing ones too: a registry that lags behind a push says the same as one without the image.
_OF_PULLS: Mapping[str, str] = {
    "no match for platform": _ARCHITECTURE,
    "no matching manifest": _ARCHITECTURE,
    "no image found in manifest list": _ARCHITECTURE,
    "unauthorized": "the registry wants credentials: give the target imagePullSecrets for it",
    "authorization failed": "the registry wants credentials: give the target imagePullSecrets",
    "denied": "the registry refuses or does not have it: correct its name or imagePullSecrets",
    "manifest unknown": "the registry has no such tag or digest: correct knobs.images",
    "not found": "the registry has no such image: correct knobs.images",
    "no such host": "the name of the registry does not resolve: correct knobs.images",
    "x509": "the registry's certificate is not trusted by the node",
    "timeout": "the registry does not answer the node",
}
_OF_STARTS: Mapping[str, str] = {"exec format error": _ARCHITECTURE}


@dataclass(frozen=True, slots=True)
class ImageTrouble:
    """What is wrong with the image; ``final``: no waiting will mend it."""

    message: str
    final: bool


def image_trouble(reason: str, message: str) -> ImageTrouble | None:
    """Return what is wrong with the image, or None: it is something else, or nobody knows."""
    known = _OF_PULLS if reason in _PULLS else _OF_STARTS if reason in _STARTS else {}
    lowered = message.lower()
    words = next((told for piece, told in known.items() if piece in lowered), None)
    if words is None:
        return None
    return ImageTrouble(f"{words} ({reason}: {message})", final=words is _ARCHITECTURE)
