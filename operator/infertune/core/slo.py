"""Does the evidence keep the promise? Pass, Fail or Inconclusive, with the figures behind it.

Role: judge live traffic (blocks over scrapes). Must not know: what to try next, where blocks come
from. Trade-off: the promise "P95 at most 200 ms" is judged as "at most 5 % of requests are slower",
because counts in blocks have honest intervals and percentiles of a correlated stream have not;
between the two bounds the answer is Inconclusive, not a guess.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from infertune.core.evidence import NoData
from infertune.core.snapshot import BlockSample

Verdict = Literal["Pass", "Fail", "Inconclusive"]

FIRST_LOOK = 8
TUNED_FOR_BLOCKS = 40
ALPHA = 0.05
PASS_SHARE = 0.8
BUSY_LOAD = 0.7
BLOCK_REQUESTS = 200
BLOCK_REQUESTS_BUSY = 1000
_SCRAPES_PER_BLOCK = 2
_SANE_OVER_SHARE = 0.2
_MOST_BLOCKS = 100_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict over blocks. ``over_fraction`` +- ``half_width`` holds the true fraction.

    Both are None when there was nothing to judge; ``reason`` is one word plus a sentence.
    """

    verdict: Verdict
    over_fraction: float | None
    half_width: float | None
    blocks: int
    requests: float
    reason: str


def allowed_fraction(percentile: int) -> float:
    """Return which fraction of requests may be slower than the promise: P95 gives 0.05."""
    return (100 - percentile) / 100


def block_requests(load: float | None) -> int:
    """Return how many requests a block needs so that blocks are nearly independent.

    200 below a load (utilisation) of 0.7, 1,000 from there on, where the queue remembers longer.
    An unknown load counts as low: the time needed would else be five times as long for everybody.
    """
    return BLOCK_REQUESTS_BUSY if load is not None and load >= BUSY_LOAD else BLOCK_REQUESTS


def judge(blocks: Sequence[BlockSample], percentile: int, alpha: float = ALPHA) -> Judgement:
    """Judge live traffic; the verdict may be asked for after every block.

    Asymptotic confidence sequence (Robbins' normal mixture; Waudby-Smith, Arbour, Sinha, Kennedy
    and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", one-sided
    form): with k blocks and r tuned for k = 40,

        h = s * sqrt(2 (k r + 1) / (k^2 r) * ln(1 + sqrt(k r + 1) / (2 alpha)))

    Pass when mean + h < 0.8 * allowed, Fail when mean - h > allowed (0.04 and 0.05 for P95),
    Inconclusive between and before the eighth block. One bound for both would fail a stream that
    exceeds 4.5 % of the time, which keeps its promise.

    The mean is all slow requests over all requests (a ratio estimator), and s the spread of its
    linearised block values, (over_k - mean * requests_k) / mean requests + mean: with equal blocks
    that is the plain mean and standard deviation. k is the effective number of blocks, (sum n)^2 /
    sum n^2: one block that holds most requests is one witness, whatever stands beside it.

    s is never taken below sqrt(allowed (1 - allowed) / requests per block). Eight blocks without
    one slow request would give s = 0 and a certain Pass after any eight blocks, however small. The
    floor asks what a stream that just breaks the promise would do: even with independent requests
    its blocks spread that much. A spotless stream then needs 8 blocks of 50 or more for P95, and
    230 to 260 requests in smaller blocks; for P99 8 blocks of 200, else 1,200 to 1,600 requests.

    Blocks without requests say nothing and are left out. A block that is not a number, or holds
    more slow requests than requests, makes the whole Inconclusive: the source is broken.
    """
    used = [block for block in blocks if block.requests != 0]
    if any(not _sound(block) for block in used):
        return Judgement("Inconclusive", None, None, len(used), 0.0, "Invalid: a broken block")
    requests = sum(block.requests for block in used)
    if not used:
        return Judgement("Inconclusive", None, None, 0, 0.0, "TooFew: no block with requests")
    mean = sum(block.over for block in used) / requests
    k = round(requests**2 / sum(block.requests**2 for block in used))
    if k < FIRST_LOOK:
        reason = f"TooFew: as good as {k} equal blocks, the first look is at {FIRST_LOOK}"
        return Judgement("Inconclusive", mean, None, len(used), requests, reason)
    allowed = allowed_fraction(percentile)
    floor = spread_floor(allowed, requests / len(used))
    half = max(ratio_spread(used, mean), floor) * sequence_width(k, alpha)
    verdict, reason = _live_verdict(mean, half, allowed)
    return Judgement(verdict, mean, half, len(used), requests, reason)


def sequence_width(k: int, alpha: float = ALPHA) -> float:
    """Return the half-width of the confidence sequence at k blocks, in standard deviations."""
    r = _mixture_scale(alpha)
    inner = k * r + 1
    return math.sqrt(2 * inner / (k * k * r) * math.log(1 + math.sqrt(inner) / (2 * alpha)))


def blocks_needed(percentile: int, requests_per_block: float, spread: float = 1.0) -> int:
    """Return how many blocks a sane stream needs before it passes.

    A sane stream exceeds in a fifth of what is allowed (1 % of requests for P95). ``spread``
    multiplies the floor of the standard deviation, for streams that come in bursts.
    """
    allowed = allowed_fraction(percentile)
    room = allowed * (PASS_SHARE - _SANE_OVER_SHARE)
    deviation = spread * spread_floor(allowed, requests_per_block)
    return next(
        (k for k in range(FIRST_LOOK, _MOST_BLOCKS) if sequence_width(k) * deviation < room),
        _MOST_BLOCKS,
    )


def required_verification_seconds(
    request_rate: float,
    scrape_interval: float,
    percentile: int = 95,
    load: float | None = None,
    spread: float = 1.0,
) -> float | NoData:
    """Return how long live traffic must be watched before a sane stream can pass.

    Blocks end at scrapes: a block is as many scrape intervals as ``block_requests`` need, two at
    least. One interval comes on top, since the window starts between two scrapes. NoData TooFew
    without traffic, Invalid for figures that are not positive numbers.
    """
    if not (math.isfinite(request_rate) and math.isfinite(scrape_interval) and scrape_interval > 0):
        return NoData("Invalid", f"rate {request_rate}, scrape interval {scrape_interval}")
    if request_rate <= 0:
        return NoData("TooFew", "no live traffic: no time is long enough")
    wanted = block_requests(load)
    seconds = block_seconds(request_rate, scrape_interval, wanted)
    blocks = blocks_needed(percentile, request_rate * seconds, spread)
    return blocks * seconds + scrape_interval


def block_seconds(request_rate: float, scrape_interval: float, wanted_requests: float) -> float:
    """Return the length of a block that holds ``wanted_requests``, in whole scrape intervals."""
    scrapes = math.ceil(wanted_requests / (request_rate * scrape_interval) - 1e-9)
    return max(_SCRAPES_PER_BLOCK, scrapes) * scrape_interval


def _sound(block: BlockSample) -> bool:
    numbers = (block.requests, block.over, block.seconds)
    return all(math.isfinite(n) for n in numbers) and 0 <= block.over <= block.requests


def spread_floor(allowed: float, requests_per_block: float) -> float:
    """Return the least block-to-block spread of a stream that just breaks the promise."""
    return math.sqrt(allowed * (1 - allowed) / requests_per_block)


def ratio_spread(blocks: Sequence[BlockSample], mean: float) -> float:
    """Return the spread of linearised block values around a ratio of sums; two blocks or more."""
    per_block = sum(block.requests for block in blocks) / len(blocks)
    squares = sum(((block.over - mean * block.requests) / per_block) ** 2 for block in blocks)
    return math.sqrt(squares / (len(blocks) - 1))


def _live_verdict(mean: float, half: float, allowed: float) -> tuple[Verdict, str]:
    shown = f"{mean:.2%} +-{half:.2%} of requests over the promise"
    if mean + half < PASS_SHARE * allowed:
        return "Pass", f"Within: {shown}, below {PASS_SHARE * allowed:.2%}"
    if mean - half > allowed:
        return "Fail", f"Exceeded: {shown}, above {allowed:.2%}"
    return "Inconclusive", f"Between: {shown}, neither below {PASS_SHARE * allowed:.2%} nor above"


def _mixture_scale(alpha: float) -> float:
    """Return r that makes the sequence narrowest near k = 40 (same paper, appendix B.2)."""
    log = -2 * math.log(2 * alpha)
    return (log + math.log(log + 1)) / TUNED_FOR_BLOCKS
