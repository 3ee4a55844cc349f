"""Every place of a setting, written forward and back, on the fake and on a real API server."""

from typing import Any

import pytest

from infertune.api.knobs import Knobs
from infertune.api.quantities import canonical
from infertune.api.spec import TuningSpec
from infertune.api.status import RolloutIntent
from infertune.api.v1alpha1 import parse_spec
from infertune.core.config_copies import names_to_read
from infertune.core.manifests.config_copy import target_copies
from infertune.core.plan import ApplyFields, DeleteObject
from infertune.core.snapshot import Key
from infertune.core.space import Candidate
from infertune.core.turning import Stand, changes_between, held, turned
from infertune.core.writes import LiveObjects, Write, next_write
from infertune.ports import FieldTaken
from tests.conformance.objects import target
from tests.conformance.stages import Raw, RealStage, Stage
from tests.fakes import cases

IMAGE = str(target()["spec"]["template"]["spec"]["containers"][0]["image"])
SETTINGS: dict[str, dict[str, Any]] = {
    "env": {"env": "LOG_LEVEL", "values": ["debug"]},
    "env-absent": {"env": "FUSE", "values": ["on"]},
    "env-empty": {"env": "EMPTY", "values": ["full"]},
    "args": {"argument": "--dtype", "values": ["int8"]},
    "args-absent": {"argument": "--eager", "argumentForm": "Bare", "values": ["true"]},
    "command": {"argument": "--workers", "values": ["4"]},
    "cpu": {"resource": {"name": "cpu"}, "values": ["1500m"]},
    "memory": {"resource": {"name": "memory", "bound": "Limits"}, "values": ["0.5Gi"]},
    "gpu": {"resource": {"name": "nvidia.com/gpu"}, "values": ["1"]},
    "volume": {"configMap": {"name": "server-config", "key": "mode.txt"}, "values": ["fast"]},
    "env-reference": {"configMap": {"name": "server-env", "key": "level"}, "values": ["9"]},
}


FIRST = (
    *("env", "env-absent", "args", "args-absent", "command", "cpu"),
    *("volume", "env-reference"),
)


def served() -> Raw:
    """Return a target in which every place of a setting is there, or could be."""
    raw = target()
    pod = raw["spec"]["template"]["spec"]
    container = pod["containers"][0]
    reference = {"name": "server-env", "key": "level", "optional": True}
    container |= {
        "command": ["serve", "--workers", "1"],
        "args": ["--dtype=fp32", "--port", "80"],
        "resources": {"requests": {"cpu": "200m"}, "limits": {"cpu": "200m", "memory": "1Gi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    container["env"] += [
        {"name": "EMPTY", "value": ""},
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": reference}},
    ]
    items = [{"key": "mode.txt", "path": "mode"}]
    volume = {"name": "config", "configMap": {"name": "server-config", "items": items}}
    pod["volumes"] = [volume, {"name": "scratch", "emptyDir": {}}]
    return raw


class Turning:
    """A target with its ConfigMaps, and rollouts of settings over it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.deployment = stage.add(served())
        self.namespace = self.deployment["metadata"]["namespace"]
        for name, data in (("server-config", {"mode.txt": "slow"}), ("server-env", {"level": "1"})):
            binary = {"blob": "AAEC"} if name == "server-config" else {}
            head = {"apiVersion": "v1", "kind": "ConfigMap", "binaryData": binary, "data": data}
            stage.add({**head, "metadata": {"name": name, "namespace": self.namespace}})

    def live(self) -> Raw:
        found = self.stage.read(self.deployment)
        assert found is not None
        return found

    def template(self) -> Raw:
        found: Raw = self.live()["spec"]["template"]
        return found

    def intent(self, *names: str, image: str = IMAGE) -> RolloutIntent:
        """Return the intent of these settings at their declared values; copies are made."""
        knobs = [{"name": name, **SETTINGS[name]} for name in names]
        raw = cases.tuning()["spec"] | {"knobs": {"settings": knobs, "images": [image]}}
        spec = parse_spec(raw)
        assert isinstance(spec, TuningSpec), str(spec)
        stand = self._stand(spec)
        values = tuple((name, SETTINGS[name]["values"][0]) for name in names)
        uid = self.live()["metadata"]["uid"]
        wanted = turned(stand, spec.knobs, Candidate(image, None, values), uid)
        for manifest in target_copies(wanted.copies, self.namespace, self.live()):
            self.stage.cluster.create_object(manifest)
            self.stage.cluster.create_object(manifest)
        before, after = changes_between(held(stand, spec.knobs), wanted.values)
        return RolloutIntent(
            id="0123456789ab",
            target_uid=uid,
            container="server",
            before=before,
            after=after,
            tuning_name="demo",
        )

    def _stand(self, spec: TuningSpec) -> Stand:
        template = self.template()
        fetch = self.stage.cluster.fetch_whole_config_map
        sources = {n: fetch(self.namespace, n) for n in names_to_read(spec, template)}
        there = {name: raw for name, raw in sources.items() if raw is not None}
        return Stand(template, template["spec"]["containers"][0], there)

    def effect(self, intent: RolloutIntent, *, back: bool = False) -> ApplyFields | None:
        spec = parse_spec(cases.tuning()["spec"])
        assert isinstance(spec, TuningSpec)
        live = LiveObjects(self.live(), None)
        key = Key(self.namespace, "demo")
        step = next_write(key, spec, intent, live, back=back, patient=False)
        return step.effect if isinstance(step, Write) else None

    def write(self, intent: RolloutIntent, *, back: bool = False) -> int:
        """Carry out the writes of one direction; return how many there were."""
        count = 0
        while (effect := self.effect(intent, back=back)) is not None:
            self.stage.cluster.apply_fields(effect)
            count += 1
            assert count < 4, "a write that is never done"
        return count


@pytest.mark.parametrize("place", SETTINGS)
def test_a_setting_is_written_in_one_write_and_goes_back_to_the_letter(
    stage: Stage, place: str
) -> None:
    turning = Turning(stage)
    before = turning.template()
    intent = turning.intent(place)
    assert turning.write(intent) == 1
    after = turning.template()
    assert after != before
    assert turning.write(intent) == 0
    assert turning.write(intent, back=True) == 1
    assert turning.template() == before


def test_all_settings_at_once_are_one_write_and_a_later_rollout_keeps_them(stage: Stage) -> None:
    turning = Turning(stage)
    before = turning.template()
    first = turning.intent(*FIRST)
    assert turning.write(first) == 1
    pod = turning.template()["spec"]
    container = pod["containers"][0]
    env = {entry["name"]: entry for entry in container["env"]}
    assert (env["LOG_LEVEL"]["value"], env["FUSE"]["value"]) == ("debug", "on")
    assert container["command"] == ["serve", "--workers", "4"]
    assert container["args"] == ["--dtype=int8", "--port", "80", "--eager"]
    assert container["resources"] == {
        "requests": {"cpu": "1500m"},
        "limits": {"cpu": "1500m", "memory": "1Gi"},
    }
    reference = env["LEVEL"]["valueFrom"]["configMapKeyRef"]
    assert (reference["key"], reference["optional"]) == ("level", True)
    volume = pod["volumes"][0]["configMap"]
    assert volume["items"] == [{"key": "mode.txt", "path": "mode"}]
    copy = stage.cluster.fetch_whole_config_map(turning.namespace, volume["name"])
    assert copy is not None
    assert (copy["data"], copy["binaryData"]) == ({"mode.txt": "fast"}, {"blob": "AAEC"})
    assert copy["immutable"] is True
    settled = turning.template()
    second = turning.intent("gpu", "memory", image="demo-server:other")
    assert turning.write(second) == 1
    settled["spec"]["containers"][0] |= {
        "image": "demo-server:other",
        "resources": {
            "requests": {"cpu": "1500m", "nvidia.com/gpu": "1"},
            "limits": {"cpu": "1500m", "memory": "512Mi", "nvidia.com/gpu": "1"},
        },
    }
    assert turning.template() == settled
    assert turning.write(second, back=True) >= 1
    assert turning.write(first, back=True) >= 1
    assert turning.template() == before


def test_an_argument_that_somebody_changed_meanwhile_is_never_written_over(stage: Stage) -> None:
    turning = Turning(stage)
    intent = turning.intent("args")
    effect = turning.effect(intent)
    assert effect is not None

    def port(raw: Raw) -> None:
        args = raw["spec"]["template"]["spec"]["containers"][0]["args"]
        args[args.index("80")] = "81"

    stage.edit(turning.deployment, port)
    with pytest.raises(FieldTaken) as taken:
        stage.cluster.apply_fields(effect)
    assert taken.value.field == "spec.template.spec.containers[name=server].args"
    args = turning.template()["spec"]["containers"][0]["args"]
    assert args == ["--dtype=fp32", "--port", "81"]


def test_an_argument_changed_after_the_write_stops_the_way_back_too(stage: Stage) -> None:
    turning = Turning(stage)
    intent = turning.intent("args")
    turning.write(intent)

    def port(raw: Raw) -> None:
        raw["spec"]["template"]["spec"]["containers"][0]["args"] = ["--dtype=int8", "--port", "81"]

    stage.edit(turning.deployment, port)
    effect = turning.effect(intent, back=True)
    assert effect is not None
    with pytest.raises(FieldTaken):
        stage.cluster.apply_fields(effect)
    assert turning.template()["spec"]["containers"][0]["args"][2] == "81"


def test_what_an_earlier_rollout_wrote_and_somebody_changes_meanwhile_stays_theirs(
    stage: Stage,
) -> None:
    """Between the decision and the write; the write forces, since it adopts another field."""
    turning = Turning(stage)
    turning.write(turning.intent("args", "env"))
    effect = turning.effect(turning.intent("memory"))
    assert effect is not None
    assert effect.adopt

    def change(raw: Raw) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["args"] = ["--dtype=int8", "--port", "81"]
        next(e for e in container["env"] if e["name"] == "LOG_LEVEL")["value"] = "trace"

    stage.edit(turning.deployment, change)
    stage.cluster.apply_fields(effect)
    container = turning.template()["spec"]["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (container["args"], env["LOG_LEVEL"]) == (["--dtype=int8", "--port", "81"], "trace")
    assert container["resources"]["limits"]["memory"] == "512Mi"


def test_copies_are_listed_with_their_owner_and_removed_by_uid(stage: Stage) -> None:
    turning = Turning(stage)
    turning.intent("volume", "env-reference")
    copies = stage.cluster.list_copies(turning.namespace)
    assert {copy.name.rpartition("-")[0] for copy in copies} == {
        "server-config-infertune",
        "server-env-infertune",
    }
    owner = frozenset({turning.live()["metadata"]["uid"]})
    assert {copy.owner_uids for copy in copies} == {owner}
    for copy in copies:
        gone = DeleteObject("v1", "ConfigMap", turning.namespace, copy.name, copy.uid)
        stage.cluster.delete_object(gone)
    assert stage.cluster.list_copies(turning.namespace) == ()


SPELLINGS = "1000m 1.5 0.1 2 1000 12345m 100000 0.001 1024Mi 0.5Gi 1500Mi 1Ti 1000Ki 100k 1000k 1G"


@pytest.mark.real_api
def test_quantities_are_spelled_as_the_api_server_stores_them(kubeconfig: Any) -> None:
    stage = RealStage(kubeconfig)
    try:
        raw = target()
        for at, spelling in enumerate(SPELLINGS.split()):
            entry = {"name": f"c{at}", "image": "x", "resources": {"limits": {"cpu": spelling}}}
            raw["spec"]["template"]["spec"]["containers"].append(entry)
        stored = stage.add(raw)["spec"]["template"]["spec"]["containers"][1:]
        found = [container["resources"]["limits"]["cpu"] for container in stored]
        assert found == [canonical(spelling) for spelling in SPELLINGS.split()]
    finally:
        stage.close()


def test_knobs_without_a_place_for_them_change_nothing(stage: Stage) -> None:
    turning = Turning(stage)
    stand = Stand(turning.template(), turning.template()["spec"]["containers"][0], {})
    knobs = Knobs.model_validate({"images": (IMAGE,)})
    values = held(stand, knobs)
    assert (values.image, values.entries, values.args) == (IMAGE, None, None)
