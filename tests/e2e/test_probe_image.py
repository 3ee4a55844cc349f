"""The slim probe image on a real node: how large it is, and what its probes take there."""

import json
import re
import tarfile
from typing import Any

import pytest

from demo.image_set import PROBES
from demo.kubectl import manifests
from devcluster.images import find_image
from tests.e2e.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.ci, pytest.mark.timeout(300, func_only=True)]
MOST_COMPRESSED_BYTES = 200e6
MOST_MEMORY_BYTES = 120e6
POD = "probe-memory"
NAMESPACE = "default"
# Read in the pod itself: the kernel's own peak of the group, its page cache included.
MEASURE = """
import json, pathlib, resource, subprocess, sys
found = {}
for probe, *flags in (["gpu"], ["versions"], ["system", "--window", "2"]):
    words = [sys.executable, "-m", "infertune_probes." + probe, *flags, "--output", "-"]
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    found[probe] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
group = pathlib.Path("/sys/fs/cgroup/memory.peak")
group = group if group.exists() else pathlib.Path(
    "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
found["group"] = int(group.read_text()) if group.exists() else None
print("MEASURED", json.dumps(found))
"""


def manifest(image: str) -> dict[str, Any]:
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "probe",
        "image": image,
        "command": ["python", "-c", MEASURE],
        "securityContext": security,
        "resources": {"limits": {"memory": "512Mi"}},
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532},
        "automountServiceAccountToken": False,
    }
    metadata = {"name": POD, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}


def compressed_bytes(archive: str) -> int:
    """Return the sum of the layers as a registry would send them; each must be compressed."""
    with tarfile.open(archive) as image:
        sizes = {member.name: member.size for member in image.getmembers()}

        def read(digest: str) -> dict[str, Any]:
            stream = image.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert stream is not None
            found: dict[str, Any] = json.load(stream)
            return found

        stream = image.extractfile("index.json")
        assert stream is not None
        (entry,) = json.load(stream)["manifests"]
        layers = read(entry["digest"])["layers"]
    assert {layer["mediaType"].rpartition("+")[2] for layer in layers} == {"gzip"}
    return sum(sizes[f"blobs/{layer['digest'].replace(':', '/')}"] for layer in layers)


def test_the_slim_image_is_small_to_pull(node: Node) -> None:
    archive = find_image(node.images[PROBES], node.place.settings).archive
    size = compressed_bytes(str(archive))
    print(f"probe image: {size / 1e6:.1f} MB compressed")  # noqa: T201  # the figure of the guide
    assert size <= MOST_COMPRESSED_BYTES


def test_its_probes_take_little_memory_on_a_read_only_file_system(node: Node) -> None:
    cluster = node.place.cluster
    where = f"--namespace={NAMESPACE}"
    cluster.run("delete", "pod", POD, where, "--ignore-not-found", "--wait=true")
    cluster.apply(manifests([manifest(node.images[PROBES])]))
    try:
        cluster.run(
            "wait", f"pod/{POD}", where, "--for=jsonpath={.status.phase}=Succeeded",
            "--timeout=120s",
        )  # fmt: skip
        log = cluster.run("logs", POD, where)
    finally:
        cluster.run("delete", "pod", POD, where, "--ignore-not-found", "--wait=false")
    (line,) = re.findall(r"^MEASURED (.*)$", log, re.MULTILINE)
    found: dict[str, int | None] = json.loads(line)
    print(f"bytes of memory at peak: {found}")  # noqa: T201  # the figures of the guide
    assert all(found[name] for name in ("gpu", "versions", "system"))
    assert max(bytes_ or 0 for bytes_ in found.values()) <= MOST_MEMORY_BYTES
