"""Settings through the whole loop: what is found, what is only said, and whose list it is."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.fakes.cases import NAMESPACE
from tests.fakes.controllers import World
from tests.scenario.stories import Stage
from tests.scenario.tales_settings import happy_settings
from tests.scenario.test_config_copies import at_first

Container = dict[str, Any]
LIMITS = {"min": 1, "max": 6}


def container_of(stage: Stage) -> Container:
    """Return the only container of the target."""
    (found,) = stage.target()["spec"]["template"]["spec"]["containers"]
    return dict(found)


def edit_container(stage: Stage, change: Callable[[Container], None]) -> None:
    """Let a human change the container of the target."""

    def edit(raw: dict[str, Any]) -> None:
        change(raw["spec"]["template"]["spec"]["containers"][0])

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", edit)


def variable(container: Mapping[str, Any], name: str) -> str | None:
    """Return the value of a variable."""
    return next((e.get("value") for e in container["env"] if e["name"] == name), None)


def writes(stage: Stage) -> int:
    """How often we tried to write to the target or its autoscaler."""
    return stage.cluster.calls.count("apply_fields")


def stage_of(
    capacity: Callable[[Mapping[str, Any]], float],
    *settings: dict[str, Any],
    replicas: Mapping[str, int] = LIMITS,
) -> Stage:
    """Return a stage whose server carries what this function says of its container."""

    def serve(container: Mapping[str, Any], rate: float) -> float:
        spare = 1 - rate / capacity(container)
        return 5000.0 if spare <= 0.006 else 30.0 / spare

    knobs = {"settings": list(settings), "replicas": dict(replicas)}
    return Stage(mode="Apply", knobs=knobs, world=World(serve=serve))


class TestShellString:
    LINE = "exec serve --port=80 --fuse off"

    def stage(self) -> tuple[Stage, list[str]]:
        """Return a stage whose server is started by a shell, and the strings that it was given."""
        seen: list[str] = []

        def capacity(container: Mapping[str, Any]) -> float:
            seen.append(container["command"][2])
            return 60.0 if "--fuse on" in seen[-1] else 20.0

        fuse = {"name": "fuse", "argument": "--fuse", "values": ["on"], "affectsAnswers": False}
        stage = stage_of(capacity, fuse)
        edit_container(stage, lambda raw: raw.update(command=["sh", "-c", self.LINE]))
        return stage, seen

    def test_trials_turn_it_and_the_target_is_left_to_its_author(self) -> None:
        stage, seen = self.stage()
        template = stage.target()["spec"]["template"]
        stage.settle()
        assert set(seen) == {self.LINE, "exec serve --port=80 --fuse on"}
        found = stage.status().recommendation
        assert found is not None
        assert found.configuration.settings == {"fuse": "on"}
        assert stage.conditions()["Applied"] == ("False", "ShellCommand")
        line = "in command[2] of container 'server' change --fuse from off to on"
        assert line in stage.message("Applied")
        assert (stage.state(), stage.target()["spec"]["template"]) == ("Stable", template)
        assert (stage.bounds(), writes(stage)) == ((2, 2), 0)


class TestQualityGate:
    """A setting may change what the server answers, unless the spec says that it does not."""

    def stage(self, most: int, **setting: Any) -> Stage:
        """Return a stage that needs six replicas without turbo, and two with it."""
        turbo = {"name": "turbo", "env": "TURBO", "values": ["off", "on"]}
        stage = stage_of(
            lambda c: 60.0 if variable(c, "TURBO") == "on" else 20.0,
            turbo | setting,
            replicas={"min": 1, "max": most},
        )
        edit_container(stage, lambda raw: raw["env"].append({"name": "TURBO", "value": "off"}))
        return stage

    @pytest.mark.parametrize("declared", [{}, {"affectsAnswers": True}])
    def test_without_a_check_it_is_recommended_only_and_said_so(
        self, declared: dict[str, Any]
    ) -> None:
        stage = self.stage(3, **declared)
        stage.settle()
        found = stage.status().recommendation
        assert found is not None
        assert (found.configuration.settings, found.unchecked) == ({"turbo": "on"}, ("turbo",))
        assert stage.conditions()["Applied"] == ("False", "QualityUndeclared")
        words = "turbo=on is recommended only: spec.quality declares no check"
        assert stage.message("Applied") == words
        assert (variable(container_of(stage), "TURBO"), writes(stage)) == ("off", 0)

    def test_what_needs_no_check_is_applied_and_what_was_withheld_is_told(self) -> None:
        stage = self.stage(6)
        stage.settle()
        found = stage.status().recommendation
        assert found is not None
        assert (found.configuration.settings, found.unchecked) == ({"turbo": "off"}, ())
        assert found.withheld is not None
        assert found.withheld.endswith("turbo=on")
        assert stage.conditions()["Applied"] == ("True", "RolledOut")
        assert (variable(container_of(stage), "TURBO"), stage.bounds()) == ("off", (2, 6))

    def test_one_that_changes_no_answer_needs_no_check(self) -> None:
        stage = self.stage(6, affectsAnswers=False)
        stage.settle()
        assert stage.conditions()["Applied"] == ("True", "RolledOut")
        assert variable(container_of(stage), "TURBO") == "on"


class TestSearch:
    def test_two_settings_beside_each_other_find_the_planted_best(self) -> None:
        """Nine points; one of them carries 70 requests/s, the next best of them 49."""
        modes = {"slow": 10.0, "mid": 20.0, "fast": 35.0}
        threads = {"1": 1.0, "4": 2.0, "8": 1.4}

        def capacity(container: Mapping[str, Any]) -> float:
            return (
                modes[str(variable(container, "MODE"))]
                * threads[str(variable(container, "THREADS"))]
            )

        stage = stage_of(
            capacity,
            {"name": "mode", "env": "MODE", "values": list(modes), "affectsAnswers": False},
            {"name": "threads", "env": "THREADS", "values": list(threads), "affectsAnswers": False},
        )
        today = [{"name": "MODE", "value": "slow"}, {"name": "THREADS", "value": "1"}]
        edit_container(stage, lambda raw: raw["env"].extend(today))
        stage.settle()
        container = container_of(stage)
        assert stage.state() == "Stable"
        assert (variable(container, "MODE"), variable(container, "THREADS")) == ("fast", "4")
        tried = {tuple((t.candidate.settings or {}).items()) for t in stage.status().trials}
        assert len(tried) < 9

    @pytest.mark.parametrize("values", [[16, 1, 1_048_576, 4], [1, 4, 16, 1_048_576]])
    def test_batch_caps_in_any_order_and_of_any_size(self, values: list[int]) -> None:
        """The largest does not fit into memory and leaves the rest of the search as it was; caps
        of 4 and of 16 both carry the peak with two replicas."""
        knob = {"env": "MAX_BATCH_SIZE", "values": values}
        stage = Stage(mode="Apply", knobs={"batchSize": knob, "replicas": LIMITS})

        def fails(container: Mapping[str, Any]) -> str | None:
            return "OOMKilled" if variable(container, "MAX_BATCH_SIZE") == "1048576" else None

        stage.world.server_fails = fails
        stage.settle()
        tried = [(t.candidate.batch_size, t.reason) for t in stage.status().trials]
        assert tried[:4] == [(1, None), (16, None), (1_048_576, "OutOfMemory"), (4, None)]
        assert (stage.state(), stage.values()[1], stage.bounds()) == ("Stable", "4", (1, 3))

    def test_a_cap_that_is_not_among_the_values_is_still_the_first_trial(self) -> None:
        knob = {"env": "MAX_BATCH_SIZE", "values": [1_048_576, 16]}
        stage = Stage(mode="Apply", knobs={"batchSize": knob, "replicas": LIMITS})
        stage.settle()
        assert stage.status().trials[0].candidate.batch_size == 1
        assert (stage.state(), stage.values()[1]) == ("Stable", "16")


class TestContainerRenamed:
    """The spec names no container, since the pod has one; somebody gives it another name."""

    def test_before_the_decision_the_new_name_is_written(self) -> None:
        stage = Stage(mode="Apply")
        at_first(stage, "Deciding")
        edit_container(stage, lambda raw: raw.update(name="main"))
        stage.settle()
        container = container_of(stage)
        assert (container["name"], variable(container, "MAX_BATCH_SIZE")) == ("main", "16")
        assert stage.state() == "Stable"

    def test_after_the_decision_nothing_is_written_under_the_old_name(self) -> None:
        stage = Stage(mode="Apply")
        at_first(stage, "Applying")
        edit_container(stage, lambda raw: raw.update(name="main"))
        stood = stage.target()["spec"]["template"]
        stage.settle()
        assert (stage.state(), stage.target()["spec"]["template"]) == ("Halted", stood)


class TestAnotherArgument:
    """A human's edit of the list in which our flag stands, another flag of it."""

    @pytest.mark.parametrize("state", ["Applying", "Verifying"])
    @pytest.mark.parametrize("more", [["--verbose"], []], ids=["one more", "one less"])
    def test_the_list_of_the_human_stands_at_the_end(self, state: str, more: list[str]) -> None:
        stage = happy_settings()
        at_first(stage, state)
        theirs: list[str] = []

        def change(container: Container) -> None:
            container["args"] = [*container["args"], *more] if more else container["args"][1:]
            theirs.extend(container["args"])

        edit_container(stage, change)
        stage.settle()
        for _ in range(5):
            stage.harness.step(60.0)
        assert (stage.state(), container_of(stage)["args"]) == ("Halted", theirs)
        assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
        words = stage.message("FieldConflict")
        assert "spec.template.spec.containers[name=server].args" in words
        assert ("while it was verified" in words) == (state == "Verifying")
