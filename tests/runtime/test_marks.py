"""Marks of ten thousand workloads: found by the tuning they name, without a list or a search."""

import json
from typing import Any

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.snapshot import Key
from infertune.runtime.marks import Marks


def workload(name: str, tuning: str | None, uid: str = "u") -> dict[str, Any]:
    record = {ANNOTATION_LAST_GOOD: json.dumps({"tuning": {"name": tuning}})} if tuning else {}
    metadata = {"namespace": "prod", "name": name, "uid": uid, "annotations": record}
    return {"metadata": metadata}


def names(marks: Marks, tuning: str) -> list[str]:
    return [mark.name for mark in marks.of(Key("prod", tuning))]


def test_only_marked_objects_are_remembered_and_found_by_their_tuning() -> None:
    marks = Marks()
    for number in range(10_000):
        marks.seen("Deployment", workload(f"w{number}", "demo" if number % 5000 == 0 else None))
    assert names(marks, "demo") == ["w0", "w5000"]
    assert marks.keys() == {Key("prod", "demo")}
    assert len(marks._marks) == 2


def test_a_mark_follows_its_object() -> None:
    marks = Marks()
    marks.seen("Deployment", workload("w", "demo"))
    marks.seen("Deployment", workload("w", "other"))
    assert (names(marks, "demo"), names(marks, "other")) == ([], ["w"])
    marks.seen("Deployment", workload("w", "other", uid="anew"))
    assert [mark.uid for mark in marks.of(Key("prod", "other"))] == ["anew"]
    marks.seen("Deployment", workload("w", None))
    assert marks.keys() == frozenset()
    marks.seen("Deployment", workload("w", "demo"))
    marks.seen("Deployment", workload("w", "demo"), gone=True)
    assert marks.keys() == frozenset()


def test_a_record_that_cannot_be_read_is_nobodys() -> None:
    marks = Marks()
    raw = workload("w", "demo")
    for text in ("{", "[]", '{"tuning": 1}', '{"tuning": {"name": ""}}', "null"):
        raw["metadata"]["annotations"] = {ANNOTATION_LAST_GOOD: text}
        marks.seen("Deployment", raw)
        assert marks.keys() == frozenset()


def test_a_mark_given_back_is_forgotten_until_it_is_seen_again() -> None:
    marks = Marks()
    marks.seen("Deployment", workload("w", "demo"))
    (mark,) = marks.of(Key("prod", "demo"))
    marks.forget(mark)
    assert marks.keys() == frozenset()
    marks.seen("Deployment", workload("w", "demo"))
    assert names(marks, "demo") == ["w"]
