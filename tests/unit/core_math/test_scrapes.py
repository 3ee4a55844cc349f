"""Counters of pods that restart, appear and vanish become blocks."""

import math

from hypothesis import given
from hypothesis import strategies as st

from infertune.core.scrapes import (
    CounterSeries,
    Increment,
    blocks_from_counters,
    counter_deltas,
    total_increase,
)
from infertune.core.snapshot import BlockSample


def series(pod: str, *samples: tuple[float, float]) -> CounterSeries:
    return CounterSeries(pod, samples)


def test_a_counter_rises_between_scrapes() -> None:
    assert counter_deltas([(0, 100), (2, 130), (4, 130)]) == (
        Increment(0, 2, 30),
        Increment(2, 4, 0),
    )


def test_a_restart_counts_from_zero() -> None:
    """130 falls to 12: the new process has counted 12."""
    assert counter_deltas([(0, 100), (2, 130), (4, 12)]) == (
        Increment(0, 2, 30),
        Increment(2, 4, 12),
    )


def test_the_first_value_is_history() -> None:
    """A counter first seen at 5,000 has not counted 5,000 in this window."""
    assert counter_deltas([(10, 5000)]) == ()
    assert counter_deltas([]) == ()


def test_a_series_born_after_a_scrape_of_its_pod_counts_in_full() -> None:
    """The pod was scraped at 8 without it; at 10 it stands at 3: three events since 8."""
    assert counter_deltas([(10, 3), (12, 4)], seen_before=8) == (
        Increment(8, 10, 3),
        Increment(10, 12, 1),
    )


def test_a_scrape_at_the_birth_itself_proves_nothing() -> None:
    assert counter_deltas([(10, 3)], seen_before=10) == ()


def test_order_repeats_and_stale_markers_do_not_matter() -> None:
    samples = [(4, 20.0), (0, 10.0), (2, math.nan), (math.inf, 3.0), (4, 22.0), (6, -1.0)]
    assert counter_deltas(samples) == (Increment(0, 4, 12.0),)


def test_errors_that_appear_with_their_first_event_are_counted() -> None:
    """code=500 is born at 1 between the scrapes at 2 and 4; the pod's code=200 was there."""
    both = [series("a", (0, 10), (2, 20), (4, 30)), series("a", (4, 1))]
    assert total_increase(both) == 21


def test_a_pod_first_seen_with_a_history_brings_none_of_it() -> None:
    assert total_increase([series("a", (0, 10), (2, 20)), series("b", (2, 9000), (4, 9005))]) == 15
    assert total_increase([series("b", (2, 9000))]) is None
    assert total_increase([]) is None


def test_blocks_close_at_a_scrape_when_long_and_full_enough() -> None:
    """10 requests per 2 s, one of them slow; blocks of 4 s and 15 requests: 20 in 4 s, twice; the
    last 2 s are unfinished."""
    times = range(0, 12, 2)
    total = [series("a", *((t, 1000 + 5.0 * t) for t in times))]
    within = [series("a", *((t, 900 + 4.5 * t) for t in times))]
    assert blocks_from_counters(total, within, 4, 15) == (
        BlockSample(20, 2, 4),
        BlockSample(20, 2, 4),
    )


def test_blocks_wait_for_requests() -> None:
    total = [series("a", (0, 0), (2, 1), (4, 2), (6, 40))]
    within = [series("a", (0, 0), (2, 1), (4, 2), (6, 30))]
    assert blocks_from_counters(total, within, 4, 10) == (BlockSample(40, 10, 6),)


def test_pods_scraped_at_different_times_are_summed() -> None:
    """Pod a at even, pod b at odd seconds; both 10 per scrape. A block is cut at 4 (a: 20, b: 10)
    and would be cut again at 8."""
    total = [
        series("a", (0, 0), (2, 10), (4, 20), (6, 30)),
        series("b", (1, 0), (3, 10), (5, 20), (7, 30)),
    ]
    within = [
        series("a", (0, 0), (2, 10), (4, 20), (6, 30)),
        series("b", (1, 0), (3, 5), (5, 10), (7, 15)),
    ]
    assert blocks_from_counters(total, within, 4, 1) == (BlockSample(30, 5, 4),)


def test_a_pod_without_one_good_answer_is_all_over() -> None:
    """Every request of pod b failed: no series of good requests was ever born."""
    total = [series("b", (0, 0), (2, 10), (4, 20))]
    assert blocks_from_counters(total, [], 4, 1) == (BlockSample(20, 20, 4),)


def test_a_good_series_of_a_pod_that_has_no_total_is_left_out() -> None:
    total = [series("a", (0, 0), (2, 10), (4, 20))]
    within = [series("a", (0, 0), (2, 10), (4, 20)), series("c", (1, 0), (3, 50))]
    assert blocks_from_counters(total, within, 4, 1) == (BlockSample(20, 0, 4),)


def test_a_restart_inside_a_block_loses_nothing_that_was_counted() -> None:
    total = [series("a", (0, 100), (2, 110), (4, 7))]
    within = [series("a", (0, 100), (2, 109), (4, 6))]
    assert blocks_from_counters(total, within, 4, 1) == (BlockSample(17, 2, 4),)


def test_no_traffic_makes_no_block() -> None:
    idle = [series("a", (0, 5), (2, 5), (4, 5), (6, 5))]
    assert blocks_from_counters(idle, idle, 4, 0) == ()
    assert blocks_from_counters([], [], 4, 0) == ()
    assert blocks_from_counters([series("a", (0, math.nan))], [], 4, 0) == ()


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40),
    st.integers(1, 60),
    st.integers(2, 8),
)
def test_blocks_never_hold_more_than_was_counted(
    steps: list[tuple[int, int]], min_requests: int, min_seconds: int
) -> None:
    total, good = 0, 0
    totals, goods = [(0.0, 0.0)], [(0.0, 0.0)]
    for index, (ok, slow) in enumerate(steps, start=1):
        total, good = total + ok + slow, good + ok
        totals.append((float(index), float(total)))
        goods.append((float(index), float(good)))
    blocks = blocks_from_counters(
        [CounterSeries("a", tuple(totals))],
        [CounterSeries("a", tuple(goods))],
        min_seconds,
        min_requests,
    )
    assert sum(block.requests for block in blocks) <= total
    assert sum(block.over for block in blocks) <= total - good
    assert all(b.requests >= min_requests and b.seconds >= min_seconds for b in blocks)
    assert all(0 <= block.over <= block.requests for block in blocks)
