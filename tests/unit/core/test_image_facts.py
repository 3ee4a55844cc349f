"""What is known of an image without pulling it, and of a node's driver by its labels."""

import pytest

from infertune.core.image_facts import (
    ImageConfig,
    ImageFacts,
    ImageReference,
    facts_of,
    parse_reference,
    software_of_config,
    software_of_tag,
)
from infertune.core.node_driver import brand_of, driver_of_labels, driver_recorded
from infertune_probes.contract.compatibility import Driver, Software

DIGEST = "sha256:" + "ab" * 32
DEMANDED = "cuda>=12.4 brand=tesla,driver>=535,driver<536"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ubuntu", ImageReference("docker.io", "library/ubuntu", None, None)),
        ("nvidia/cuda:12", ImageReference("docker.io", "nvidia/cuda", "12", None)),
        ("localhost/r:1", ImageReference("localhost", "r", "1", None)),
        ("r.test:5000/a/b/c", ImageReference("r.test:5000", "a/b/c", None, None)),
        (f"r.test/a:1@{DIGEST}", ImageReference("r.test", "a", "1", DIGEST)),
        ("Not An Image", None),
        ("r.test/", None),
        ("", None),
    ],
)
def test_a_reference_is_read_as_a_runtime_reads_it(
    text: str, wanted: ImageReference | None
) -> None:
    assert parse_reference(text) == wanted


def test_a_registry_is_asked_for_the_digest_before_the_tag() -> None:
    assert [
        ImageReference("r", "a", tag, digest).version
        for tag, digest in (("1", DIGEST), ("1", None), (None, None))
    ] == [DIGEST, "1", "latest"]


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", Software("12.4.1", compat=True)),
        ("nvcr.io/nvidia/cuda:13.0.1-cudnn-devel-ubi9", Software("13.0.1", compat=True)),
        ("nvidia/cuda:11.8.0-cudnn8-runtime-x", Software("11.8.0", cudnn="8", compat=True)),
        ("mirror.test/dockerhub/nvidia/cuda:12.4.1", Software("12.4.1", compat=True)),
        (
            "pytorch/pytorch:2.7.0-cuda12.6-cudnn9-runtime",
            Software("12.6", "2.7.0", "9", compat=False),
        ),
        (
            f"pytorch/pytorch:2.7.0-cuda11.8-cudnn9-devel@{DIGEST}",
            Software("11.8", "2.7.0", "9", compat=True),
        ),
        ("pytorch/pytorch:latest", None),
        ("nvidia/cuda:latest", None),
        ("my/pytorch:2.7.0-cuda12.6-cudnn9-runtime", None),
        ("evilnvidia/cuda:12.4.1-base", None),
        ("vllm/vllm-openai:v0.10.0", None),
        (f"pytorch/pytorch@{DIGEST}", None),
        ("?", None),
    ],
)
def test_only_the_tags_of_two_publishers_tell_something(
    image: str, wanted: Software | None
) -> None:
    assert software_of_tag(image) == wanted


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (ImageConfig(), None),
        (ImageConfig({"PATH": "/bin"}, {"maintainer": "me"}), None),
        (
            ImageConfig({"CUDA_VERSION": "12.4.1", "NVIDIA_REQUIRE_CUDA": DEMANDED}),
            Software("12.4.1", compat=True, requires=DEMANDED),
        ),
        (
            ImageConfig({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_DISABLE_REQUIRE": "true"}),
            None,
        ),
        (
            ImageConfig({"NVIDIA_REQUIRE_CUDA": "cuda >= 12.4"}),
            Software(requires="cuda >= 12.4"),
        ),
        (
            ImageConfig(
                {"PYTORCH_VERSION": "2.7.0", "NCCL_VERSION": "2.26.2"},
                {"com.nvidia.cudnn.version": "9.5.1"},
            ),
            Software(torch="2.7.0", cudnn="9.5.1", nccl="2.26.2"),
        ),
        (ImageConfig({"NV_CUDA_COMPAT_PACKAGE": "cuda-compat-12-4"}), Software(compat=True)),
    ],
)
def test_what_a_config_tells(config: ImageConfig, wanted: Software | None) -> None:
    assert software_of_config(config) == wanted


def test_the_tag_names_the_release_that_the_config_leaves_open() -> None:
    """PyTorch's images name their torch in a variable; 2.7.0 comes for three CUDA releases."""
    image = "pytorch/pytorch:2.7.0-cuda11.8-cudnn9-runtime"
    found = facts_of(image, ImageConfig({"PYTORCH_VERSION": "2.7.0"}))
    assert found == ImageFacts(
        Software("11.8", "2.7.0", "9", compat=False), ("its config", "its tag")
    )


def test_a_declaration_stands_before_the_tag_and_behind_the_config() -> None:
    image = "nvidia/cuda:12.4.1-base"
    declared = Software("12.8", compat=False)
    config = ImageConfig({"CUDA_VERSION": "12.6"})
    assert facts_of(image, None, declared).software == Software("12.8", compat=False)
    assert facts_of(image, config, declared).software.cuda == "12.6"
    assert facts_of("private/server:7") == ImageFacts(Software())


def labels(**named: str) -> dict[str, str]:
    return {f"nvidia.com/{name.replace('_', '.')}": value for name, value in named.items()}


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({}, None),
        ({"nvidia.com/gpu.product": "Tesla-T4"}, None),
        (
            labels(
                cuda_driver_major="550",
                cuda_driver_minor="54",
                cuda_driver_rev="15",
                cuda_runtime_major="12",
                cuda_runtime_minor="4",
                gpu_product="NVIDIA-H100-80GB-HBM3",
                gpu_compute_major="9",
                gpu_compute_minor="0",
            ),
            Driver("550.54.15", "12.4", "nvidia", ("9.0",)),
        ),
        (labels(cuda_driver_major="535", cuda_driver_minor="98"), Driver("535.98")),
        (
            {
                "nvidia.com/cuda.driver-version.full": "580.65.06",
                "nvidia.com/cuda.runtime-version.full": "13.0",
            },
            Driver("580.65.06", "13.0"),
        ),
    ],
)
def test_the_driver_of_a_node_by_its_labels(found: dict[str, str], wanted: Driver | None) -> None:
    assert driver_of_labels(found) == wanted


@pytest.mark.parametrize(
    ("product", "brand"),
    [
        ("NVIDIA-GeForce-RTX-4090", "geforce"),
        ("NVIDIA-TITAN-V", "titan"),
        ("Tesla-T4", "nvidia"),
        ("NVIDIA-A100-SXM4-80GB", "nvidia"),
        ("NVIDIA H100 80GB HBM3", "nvidia"),
        ("NVIDIA-RTX-A6000", None),
        ("NVIDIA-T400-4GB", None),
        ("Orin", None),
        (None, None),
    ],
)
def test_a_brand_is_read_where_the_product_tells_it(product: str | None, brand: str | None) -> None:
    assert brand_of(product) == brand


def test_the_driver_that_a_probe_recorded() -> None:
    facts = {"version": "550.54", "cuda": "12.4", "brand": "nvidia", "computeCapabilities": ["9.0"]}
    gpu = {"probe": "gpu", "node": "a", "driver": None}
    statuses = [{}, {"probes": [gpu, {"probe": "versions", "node": "a", "driver": facts}]}]
    assert driver_recorded(statuses, "a") == Driver("550.54", "12.4", "nvidia", ("9.0",))
    assert driver_recorded(statuses, "b") is None
