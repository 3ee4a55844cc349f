"""Garbage is what lost its tuning, and recommendations of yesterday; nothing young."""

from dataclasses import replace
from datetime import timedelta

from infertune.core.garbage import OwnObject, orphans, superseded
from infertune.core.plan import DeleteObject
from infertune.core.snapshot import Key
from tests.builders import NOW

OLD = NOW - timedelta(hours=1)
JOB = OwnObject("batch/v1", "Job", "ns", "t-server", "u1", Key("ns", "demo"), "gone", "server", OLD)
MAP = replace(JOB, api_version="v1", kind="ConfigMap", name="rec-1", uid="u2", role=None)


def test_what_belongs_to_no_living_tuning_goes_by_uid() -> None:
    assert orphans((JOB, MAP), frozenset({"alive"}), NOW) == (
        DeleteObject("batch/v1", "Job", "ns", "t-server", "u1"),
        DeleteObject("v1", "ConfigMap", "ns", "rec-1", "u2"),
    )
    assert orphans((JOB,), frozenset({"gone"}), NOW) == ()
    assert orphans((replace(JOB, created_at=NOW),), frozenset(), NOW) == ()


def test_only_an_older_recommendation_of_a_tuning_that_has_one_goes() -> None:
    mine = replace(MAP, tuning_uid="alive")
    assert superseded((mine,), {"alive": "rec-2"}, NOW) == (
        DeleteObject("v1", "ConfigMap", "ns", "rec-1", "u2"),
    )
    assert superseded((mine,), {"alive": "rec-1"}, NOW) == ()
    assert superseded((mine,), {}, NOW) == ()
    assert superseded((replace(mine, created_at=NOW),), {"alive": "rec-2"}, NOW) == ()
    assert superseded((replace(JOB, tuning_uid="alive"),), {"alive": "rec-2"}, NOW) == ()
