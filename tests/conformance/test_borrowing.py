"""A replica is lent and given back on the fake cluster and on a real API server alike."""

from typing import Any

import pytest

from infertune.api.status import Borrowed, Bounds
from infertune.core.borrowing import give_back, give_up, lend, standing
from infertune.core.loan_record import by_hand, drop_note, loans_noted, note_loan
from infertune.core.loan_return import lent_object, ways_back
from infertune.core.ownership import managed_fields_of
from infertune.core.plan import ApplyFields, ReleaseFields, ScaleWorkload
from infertune.core.snapshot import Key
from infertune.ports import FieldTaken, Gone
from tests.builders import tuning_of
from tests.conformance.stages import Stage
from tests.fakes import cases


def managers(raw: Any) -> set[str]:
    return {entry["manager"] for entry in managed_fields_of(raw)}


def test_the_bounds_of_an_autoscaler_go_down_and_back_and_nothing_of_ours_stays(
    stage: Stage,
) -> None:
    raw = stage.add(cases.autoscaler())
    key = Key(stage.namespace, "demo")
    lent = Borrowed(
        kind="Deployment",
        name="server",
        target_uid="of-the-target",
        autoscaler="server",
        autoscaler_uid=raw["metadata"]["uid"],
        before=Bounds(min_replicas=2, max_replicas=2),
        during=Bounds(min_replicas=1, max_replicas=1),
    )
    for write, wanted in ((lend, "During"), (lend, "During"), (give_back, "Before")):
        live = stage.read(raw)
        assert live is not None
        effect = write(key, lent, live)
        assert not isinstance(effect, ScaleWorkload)
        stage.cluster.apply_fields(effect)
        assert standing(lent, stage.read(raw)) == wanted
    release = give_up(key, lent)
    assert release is not None
    stage.cluster.release_fields(release)
    after = stage.read(raw)
    assert standing(lent, after) == "Before"
    assert "infertune" not in managers(after)


def test_replicas_are_scaled_once_and_only_from_the_value_that_was_seen(stage: Stage) -> None:
    raw = stage.add(cases.deployment(replicas=2))
    uid = raw["metadata"]["uid"]

    def scale(old: int, new: int, of: str = uid) -> None:
        stage.cluster.scale_workload(
            ScaleWorkload("apps/v1", "Deployment", stage.namespace, "server", of, old, new)
        )

    def replicas() -> int:
        live = stage.read(raw)
        assert live is not None
        return int(live["spec"]["replicas"])

    scale(2, 1)
    assert replicas() == 1
    scale(2, 1)
    assert replicas() == 1
    with pytest.raises(FieldTaken, match="holds 1"):
        scale(3, 2)
    with pytest.raises(Gone):
        scale(1, 2, of="another-uid")
    assert replicas() == 1
    scale(1, 2)
    assert replicas() == 2
    live = stage.read(raw)
    assert live is not None
    assert "infertune" not in managers(live)


def test_the_note_of_a_loan_comes_and_goes_and_takes_nothing_with_it(stage: Stage) -> None:
    raw = stage.add(cases.deployment(replicas=2))
    uid = raw["metadata"]["uid"]
    tuning = tuning_of(key=Key(stage.namespace, "demo"))
    lent = Borrowed(
        kind="Deployment",
        name="server",
        target_uid=uid,
        before=Bounds(min_replicas=2, max_replicas=2),
        during=Bounds(min_replicas=1, max_replicas=1),
    )
    lent = lent.model_copy(update={"restore_command": by_hand(stage.namespace, lent)})
    for _ in range(2):
        live = stage.read(raw)
        assert live is not None
        stage.cluster.apply_fields(note_loan(tuning, lent, live))
        there = lend(tuning.key, lent, live)
        assert isinstance(there, ScaleWorkload)
        stage.cluster.scale_workload(there)
    lowered = stage.read(raw)
    assert lowered is not None
    assert lowered["spec"]["replicas"] == 1
    assert [found.lent for found in loans_noted(lowered, None)] == [lent]
    back = give_back(tuning.key, lent, lowered)
    assert isinstance(back, ScaleWorkload)
    stage.cluster.scale_workload(back)
    dropped = drop_note(tuning.key, lent, lowered)
    assert dropped is not None
    stage.cluster.apply_fields(dropped)
    after = stage.read(raw)
    assert after is not None
    assert after["spec"]["replicas"] == 2
    assert list(loans_noted(after, None)) == []
    assert not managers(after) & {"infertune", "infertune-loan"}


def test_a_loan_whose_tuning_is_gone_goes_back_by_its_note_and_again_without_effect(
    stage: Stage,
) -> None:
    raw = stage.add(cases.autoscaler())
    tuning = tuning_of(key=Key(stage.namespace, "demo"))
    lent = Borrowed(
        kind="Deployment",
        name="server",
        target_uid="of-the-target",
        autoscaler="server",
        autoscaler_uid=raw["metadata"]["uid"],
        before=Bounds(min_replicas=2, max_replicas=2),
        during=Bounds(min_replicas=1, max_replicas=1),
    )
    for write in (note_loan, lambda tuning, lent, live: lend(tuning.key, lent, live)):
        effect = write(tuning, lent, stage.read(raw))
        assert isinstance(effect, ApplyFields)
        stage.cluster.apply_fields(effect)
    lowered = stage.read(raw)
    assert lowered is not None
    found = lent_object("HorizontalPodAutoscaler", lowered)
    assert found is not None
    back, *rest = ways_back(found)
    assert isinstance(back, ApplyFields)
    for _ in range(2):
        stage.cluster.apply_fields(back)
    for effect in rest:
        for _ in range(2):
            if isinstance(effect, ApplyFields):
                stage.cluster.apply_fields(effect)
            else:
                assert isinstance(effect, ReleaseFields)
                stage.cluster.release_fields(effect)
    after = stage.read(raw)
    assert after is not None
    assert standing(lent, after) == "Before"
    assert lent_object("HorizontalPodAutoscaler", after) is None
    assert not managers(after) & {"infertune", "infertune-loan"}
    # Lowered by hand afterwards, it is not the loan any more.
    stage.edit(after, lambda live: live["spec"].update(minReplicas=1, maxReplicas=1))
    with pytest.raises(FieldTaken):
        stage.cluster.apply_fields(back)


def test_scaling_what_is_not_there_says_so(stage: Stage) -> None:
    effect = ScaleWorkload("apps/v1", "StatefulSet", stage.namespace, "nobody", "uid", 2, 1)
    with pytest.raises(Gone):
        stage.cluster.scale_workload(effect)
