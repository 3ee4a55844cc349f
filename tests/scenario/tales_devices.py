"""Stories of trials on a GPU."""

from typing import Any

from tests.fakes.cases import NAMESPACE
from tests.fakes.devices import WHO
from tests.fakes.envelopes import finding
from tests.scenario.book import Act, Story
from tests.scenario.stories import Stage
from tests.scenario.tales_rollout import FORWARD, happy

_SICK = (finding("ECC_UNCORRECTED", "fail", f"{WHO}: 3 uncorrected ECC errors"),)


def on_a_gpu() -> Stage:
    """Return the shortest stage on which the server of every trial asks for a GPU."""
    stage = happy(probes={"benchmark": "Disabled", "versions": "Disabled"})

    def ask(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["resources"]["limits"]["nvidia.com/gpu"] = "1"

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", ask)
    return stage


def on_a_sick_gpu() -> Stage:
    """Return the same with a device that is sick until somebody has seen to it."""
    stage = on_a_gpu()
    stage.world.devices.gate = _SICK
    return stage


def _was_void(stage: Stage) -> bool:
    return any(trial.reason == "DeviceUnhealthy" for trial in stage.status().trials)


def _mend(stage: Stage) -> None:
    stage.world.devices.gate = ()


TALES = (
    Story("trials on a GPU", on_a_gpu, state="Stable", end=FORWARD, annotated=True),
    Story(
        "a sick GPU is mended",
        on_a_sick_gpu,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(Act(_was_void, _mend),),
    ),
)
