"""Giving ownership back: on the fake cluster and on a real API server.

The values that a tuning left behind stay to the letter; only whose they are changes.
"""

import json
from typing import Any

import pytest

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER, field_path, owners_of
from infertune.core.plan import ApplyFields, FieldExpectation, ReleaseFields
from infertune.core.release import mark_of, release
from infertune.ports import FieldTaken
from tests.conformance.objects import BATCH, batch_of, batch_write, target
from tests.conformance.stages import Raw, Stage
from tests.fakes import cases

LOG_LEVEL = (*BATCH[:-2], "name=LOG_LEVEL", "value")


def marked_write(live: Raw, new: str, old: str, tuning: str = "demo") -> ApplyFields:
    """The write of a tuning: the cap, and the record that names the tuning."""
    write = batch_write(live, new, old)
    record = json.dumps({"version": 1, "tuning": {"name": tuning, "uid": "u"}})
    metadata = {**write.document["metadata"], "annotations": {ANNOTATION_LAST_GOOD: record}}
    return ApplyFields({**write.document, "metadata": metadata}, write.expectations, adopt=True)


def release_of(live: Raw, **changes: Any) -> ReleaseFields:
    metadata = live["metadata"]
    wanted: dict[str, Any] = {
        "api_version": live["apiVersion"],
        "kind": live["kind"],
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "tuning": "demo",
    }
    return ReleaseFields(**(wanted | changes))


def read(stage: Stage, raw: Raw) -> Raw:
    found = stage.read(raw)
    assert found is not None
    return found


def managers(raw: Raw, path: tuple[str, ...]) -> tuple[str, ...]:
    return owners_of(raw["metadata"]["managedFields"], field_path(path))


def record_of(raw: Raw) -> str | None:
    found: str | None = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_LAST_GOOD)
    return found


def test_released_values_stay_and_nothing_is_ours_any_more(stage: Stage) -> None:
    live = stage.add(target())
    stage.cluster.apply_fields(marked_write(live, "16", "1"))
    tuned = read(stage, live)
    assert managers(tuned, BATCH) == (FIELD_MANAGER,)
    mark = mark_of("apps/v1", "Deployment", tuned)
    assert mark is not None
    stage.cluster.release_fields(release(mark))
    after = read(stage, live)
    assert after["spec"] == tuned["spec"]
    assert record_of(after) is None
    assert FIELD_MANAGER not in {m["manager"] for m in after["metadata"]["managedFields"]}
    assert managers(after, LOG_LEVEL) == ("kubectl-client-side-apply",)


def test_a_release_is_repeatable_and_writes_only_once(stage: Stage) -> None:
    live = stage.add(target())
    stage.cluster.apply_fields(marked_write(live, "16", "1"))
    stage.cluster.release_fields(release_of(live))
    once = version_when_quiet(stage, live)
    stage.cluster.release_fields(release_of(live))
    assert read(stage, live)["metadata"]["resourceVersion"] == once


def version_when_quiet(stage: Stage, live: Raw) -> str:
    """Return the version once controllers have written what they had to say about the change."""
    seen: list[str] = []

    def quiet() -> bool:
        seen.append(read(stage, live)["metadata"]["resourceVersion"])
        return len(seen) > 5 and len(set(seen[-5:])) == 1

    stage.until(quiet)
    return seen[-1]


def test_an_object_that_vanished_or_was_replaced_is_left_alone(stage: Stage) -> None:
    live = stage.add(target())
    stage.cluster.apply_fields(marked_write(live, "16", "1"))
    stage.cluster.release_fields(release_of(live, uid="another-uid"))
    assert managers(read(stage, live), BATCH) == (FIELD_MANAGER,)
    stage.remove(live)
    stage.until(lambda: stage.read(live) is None)
    stage.cluster.release_fields(release_of(live))


def test_what_another_tuning_has_marked_by_now_is_not_given_back(stage: Stage) -> None:
    live = stage.add(target())
    stage.cluster.apply_fields(marked_write(live, "16", "1", tuning="other"))
    stage.cluster.release_fields(release_of(live))
    assert managers(read(stage, live), BATCH) == (FIELD_MANAGER,)


def test_a_kept_field_stays_ours_and_the_dropped_one_keeps_its_value(stage: Stage) -> None:
    """A knob dropped from the spec: an apply without it would delete an entry only we own."""
    live = stage.add(target())
    write = marked_write(live, "16", "1")
    container = write.document["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "THREADS", "value": "2"})
    threads = (*BATCH[:-2], "name=THREADS", "value")
    more = (*write.expectations, FieldExpectation(threads, None, "2"))
    stage.cluster.apply_fields(ApplyFields(write.document, more, adopt=True))
    stage.cluster.release_fields(release_of(live, keep=(BATCH,)))
    after = read(stage, live)
    assert (managers(after, BATCH), managers(after, threads)) == ((FIELD_MANAGER,), ())
    assert record_of(after) is not None
    stage.cluster.apply_fields(marked_write(live, "4", "16"))
    env = read(stage, live)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {e["name"]: e["value"] for e in env} == {
        "LOG_LEVEL": "info",
        "MAX_BATCH_SIZE": "4",
        "THREADS": "2",
    }


def test_without_a_release_a_dropped_entry_is_named_again_and_stays_ours(stage: Stage) -> None:
    """The control of the test above: an apply that left it out would delete it."""
    live = stage.add(target(batch=None))
    stage.cluster.apply_fields(batch_write(live, "16", None))
    metadata = {key: live["metadata"][key] for key in ("namespace", "name", "uid")}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": [{"name": "server"}]}}},
    }
    threads = FieldExpectation((*BATCH[:-2], "name=THREADS", "value"), None, "2")
    stage.cluster.apply_fields(ApplyFields(document, (threads,), adopt=True))
    after = read(stage, live)
    assert (batch_of(after), managers(after, BATCH)) == ("16", (FIELD_MANAGER,))
    assert managers(after, threads.path) == (FIELD_MANAGER,)


def test_bounds_of_an_autoscaler_are_given_back(stage: Stage) -> None:
    live = stage.add(cases.autoscaler(2, 2))
    metadata = {key: live["metadata"][key] for key in ("namespace", "name", "uid")}
    document = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {"minReplicas": 1, "maxReplicas": 5},
    }
    stage.cluster.apply_fields(ApplyFields(document, (), adopt=True))
    stage.cluster.release_fields(release_of(live))
    after = read(stage, live)
    assert (after["spec"]["minReplicas"], after["spec"]["maxReplicas"]) == (1, 5)
    assert managers(after, ("spec", "maxReplicas")) == ()


def test_a_field_is_taken_only_from_the_owners_that_were_recorded(stage: Stage) -> None:
    live = stage.add(target())
    write = batch_write(live, "16", "1")
    (expectation,) = write.expectations
    strict = FieldExpectation(expectation.path, "1", "16", owners=())
    with pytest.raises(FieldTaken) as caught:
        stage.cluster.apply_fields(ApplyFields(write.document, (strict,), adopt=True))
    assert (caught.value.owner, str(caught.value)) == ("kubectl-client-side-apply", "holds '1'")
    assert batch_of(read(stage, live)) == "1"
    known = FieldExpectation(expectation.path, "1", "16", owners=("kubectl-client-side-apply",))
    stage.cluster.apply_fields(ApplyFields(write.document, (known,), adopt=True))
    assert batch_of(read(stage, live)) == "16"
