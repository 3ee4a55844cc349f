"""Images that cannot run on the nodes of the target are rejected, and only by what is known."""

from typing import Any

import pytest

from infertune.api.node_status import DriverFacts, ProbeSummary, RejectedImage
from infertune.api.spec import TuningSpec
from infertune.api.status import TargetFacts
from infertune.api.v1alpha1 import SpecError, parse_spec
from infertune.core.image_preflight import drivers_of, rejected_images
from infertune.core.node_driver import recorded_driver
from infertune.core.resolve import Resolved, resolve
from infertune_probes.contract.compatibility import Driver
from tests.builders import (
    IMAGE,
    NOW,
    TARGET_UID,
    container_of,
    context_of,
    deployment_of,
    raw_spec,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    tuning_of,
)
from tests.fakes import envelopes

CUDA_13 = "pytorch/pytorch:2.11.0-cuda13.0-cudnn9-runtime"
CUDA_12 = "pytorch/pytorch:2.7.0-cuda12.6-cudnn9-runtime"
PRIVATE = "registry.test/server:7"
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
OLD = DriverFacts(version="550.54.15", cuda="12.4", brand="nvidia")
NEW = DriverFacts(version="580.65.06", cuda="13.0", brand="nvidia")
LABELS = {"nvidia.com/cuda.driver.major": "550", "nvidia.com/cuda.driver.minor": "54"}


def rejected(
    drivers: dict[str, DriverFacts | None],
    images: tuple[str, ...] = (CUDA_13, CUDA_12, PRIVATE),
    container: dict[str, Any] | None = None,
    probes: dict[str, Any] | None = None,
    versions: tuple[dict[str, Any], ...] = (),
    **world: Any,
) -> tuple[RejectedImage, ...]:
    knobs = {"images": images, "imageVersions": versions}
    spec = spec_of(knobs=knobs, probes=probes or {})
    summaries = tuple(
        ProbeSummary(probe="versions", node=node, driver=facts) for node, facts in drivers.items()
    )
    target = TargetFacts(uid=TARGET_UID, container="server", nodes=tuple(drivers) or ("node-1",))
    status = status_of("Searching", probes=summaries, target=target)
    raw = deployment_of(container or container_of(**GPU))
    snapshot = snapshot_of(tuning_of(status, spec), target=target_of(raw), **world)
    resolved = resolve(snapshot, spec)
    assert isinstance(resolved, Resolved)
    return rejected_images(context_of(snapshot), resolved)


def test_an_image_that_is_too_new_for_a_node_is_rejected_with_node_reason_and_fix() -> None:
    assert rejected({"node-1": NEW, "node-2": OLD}) == (
        RejectedImage(
            image=CUDA_13,
            node="node-2",
            reason="driver 550.54.15 is too old for CUDA 13.x, which needs 580 or newer, and "
            "nothing brings cuda-compat-13-0 along",
            fix="install driver 580 or newer, or use an image built with CUDA 12.x, or on a "
            "data-centre GPU an image with cuda-compat-13-0",
        ),
    )


@pytest.mark.parametrize(
    "world",
    [
        pytest.param({"drivers": {"node-1": NEW}}, id="every image runs"),
        pytest.param({"drivers": {"node-1": None}}, id="no driver was read"),
        pytest.param({"drivers": {}}, id="nothing was probed"),
        pytest.param({"drivers": {"node-1": OLD}, "container": container_of()}, id="no GPU asked"),
        pytest.param(
            {"drivers": {"node-1": OLD}, "probes": {"versions": "Disabled"}}, id="switched off"
        ),
        pytest.param(
            {"drivers": {"node-1": OLD}, "container": container_of(image=CUDA_13, **GPU)},
            id="it runs today",
        ),
        pytest.param({"drivers": {"node-1": OLD}, "images": (PRIVATE,)}, id="a tag that is silent"),
        pytest.param(
            {
                "drivers": {"node-1": OLD},
                "images": (PRIVATE,),
                "versions": ({"image": PRIVATE, "cuda": "13.0", "cudaCompat": True},),
            },
            id="cuda-compat stands in",
        ),
    ],
)
def test_nothing_is_rejected(world: dict[str, Any]) -> None:
    assert rejected(**world) == ()


@pytest.mark.parametrize(
    "declared", [{"cuda": "13.0"}, {"torch": "2.11.0"}, {"torch": "2.7.0+cu130", "cuda": "13.0"}]
)
def test_a_declaration_speaks_where_the_tag_is_silent(declared: dict[str, Any]) -> None:
    versions = ({"image": PRIVATE, **declared},)
    found = rejected({"node-1": OLD}, images=(PRIVATE,), versions=versions)
    assert [one.image for one in found] == [PRIVATE]


def test_labels_of_a_node_speak_where_no_probe_did() -> None:
    labels = {"node_labels": {"node-1": LABELS}}
    assert [one.image for one in rejected({"node-1": None}, **labels)] == [CUDA_13]
    assert rejected({"node-1": NEW}, **labels) == ()


def test_a_node_that_the_target_has_left_speaks_no_more() -> None:
    summaries = tuple(
        ProbeSummary(probe="versions", node=node, driver=facts)
        for node, facts in (("node-1", NEW), ("gone", OLD))
    )
    snapshot = snapshot_of(tuning_of(status_of("Searching", probes=summaries)))
    assert drivers_of(context_of(snapshot)) == {
        "node-1": Driver("580.65.06", "13.0", "nvidia"),
    }


def test_what_a_probe_of_versions_leaves_in_status() -> None:
    found = envelopes.a_driver("node-1", NOW, "550.54.15", "12.4", ("9.0", "7.5", "9.0")).versions
    assert recorded_driver(found) == DriverFacts(
        version="550.54.15", cuda="12.4", brand="nvidia", compute_capabilities=("7.5", "9.0")
    )
    assert recorded_driver(envelopes.no_driver("node-1", NOW).versions) is None
    assert recorded_driver(envelopes.no_gpu("node-1", NOW).versions) is None


@pytest.mark.parametrize(
    ("versions", "problem"),
    [
        ([{"image": "other:1", "cuda": "12.6"}], "'other:1' is not in knobs.images: add it there"),
        ([{"image": IMAGE}], f"imageVersions of '{IMAGE}' needs cuda or torch: add one"),
        ([{"image": IMAGE, "cuda": "12.6"}] * 2, "names an image twice: remove one"),
        ([{"image": IMAGE, "cuda": "12"}], "knobs.imageVersions.0.cuda"),
    ],
)
def test_a_declaration_that_says_nothing_is_refused_with_the_fix(
    versions: list[dict[str, Any]], problem: str
) -> None:
    found = parse_spec(raw_spec(knobs={"images": [IMAGE], "imageVersions": versions}))
    assert isinstance(found, SpecError)
    assert problem in str(found)
    assert not isinstance(found, TuningSpec)
