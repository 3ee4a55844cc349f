"""A rollout's writes and the record beside them, on the fake and on a real API server."""

from infertune.api.spec import TuningSpec
from infertune.api.status import BatchPlace, Bounds, RolloutIntent, TemplateValues
from infertune.api.v1alpha1 import parse_spec
from infertune.core.last_good import noted, read_last_good
from infertune.core.snapshot import Key
from infertune.core.tuned_target import standing, tuned_record
from infertune.core.writes import LiveObjects, Write, next_write, settling_writes
from tests.conformance.objects import batch_of, target
from tests.conformance.stages import Raw, Stage
from tests.fakes import cases


class Rollout:
    """An intent over two real objects, and its writes one after another."""

    def __init__(self, stage: Stage, *, after_tuning: bool = False) -> None:
        self.stage = stage
        self.deployment = stage.add(target())
        self.scaler = stage.add(cases.autoscaler())
        self.key = Key(self.deployment["metadata"]["namespace"], "demo")
        spec = parse_spec(cases.tuning()["spec"])
        assert isinstance(spec, TuningSpec)
        self.spec = spec
        self.intent = RolloutIntent(
            id="0123456789ab",
            target_uid=self.deployment["metadata"]["uid"],
            container="server",
            place=BatchPlace(env="MAX_BATCH_SIZE"),
            before=TemplateValues(batch_value="1"),
            after=TemplateValues(batch_value="16"),
            autoscaler="server",
            autoscaler_uid=self.scaler["metadata"]["uid"],
            bounds_before=Bounds(min_replicas=2, max_replicas=2),
            bounds_after=Bounds(min_replicas=1, max_replicas=3),
            tuning_name="demo",
            tuning_uid="its-uid",
            after_tuning=after_tuning,
        )

    @property
    def live(self) -> LiveObjects:
        """Return both objects as they stand."""
        return LiveObjects(self.read(self.deployment), self.read(self.scaler))

    def read(self, raw: Raw) -> Raw:
        found = self.stage.read(raw)
        assert found is not None
        return found

    def write_all(self, *, back: bool) -> list[str]:
        """Carry out every write of one direction; return what they were."""
        done: list[str] = []
        while True:
            step = next_write(self.key, self.spec, self.intent, self.live, back=back, patient=False)
            if not isinstance(step, Write):
                return done
            self.stage.cluster.apply_fields(step.effect)
            done.append(step.sentence)
            assert len(done) < 9, done

    def settle(self) -> int:
        """Carry out the writes that close the rollout; return how many there were."""
        effects = settling_writes(self.key, self.spec, self.intent, self.live)
        for effect in effects:
            self.stage.cluster.apply_fields(effect)
        return len(effects)

    def bounds(self) -> tuple[int, int]:
        spec = self.live.autoscaler["spec"] if self.live.autoscaler else {}
        return spec["minReplicas"], spec["maxReplicas"]

    def records(self) -> list[str | None]:
        live = self.live
        found = [read_last_good(raw) for raw in (live.target, live.autoscaler) if raw is not None]
        return [record.state if record else None for record in found]


def test_forward_settled_and_back_the_record_says_what_stands(stage: Stage) -> None:
    rollout = Rollout(stage)
    untouched = rollout.live.target["spec"]["template"]
    assert len(rollout.write_all(back=False)) == 3
    assert (batch_of(rollout.live.target), rollout.bounds()) == ("16", (1, 3))
    assert rollout.records() == ["Open", "Open"]
    record = read_last_good(rollout.live.target)
    assert record is not None
    assert record.intent == rollout.intent
    tuned = rollout.live.target
    assert rollout.settle() == 2
    # A Deployment's generation counts its annotations too; the template is what pods come from.
    settled = rollout.live.target
    assert (settled["spec"], rollout.records()) == (tuned["spec"], ["Settled", "Settled"])
    assert rollout.settle() == 0
    rollout.write_all(back=True)
    assert rollout.live.target["spec"]["template"] == untouched
    assert (rollout.bounds(), rollout.records()) == ((2, 2), [None, None])
    assert rollout.write_all(back=True) == []


def test_back_to_an_earlier_tuning_the_record_stays_and_the_values_count_as_tuned(
    stage: Stage,
) -> None:
    rollout = Rollout(stage, after_tuning=True)
    rollout.write_all(back=False)
    rollout.write_all(back=True)
    live = rollout.live
    assert (batch_of(live.target), rollout.records()) == ("1", ["Settled", "Settled"])
    assert standing(rollout.intent, live.target, live.autoscaler) == "before"
    assert tuned_record(live.target, live.autoscaler) is not None


def test_old_values_put_back_by_hand_leave_a_record_that_the_way_back_removes(
    stage: Stage,
) -> None:
    rollout = Rollout(stage)
    rollout.write_all(back=False)

    def by_hand(raw: Raw) -> None:
        for entry in raw["spec"]["template"]["spec"]["containers"][0]["env"]:
            if entry["name"] == "MAX_BATCH_SIZE":
                entry["value"] = "1"

    stage.edit(rollout.deployment, by_hand)
    assert noted(rollout.live.target) is not None
    rollout.write_all(back=True)
    assert (batch_of(rollout.live.target), rollout.bounds()) == ("1", (2, 2))
    assert rollout.records() == [None, None]
