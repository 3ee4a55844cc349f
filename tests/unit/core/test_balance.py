"""Requests per pod: how even they are, why not, and what is never called uneven."""

import random
from dataclasses import replace

import pytest

from infertune.core.balance import balance_of, beyond_chance, shares_of, uneven
from infertune.core.evidence import Measured, NoData
from infertune.core.scrapes import CounterSeries
from infertune.core.snapshot import PodShare
from infertune.core.states.pending import figures_of
from tests.builders import live_of


def pods(*requests: float | None, seconds: float | None = 300.0) -> tuple[PodShare, ...]:
    return tuple(
        PodShare(f"web-{number}", count, None if count is None else seconds)
        for number, count in enumerate(requests)
    )


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param(
            # Mean 800 over maximum 1,000.
            pods(1000, 1000, 400),
            Measured(0.8, "mean/max", 2400, 300.0, no_interval_reason="counted, not estimated"),
            id="by hand",
        ),
        pytest.param(
            pods(600, 0),
            Measured(0.5, "mean/max", 600, 300.0, no_interval_reason="counted, not estimated"),
            id="a pod that counted nothing is a zero",
        ),
        pytest.param(
            pods(600, None),
            NoData(
                "Missing",
                "no count of 1 of 2 pods, web-1 the first: not scraped (twice), or without any "
                "request",
            ),
            id="a pod that was not counted is no zero",
        ),
        pytest.param(
            pods(5000), NoData("TooFew", "1 pod, 2 are needed to compare"), id="one replica"
        ),
        pytest.param(
            pods(40, 19),
            NoData("TooFew", "59 requests at 2 pods, 60 are needed"),
            id="few requests",
        ),
        pytest.param(
            pods(0, 0), NoData("TooFew", "0 requests at 2 pods, 60 are needed"), id="no traffic"
        ),
        pytest.param((), NoData("Missing", "requests were not counted by pod"), id="not counted"),
    ],
)
def test_the_index(shares: tuple[PodShare, ...], expected: object) -> None:
    assert balance_of(shares, 300.0) == expected


def test_one_pod_that_gets_everything_is_told_with_cause_and_fix() -> None:
    words = uneven(pods(600, 0), 300.0) or ""
    assert words.startswith(
        "uneven load: mean over busiest replica is 0.50 (n=600 requests, 2 pods, 300 s): web-0 "
        "answered 600, web-1 0; likely clients that keep few connections open"
    )
    assert "gRPC round_robin" in words
    assert "infertune probe benchmark" in words


def test_a_pod_that_came_late_is_the_cause_itself() -> None:
    late = (PodShare("web-0", 900, 300.0), PodShare("web-1", 300, 100.0))
    words = uneven(late, 300.0) or ""
    assert "web-1 was scraped for only 100 s of it" in words
    assert "kubectl describe pod web-1" in words
    assert "connections" not in words


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param(pods(1000, 800), id="0.9 exactly"),
        pytest.param(pods(40, 25), id="0.81, as chance makes it with few requests"),
        pytest.param(pods(9000, None), id="nobody knows"),
        pytest.param((), id="not counted"),
    ],
)
def test_what_is_not_called_uneven(shares: tuple[PodShare, ...]) -> None:
    assert uneven(shares, 300.0) is None


def test_equal_pods_are_hardly_ever_uneven_by_chance() -> None:
    dice = random.Random(7)
    windows = [[0] * 10 for _ in range(300)]
    for window in windows:
        for _ in range(400):
            window[dice.randrange(10)] += 1
    assert sum(beyond_chance(window) for window in windows) <= 1


def test_long_names_leave_the_finding_bounded() -> None:
    shares = (PodShare("a" * 253, 9000, 300.0), PodShare("b" * 253, 1, 300.0))
    assert len(uneven(shares, 300.0) or "") == 640


def test_scrapes_of_all_series_of_a_pod_count_together_with_resets() -> None:
    series = (
        CounterSeries("web-0", ((0.0, 10.0), (30.0, 50.0), (60.0, 5.0))),
        CounterSeries("web-0", ((0.0, 0.0), (30.0, 1.0), (60.0, 2.0))),
        CounterSeries("web-1", ((30.0, 7.0), (60.0, 9.0))),
        CounterSeries("web-2", ((60.0, 3.0),)),
    )
    # web-0: 40, then 5 after a restart, and 2 of the other series.
    assert shares_of(series, ("web-3", "web-2", "web-1", "web-0")) == (
        PodShare("web-0", 47.0, 60.0),
        PodShare("web-1", 2.0, 30.0),
        PodShare("web-2", None, None),
        PodShare("web-3", None, None),
    )


def test_the_figures_of_the_status_hold_index_and_finding() -> None:
    live = live_of()
    seen = figures_of(replace(live, shares=pods(600, 0), share_seconds=300.0))
    assert (seen.balance.value, seen.balance.samples, seen.balance.window_seconds) == (
        0.5,
        600,
        300,
    )
    assert seen.uneven is not None
    assert figures_of(live).uneven is None
    assert figures_of(live).balance.reason == "Missing: requests were not counted by pod"
