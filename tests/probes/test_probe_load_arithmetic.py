"""The load probe's arithmetic, by hand."""

from __future__ import annotations

import asyncio
import itertools
import math
import time

import pytest

from infertune_probes.contract import histogram
from infertune_probes.contract.load_result import Level
from infertune_probes.load.arrivals import offsets
from infertune_probes.load.generator import Brake, Generator
from infertune_probes.load.ladder import why_stop
from infertune_probes.load.shots import (
    Ranked,
    Shot,
    littles_ratio,
    mean_in_flight,
    rank_latency,
)
from infertune_probes.load.tally import (
    LevelRun,
    Terms,
    level_section,
    skipped_level,
    split_blocks,
)

TERMS = Terms(slo_ms=200.0, timeout_ms=1000.0, block_requests=4)


def shot(intended: float, latency_ms: float, error: str | None = None) -> Shot:
    return Shot(intended, intended + 0.001, intended + latency_ms / 1000.0, error)


def a_run(shots: list[Shot], seconds: float = 10.0) -> LevelRun:
    return LevelRun(1.0, "measured", None, 0.0, seconds, 1.0, shots, 0.1)


def test_failures_rank_slowest_and_a_percentile_among_them_is_a_lower_bound() -> None:
    """10, 20, 30 ms and one failure: rank 2 of 4 is 20 ms, rank 4 is the failure."""
    shots = [shot(0, 30), shot(1, 10, "status_503"), shot(2, 10), shot(3, 20)]
    median, tail = rank_latency(shots, (0.5, 0.95), 1000.0)
    assert median.value_ms == pytest.approx(20.0)
    assert not median.censored
    assert tail == Ranked(1000.0, censored=True)


def test_a_fast_failure_never_makes_a_percentile_look_fast() -> None:
    shots = [shot(i, 1, "connect") for i in range(99)] + [shot(99, 150)]
    assert rank_latency(shots, (0.5,), 1000.0) == [Ranked(1000.0, censored=True)]


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no requests"):
        rank_latency([], (0.5,), 1000.0)


def test_nearest_rank_of_twenty_is_the_nineteenth() -> None:
    """ceil(0.95 * 20) = 19; the naive float product is 19.0 and must not become 20."""
    assert rank_latency([shot(i, i + 1) for i in range(20)], (0.95,), 1e3)[0].value_ms == (
        pytest.approx(19.0)
    )


def test_a_short_rest_joins_the_last_block() -> None:
    """7 shots in blocks of 3: 3 and 4; 2 shots are one short block; none are no block."""
    shots = [shot(i, 1) for i in range(7)]
    assert [len(block) for block in split_blocks(shots, 3)] == [3, 4]
    assert [len(block) for block in split_blocks(shots[:2], 3)] == [2]
    assert split_blocks([], 3) == []


def test_littles_law_holds_for_a_stream_that_completes() -> None:
    """4 requests of 500 ms in 10 s: N = 0.2, X = 0.4/s, R = 0.5 s, N / (X * R) = 1."""
    shots = [shot(at, 500) for at in (0, 2, 4, 6)]
    assert mean_in_flight(shots, 0.0, 10.0) == pytest.approx(0.2)
    assert littles_ratio(shots, 0.0, 10.0) == pytest.approx(1.0)


def test_littles_law_betrays_a_latency_of_survivors_only() -> None:
    """One answer of 100 ms and one timeout of 5 s: N = 0.51, X * R = 0.01, ratio 51."""
    shots = [shot(0, 100), shot(1, 5000, "timeout")]
    assert littles_ratio(shots, 0.0, 10.0) == pytest.approx(51.0)
    assert littles_ratio([shot(0, 5000, "timeout")], 0.0, 10.0) is None


def test_a_level_keeps_every_request_it_sent() -> None:
    """Warm-up at -0.5 is dropped; of 5 in the window one failed and one broke the SLO of 200."""
    shots = [shot(-0.5, 900), shot(0, 10), shot(1, 10), shot(2, 250), shot(3, 10), shot(4, 5, "x")]
    level = Level.model_validate(level_section(a_run(shots), TERMS), strict=False)
    assert (level.sent, level.completed, level.exceeded, level.errors) == (5, 4, 2, {"x": 1})
    assert level.latencies_tenth_ms == (100, 100, 2500, 100, -1)
    assert [(block.requests, block.exceeded) for block in level.blocks] == [(5, 2)]
    # 4 answers in the window and the warm-up's one that ended in it.
    assert level.achieved_rate == pytest.approx(0.5)
    assert level.warmup_requests == 1
    assert (level.in_flight_at_start, level.histogram.failed) == (1, 1)


@pytest.mark.parametrize(
    "shots",
    [
        pytest.param([], id="nothing-was-sent"),
        pytest.param([shot(1, 10)], id="one-request"),
        pytest.param([shot(i / 10, 9, "timeout") for i in range(50)], id="all-failed"),
        pytest.param([shot(1, 0.0)], id="latency-zero"),
    ],
)
def test_extreme_levels_stay_within_the_contract(shots: list[Shot]) -> None:
    level = Level.model_validate(level_section(a_run(shots), TERMS), strict=False)
    assert level.sent == len(shots)
    assert (level.latency is None) == (not shots)


def test_a_skipped_level_has_a_reason_and_no_numbers() -> None:
    level = Level.model_validate(skipped_level(80.0, "too slow at 40/s"), strict=False)
    assert (level.state, level.reason, level.sent) == ("skipped", "too slow at 40/s", 0)
    assert (level.latency, level.littles_ratio, level.lateness_p99_ms) == (None, None, None)


@pytest.mark.parametrize(
    ("slow", "failed", "stops"),
    [(30, 0, False), (31, 0, True), (0, 10, False), (0, 11, True)],
)
def test_the_ladder_stops_only_after_a_clear_fail(slow: int, failed: int, *, stops: bool) -> None:
    """Of 100 requests: over 30 above the limit, or over 10 failed."""
    fine = 100 - slow - failed
    latencies = [(300.0, None)] * slow + [(5.0, "timeout")] * failed + [(5.0, None)] * fine
    shots = [shot(i / 100, ms, error) for i, (ms, error) in enumerate(latencies)]
    assert (why_stop(a_run(shots), 200.0) is not None) == stops


def test_constant_arrivals_do_not_drift() -> None:
    assert list(itertools.islice(offsets("constant", 4.0, 1), 4)) == [0, 0.25, 0.5, 0.75]
    assert next(itertools.islice(offsets("constant", 3.0, 1), 3_000_000, None)) == 1_000_000.0


def test_poisson_arrivals_repeat_by_seed_and_keep_their_rate() -> None:
    """20,000 gaps at 50/s: mean 0.02 s; the standard error of the mean is 0.7 %."""
    first = list(itertools.islice(offsets("poisson", 50.0, 7), 20_000))
    assert first == list(itertools.islice(offsets("poisson", 50.0, 7), 20_000))
    assert first[:3] != list(itertools.islice(offsets("poisson", 50.0, 8), 3))
    assert 20_000 / first[-1] == pytest.approx(50.0, rel=0.03)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan])
def test_a_rate_that_is_not_positive_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        next(offsets("constant", rate, 1))


def test_a_histogram_is_good_to_half_a_percent_and_merges() -> None:
    halves: list[dict[int, int]] = [{}, {}]
    for value in range(1, 1001):
        half, bucket = halves[value % 2], histogram.bucket_of(float(value))
        half[bucket] = half.get(bucket, 0) + 1
    merged = histogram.merge(halves)
    assert sum(merged.values()) == 1000
    assert histogram.quantile_ms(merged, 0.95) == pytest.approx(950.0, rel=0.0051)


def test_a_histogram_quantile_among_failures_is_no_number() -> None:
    """90 at 1 ms, 5 at 10 ms, 5 failed: ranks 90, 95 and 99."""
    buckets = {histogram.bucket_of(1.0): 90, histogram.bucket_of(10.0): 5}
    assert histogram.quantile_ms(buckets, 0.90, 5) == pytest.approx(1.0, rel=0.0051)
    assert histogram.quantile_ms(buckets, 0.95, 5) == pytest.approx(10.0, rel=0.0051)
    assert histogram.quantile_ms(buckets, 0.99, 5) is None
    assert histogram.quantile_ms({}, 0.5) is None


@pytest.mark.parametrize("latency", [-1.0, math.nan, math.inf])
def test_what_is_not_a_latency_has_no_bucket(latency: float) -> None:
    with pytest.raises(ValueError, match="not a latency"):
        histogram.bucket_of(latency)


class Nobody:
    """Watches nothing."""

    def sent(self) -> None: ...

    def finished(self, shot: Shot) -> None: ...


def test_a_starved_client_confesses_its_own_lateness() -> None:
    """The loop is blocked for 50 ms in every request: lateness must show it."""

    async def hog(_waited_seconds: float) -> None:
        time.sleep(0.05)  # noqa: ASYNC251  # the very point

    async def main() -> LevelRun:
        generator = Generator(hog, Brake(), Nobody(), 1000, 1000, 5.0)
        return await generator.run_level(100.0, offsets("constant", 100.0, 1), 0.0, 0.3)

    section = level_section(asyncio.run(main()), TERMS)
    level = Level.model_validate(section, strict=False)
    assert level.sent == 30
    assert level.lateness_p99_ms is not None
    assert level.lateness_p99_ms > 40.0


def test_past_the_in_flight_limit_a_request_is_a_counted_failure() -> None:
    async def never(_waited_seconds: float) -> None:
        await asyncio.sleep(30)

    async def main() -> LevelRun:
        generator = Generator(never, Brake(), Nobody(), 1000, 5, 0.1)
        return await generator.run_level(100.0, offsets("constant", 100.0, 1), 0.0, 0.2)

    section = level_section(asyncio.run(main()), TERMS)
    assert (section["sent"], section["errors"]) == (20, {"unfinished": 5, "not_sent": 15})
