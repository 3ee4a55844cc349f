"""An image that the driver of a node cannot run costs no trial; one that nobody knows is tried.

The target asks for a GPU, and its node has driver 550.54.15, which knows CUDA 12.4. The faster
image would win, as in the stories.
"""

from typing import Any

import pytest

from infertune_probes.contract.load import Envelope
from tests.fakes import envelopes
from tests.fakes.cases import FASTER_IMAGE, IMAGE, NAMESPACE, served_p95
from tests.fakes.controllers import World
from tests.scenario.stories import Stage

KNOBS = {
    "batchSize": {"env": "MAX_BATCH_SIZE", "values": [1, 4, 16]},
    "replicas": {"min": 1, "max": 6},
    "images": [FASTER_IMAGE],
}


def old_driver(node: str, now: Any) -> Envelope:
    return envelopes.a_driver(node, now, "550.54.15", "12.4")


def a_stage_with_a_gpu(cuda: str | None = None, **spec: Any) -> Stage:
    declared = {"imageVersions": [{"image": FASTER_IMAGE, "cuda": cuda}]} if cuda else {}
    world = World(served_p95, versions=old_driver)
    stage = Stage(world=world, knobs={**KNOBS, **declared}, **spec)

    def ask_for_a_gpu(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["resources"]["limits"]["nvidia.com/gpu"] = "1"

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", ask_for_a_gpu, "kubectl")
    return stage


def tried(stage: Stage) -> set[str]:
    return {trial.candidate.image for trial in stage.status().trials}


def test_an_image_too_new_for_the_driver_costs_no_trial_and_stands_in_the_status() -> None:
    stage = a_stage_with_a_gpu(cuda="13.0")
    stage.settle()
    status = stage.status()
    assert tried(stage) == {IMAGE}
    (rejected,) = status.rejected_images
    assert (rejected.image, rejected.node) == (FASTER_IMAGE, "node-1")
    assert rejected.reason.startswith("driver 550.54.15 is too old for CUDA 13.x")
    assert rejected.fix.startswith("install driver 580 or newer")
    (driver,) = [probe.driver for probe in status.probes if probe.driver is not None]
    assert (driver.version, driver.cuda, driver.compute_capabilities) == (
        "550.54.15",
        "12.4",
        ("9.0",),
    )
    assert stage.state() == "Stable"
    assert status.recommendation is not None
    assert status.recommendation.configuration.image == IMAGE
    told = [event for _, event in stage.cluster.events if event.reason == "ImageRejected"]
    assert [event.type for event in told] == ["Warning"]


@pytest.mark.parametrize("cuda", [None, "12.8"])
def test_an_image_that_runs_or_that_nobody_knows_is_tried(cuda: str | None) -> None:
    stage = a_stage_with_a_gpu(cuda=cuda)
    stage.settle()
    assert tried(stage) == {IMAGE, FASTER_IMAGE}
    assert stage.status().rejected_images == ()


def test_without_the_probe_nothing_is_rejected() -> None:
    stage = a_stage_with_a_gpu(cuda="13.0", probes={"versions": "Disabled"})
    stage.settle()
    assert tried(stage) == {IMAGE, FASTER_IMAGE}
    assert [probe.probe for probe in stage.status().probes] == ["gpu", "benchmark"]


def test_a_declaration_that_is_corrected_brings_the_image_back() -> None:
    stage = a_stage_with_a_gpu(cuda="13.0")
    stage.settle()
    corrected = {**KNOBS, "imageVersions": [{"image": FASTER_IMAGE, "cuda": "12.8"}]}
    stage.edit_spec(lambda spec: spec.update(knobs=corrected))
    stage.harness.step(1.0)
    stage.until("Searching", "Deciding")
    stage.settle()
    assert tried(stage) == {IMAGE, FASTER_IMAGE}
    assert stage.status().rejected_images == ()
