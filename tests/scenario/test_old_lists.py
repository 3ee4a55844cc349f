"""Whole lists of arguments, as an earlier version kept them, lead back all the same.

That version wrote ``args`` and ``command`` whole into the intent, in status and annotation. Its
records are made here of today's, by putting the lists in their place.
"""

import json
from typing import Any

import pytest

from infertune.api.v1alpha1 import KIND
from infertune.core.ownership import FIELD_MANAGER
from tests.fakes.cases import NAMESPACE
from tests.scenario.canaries import IN_ARGUMENT, leaks_in, plant
from tests.scenario.stories import Stage
from tests.scenario.tales_settings import broken_settings
from tests.scenario.test_config_copies import at_first
from tests.scenario.test_settings_loop import container_of, edit_container

RECORD = "infertune.io/last-good"
Raw = dict[str, Any]


def with_whole_lists(intent: Raw, before: list[str], after: list[str]) -> Raw:
    """Return an intent in the form of the earlier version."""
    found = dict(intent)
    for side, tokens in (("before", before), ("after", after)):
        found[side] = {k: v for k, v in intent[side].items() if k != "ownArgs"} | {"args": tokens}
    return found


def left_by_an_earlier_version(state: str) -> tuple[Stage, Raw]:
    """Return a stage in the middle of a rollout that goes back, and the template before it."""
    stage = broken_settings()
    plant(stage)
    stood = stage.target()["spec"]["template"]
    before = container_of(stage)["args"]
    at_first(stage, state)
    lists = before, [*before, "--fuse=on"]

    def older_status(raw: Raw) -> None:
        rollout = raw["status"]["rollout"]
        rollout["intent"] = with_whole_lists(rollout["intent"], *lists)

    def older_record(raw: Raw) -> None:
        text = (raw["metadata"].get("annotations") or {}).get(RECORD)
        if text is not None:
            record = json.loads(text)
            record["intent"] = with_whole_lists(record["intent"], *lists)
            raw["metadata"]["annotations"][RECORD] = json.dumps(record)

    stage.cluster.store.edit(KIND, *stage.place(), older_status, FIELD_MANAGER)
    for kind in ("Deployment", "HorizontalPodAutoscaler"):
        stage.cluster.store.edit(kind, NAMESPACE, "server", older_record, FIELD_MANAGER)
    assert IN_ARGUMENT in json.dumps(stage.cluster.store.read(KIND, *stage.place()))
    return stage, stood


@pytest.mark.parametrize("state", ["Applying", "Verifying", "RollingBack"])
def test_a_rollout_of_an_earlier_version_goes_on_and_back_to_the_letter(state: str) -> None:
    stage, stood = left_by_an_earlier_version(state)
    stage.harness.start_operator()
    stage.settle()
    assert (stage.state(), stage.target()["spec"]["template"]) == ("Halted", stood)
    assert stage.bounds() == (2, 2)
    assert leaks_in(stage) == set()


def test_a_rollout_that_only_the_earlier_annotation_remembers_goes_back() -> None:
    stage, stood = left_by_an_earlier_version("Verifying")
    stage.cluster.store.edit(KIND, *stage.place(), lambda raw: raw.update(status={}))
    stage.harness.start_operator()
    stage.until("RollingBack")
    stage.until("Pending", "Searching", "Halted")
    assert stage.target()["spec"]["template"] == stood


def test_another_argument_changed_since_still_stops_the_way_back() -> None:
    stage, _ = left_by_an_earlier_version("Verifying")
    edit_container(stage, lambda raw: raw["args"].append("--verbose"))
    stage.harness.start_operator()
    stage.settle()
    assert stage.state() == "Halted"
    assert container_of(stage)["args"][-2:] == ["--fuse=on", "--verbose"]
    assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
