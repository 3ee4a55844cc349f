"""The images of the demo: built from the project's Dockerfile, given to the cluster.

Role: names, targets, and the three ways to a cluster (own containerd, registry, loader). It must
not know what the images do. Its trade-off: fixed tags whose content is told by a key, so that a
warm run builds nothing, and pods whose image changed are restarted by the key in an annotation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from demo.console import Console
from demo.place import Place
from devcluster.buildah import buildah, policy_flags
from devcluster.images import build_image, find_image, load_image, load_image_foreign

OPERATOR = "infertune/operator:demo"
PROBES = "infertune/probes:demo"
SERVER_FP32 = "infertune/demo-server:fp32"
SERVER_INT8 = "infertune/demo-server:int8"
SERVER_WRONG = "infertune/demo-server:wrong"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: its tag, the Dockerfile's target and the build arguments."""

    tag: str
    target: str
    arguments: Mapping[str, str]


RECIPES = (
    Recipe(OPERATOR, "operator", MappingProxyType({})),
    Recipe(PROBES, "probes", MappingProxyType({})),
    Recipe(SERVER_FP32, "demo-server", MappingProxyType({"VARIANT": "fp32"})),
    Recipe(SERVER_INT8, "demo-server", MappingProxyType({"VARIANT": "int8"})),
    Recipe(SERVER_WRONG, "demo-server", MappingProxyType({"VARIANT": "wrong"})),
)


def reference(place: Place, tag: str) -> str:
    """Return the name by which pods ask for an image."""
    return f"{place.registry.rstrip('/')}/{tag}" if place.registry else tag


def provide_images(place: Place, console: Console) -> dict[str, str]:
    """Build every image whose inputs changed, give it to the cluster, and return the keys by tag.

    Raises:
        CommandError: A build or a transfer failed; the message holds the end of its log.
    """
    keys: dict[str, str] = {}
    for recipe in RECIPES:
        name = reference(place, recipe.tag)
        image = build_image(recipe.target, name, recipe.arguments, settings=place.settings)
        given = _give(place, name, recipe.tag)
        keys[recipe.tag] = image.key
        console.say(f"image {name}: {'given to the cluster' if given else 'unchanged'}")
    return keys


def push_image(place: Place, built: str, tag: str) -> str:
    """Push a built image to the registry under a tag and return its full name.

    Raises:
        CommandError: The registry refused it; credentials are those of `docker login`.
    """
    name = reference(place, tag)
    archive = find_image(built, place.settings).archive
    words = ("push", "-q", *policy_flags(place.settings))
    buildah(place.settings, *words, f"oci-archive:{archive}", f"docker://{name}")
    return name


def _give(place: Place, name: str, tag: str) -> bool:
    if place.registry:
        push_image(place, name, tag)
        return True
    if place.loader:
        load_image_foreign(name, place.loader, place.settings)
        return True
    return load_image(name, place.settings)
