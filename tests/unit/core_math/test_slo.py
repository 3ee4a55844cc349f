"""Verdicts on live traffic, after each block."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.spec import Slo
from infertune.core.evidence import NoData
from infertune.core.slo import (
    Judgement,
    allowed_fraction,
    block_requests,
    block_seconds,
    blocks_needed,
    judge,
    required_verification_seconds,
    sequence_width,
)
from infertune.core.snapshot import BlockSample
from tests.unit.core_math.level_simulation import live_rates

SLO = Slo.model_validate({"latencyMilliseconds": 200, "percentile": 95, "maxErrorPercent": "1"})


def blocks(*over: float, requests: float = 200) -> list[BlockSample]:
    return [BlockSample(requests, count, 8.0) for count in over]


def test_the_width_of_the_sequence_by_hand() -> None:
    """alpha 0.05: -2 ln 0.1 = 4.6052, + ln 5.6052 = 1.7237: r = 6.3289 / 40 = 0.15822.
    k = 8: k r + 1 = 2.26577; 2 * 2.26577 / (8 * 1.26577) = 0.44751;
    ln(1 + sqrt(2.26577) / 0.1) = ln 16.0525 = 2.77586; sqrt(0.44751 * 2.77586) = 1.11455."""
    assert sequence_width(8) == pytest.approx(1.11455, abs=1e-5)


def test_the_sequence_is_tuned_for_forty_blocks() -> None:
    """No r makes it narrower at k = 40 by more than 0.1 %."""

    def width(r: float) -> float:
        inner = 40 * r + 1
        return math.sqrt(2 * inner / (1600 * r) * math.log(1 + math.sqrt(inner) / 0.1))

    narrowest = min(width(step / 1000) for step in range(10, 1000))
    assert sequence_width(40) <= narrowest * 1.001


def test_a_sane_stream_passes_at_the_first_look() -> None:
    """1,2,3,2 of 200, twice: mean 1 %, s = 0.378 % is under the floor sqrt(.05*.95/200) = 1.541 %:
    h = 1.11455 * 1.541 % = 1.718 %, and 1 % + 1.718 % is below 4 %."""
    found = judge(blocks(1, 2, 3, 2, 1, 2, 3, 2), 95)
    assert found.verdict == "Pass"
    assert found.over_fraction == pytest.approx(0.01)
    assert found.half_width == pytest.approx(0.01718, abs=1e-5)
    assert (found.blocks, found.requests) == (8, 1600)
    assert found.reason == "Within: 1.00% +-1.72% of requests over the promise, below 4.00%"


def test_a_broken_promise_fails_at_the_first_look() -> None:
    """24 of 200 each: 12 % - 1.718 % is above 5 %."""
    found = judge(blocks(*[24] * 8), 95)
    assert found.verdict == "Fail"
    assert found.over_fraction == pytest.approx(0.12)


def test_a_stream_at_its_promise_is_neither() -> None:
    """4.5 % over keeps a P95 promise; it never passes (bound 4 %) and never fails (5 %)."""
    assert judge(blocks(*[9] * 400), 95).verdict == "Inconclusive"


def test_before_the_eighth_block_nothing_is_said() -> None:
    found = judge(blocks(*[200] * 7), 95)
    assert found == Judgement(
        "Inconclusive",
        1.0,
        None,
        7,
        1400,
        "TooFew: as good as 7 equal blocks, the first look is at 8",
    )


@pytest.mark.parametrize(("requests", "needed"), [(1, 255), (5, 46), (20, 13), (50, 8), (200, 8)])
def test_spotless_small_blocks_do_not_pass_by_having_no_spread(requests: int, needed: int) -> None:
    spotless = blocks(*[0] * needed, requests=requests)
    assert judge(spotless, 95).verdict == "Pass"
    assert judge(spotless[:-1], 95).verdict == "Inconclusive"


def test_a_busy_block_weighs_more_than_a_quiet_one() -> None:
    """Seven quiet blocks of 10 without, one of 930 with 93 slow: 93 of 1,000, not 1.25 %; and as
    good as 1,000^2 / (930^2 + 7 * 100) = 1.2 blocks, so no verdict."""
    found = judge([*blocks(*[0] * 7, requests=10), BlockSample(930, 93, 8.0)], 95)
    assert found.over_fraction == pytest.approx(0.093)
    assert found.verdict == "Inconclusive"
    assert found.reason == "TooFew: as good as 1 equal blocks, the first look is at 8"


def test_idle_blocks_say_nothing() -> None:
    idle = BlockSample(0, 0, 8.0)
    assert judge([idle] * 50, 95) == Judgement(
        "Inconclusive", None, None, 0, 0, "TooFew: no block with requests"
    )
    assert judge([idle, *blocks(*[1] * 8), idle], 95) == judge(blocks(*[1] * 8), 95)
    assert judge([], 95).verdict == "Inconclusive"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(BlockSample(math.nan, 0, 8), id="requests-not-a-number"),
        pytest.param(BlockSample(200, math.nan, 8), id="over-not-a-number"),
        pytest.param(BlockSample(math.inf, 0, 8), id="infinite-requests"),
        pytest.param(BlockSample(-5, -5, 8), id="negative"),
        pytest.param(BlockSample(10, 11, 8), id="more-slow-than-all"),
        pytest.param(BlockSample(10, 1, math.nan), id="no-duration"),
    ],
)
def test_a_broken_block_spoils_the_verdict(broken: BlockSample) -> None:
    found = judge([*blocks(*[0] * 20), broken], 95)
    assert (found.verdict, found.reason) == ("Inconclusive", "Invalid: a broken block")


@given(
    st.lists(st.integers(0, 200), min_size=8, max_size=60),
    st.sampled_from([50, 90, 95, 99]),
)
def test_a_verdict_is_on_the_right_side_of_its_bound(over: list[int], percentile: int) -> None:
    found = judge(blocks(*over), percentile)
    assert found.over_fraction is not None
    assert found.half_width is not None
    allowed = allowed_fraction(percentile)
    if found.verdict == "Pass":
        assert found.over_fraction + found.half_width < 0.8 * allowed
    if found.verdict == "Fail":
        assert found.over_fraction - found.half_width > allowed


@given(st.lists(st.integers(0, 10), min_size=8, max_size=30), st.randoms())
def test_the_order_of_blocks_does_not_matter(over: list[int], shuffler: Any) -> None:
    mixed = list(over)
    shuffler.shuffle(mixed)
    left, right = judge(blocks(*over), 95), judge(blocks(*mixed), 95)
    assert left.verdict == right.verdict
    assert left.half_width == pytest.approx(right.half_width)


@pytest.mark.parametrize(
    ("true_over", "verdict"), [pytest.param(0.01, 0, id="sane"), pytest.param(0.10, 1, id="broken")]
)
def test_a_simulated_server_gets_the_right_verdict(true_over: float, verdict: int) -> None:
    """Load 0.5, blocks of 200, 20 streams: measured 100 % right within 40 blocks."""
    rates = live_rates(0.5, true_over, 200, 20)
    assert rates[verdict] >= 0.95


def test_the_time_a_verdict_needs_by_hand() -> None:
    """30 requests/s, scrapes of 2 s: 200 requests are 3.33 scrapes, so blocks of 8 s with 240
    requests; 8 blocks and one scrape: 66 s."""
    assert block_seconds(30, 2, 200) == 8
    assert blocks_needed(95, 240) == 8
    assert required_verification_seconds(30, 2) == 66


@pytest.mark.parametrize(
    ("rate", "scrape", "percentile", "load", "seconds"),
    [
        pytest.param(1000, 15, 95, None, 8 * 30 + 15, id="two-scrapes-at-least"),
        pytest.param(30, 2, 95, 0.8, 8 * 34 + 2, id="busy-blocks-are-longer"),
        pytest.param(30, 2, 99, None, 11 * 8 + 2, id="p99-needs-more-blocks"),
        pytest.param(0.5, 15, 95, None, 8 * 405 + 15, id="little-traffic"),
        pytest.param(100, 2, 95, None, 8 * 4 + 2, id="a-block-of-two-scrapes-exactly"),
    ],
)
def test_the_time_a_verdict_needs(
    rate: float, scrape: float, percentile: int, load: float | None, seconds: float
) -> None:
    assert required_verification_seconds(rate, scrape, percentile, load) == seconds


def test_no_time_is_long_enough_without_traffic() -> None:
    nothing = required_verification_seconds(0, 15)
    assert nothing == NoData("TooFew", "no live traffic: no time is long enough")
    for rate, scrape in ((math.nan, 15), (math.inf, 15), (10, 0), (10, math.nan)):
        broken = required_verification_seconds(rate, scrape)
        assert isinstance(broken, NoData)
        assert broken.reason == "Invalid"


def test_blocks_that_could_never_pass_end_at_a_bound() -> None:
    assert blocks_needed(99, 1, spread=50) == 100_000


@pytest.mark.parametrize(("load", "requests"), [(None, 200), (0.5, 200), (0.7, 1000), (0.9, 1000)])
def test_busy_servers_get_longer_blocks(load: float | None, requests: int) -> None:
    assert block_requests(load) == requests
