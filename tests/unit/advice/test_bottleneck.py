"""One verdict over all probes, with shares, and none without evidence."""

from typing import Any

import pytest

from infertune.core.advice.bottleneck import Bottleneck, find_bottleneck
from infertune.core.advice.sources import Evidence, Ladder
from infertune.core.evidence import NoData
from tests.unit.advice.measured import envelope, evidence, profile, shares


def found(given: Evidence) -> list[tuple[str, float]]:
    verdict = find_bottleneck(given)
    assert isinstance(verdict, Bottleneck)
    assert verdict.first == verdict.parts[0]
    return [(part.kind, round(part.share, 3)) for part in verdict.parts]


def test_nothing_measured_is_no_verdict() -> None:
    assert find_bottleneck(Evidence()) == NoData(
        "TooFew", "nothing measured tells what holds the server back (no probe)"
    )
    unread = evidence(profile(bound="unknown", shares=None), envelope("versions"))
    assert isinstance(find_bottleneck(unread), NoData)


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"bound": "compute"}, ("gpu compute", 0.8)),
        ({"bound": "memory"}, ("gpu memory bandwidth", 0.8)),
        ({"bound": "unknown"}, ("gpu", 0.8)),
        ({"bound": "launch", "shares": shares(0.3, 0.0, 0.7)}, ("launch", 0.7)),
        ({"bound": "copy", "shares": shares(0.2, 0.7, 0.1)}, ("copy", 0.7)),
        ({"bound": "idle", "shares": shares(0.1, 0.0, 0.0, 0.9)}, ("server", 0.9)),
        ({"onDevice": False, "shares": shares(1.0, 0, 0)}, ("cpu", 1.0)),
    ],
    ids=["compute", "memory", "work of a kind nobody knows", "launch", "copy", "idle", "cpu"],
)
def test_a_profile_tells_what_a_call_is_spent_on(changes: Any, first: tuple[str, float]) -> None:
    assert found(evidence(profile(**changes)))[0] == first


@pytest.mark.parametrize(
    ("figures", "part"),
    [
        ({"group_throttled": 40.0}, ("cpu", 0.4)),
        ({"pressure_cpu_some": 30.0}, ("cpu", 0.3)),
        ({"pressure_memory_some": 20.0}, ("host memory", 0.2)),
        ({"pressure_io_some": 60.0, "own_pressure_io_some": 15.0}, ("disk", 0.15)),
        ({"tcp_retransmitted": 2.0}, ("network", 0.02)),
    ],
    ids=["throttled", "cpu", "memory", "the container's own stalls count", "network"],
)
def test_the_kernel_tells_who_waited_for_what(figures: Any, part: tuple[str, float]) -> None:
    assert found(evidence(envelope("system", **figures))) == [part]


def test_small_stalls_are_no_bottleneck() -> None:
    quiet = envelope("system", pressure_cpu_some=4.0, group_throttled=1.0, tcp_retransmitted=0.1)
    assert isinstance(find_bottleneck(evidence(quiet)), NoData)


def test_a_p95_that_grows_with_the_rate_is_waiting() -> None:
    ladder = Ladder(10, 40.0, 72, 200.0, batch_size=8)
    assert found(Evidence(ladder=ladder)) == [("queueing", 0.8)]


def test_waiting_beside_an_idle_device_at_batch_one_is_for_want_of_batching() -> None:
    ladder = Ladder(10, 40.0, 72, 200.0, batch_size=1)
    idle = profile(bound="launch", shares=shares(0.3, 0.0, 0.7))
    assert found(evidence(idle, ladder=ladder))[:2] == [("launch", 0.7), ("batching", 0.8)]
    busy = profile(shares=shares(1.0, 0.0, 0.0))
    assert ("queueing", 0.8) in found(evidence(busy, ladder=ladder))
