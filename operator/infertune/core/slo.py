"""Does the evidence keep the promise? Pass, Fail or Inconclusive, with the figures behind it.

Role: judge live traffic (blocks over scrapes) and single rates of a trial. Must not know: what to
try next, where blocks come from. Trade-off: the promise "P95 at most 200 ms" is judged as "at most
5 % of requests are slower", because counts in blocks have honest intervals and percentiles of a
correlated stream have not; between the two bounds the answer is Inconclusive, not a guess.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from infertune.api.fields import fraction_of_percent
from infertune.api.spec import Slo
from infertune.core.evidence import (
    MIN_BATCHES,
    Evidence,
    Interval,
    NoData,
    measured_from_batches,
    min_requests_for,
    student_t,
)
from infertune.core.snapshot import BlockSample
from infertune_probes.contract.load_result import Block, Level

Verdict = Literal["Pass", "Fail", "Inconclusive"]
LevelVerdict = Literal["Pass", "Fail", "Inconclusive", "Invalid"]

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

LEVEL_BLOCKS = 10
LEVEL_BLOCK_REQUESTS = 20
MAX_LATENESS_SHARE = 0.05
MAX_CLIENT_CPU = 0.7
MIN_ACHIEVED = 0.98
LITTLE_LOW, LITTLE_HIGH = 0.9, 1.1
_LEVEL = 0.95
_PASS_LEVEL = 0.8  # two-sided, so one-sided 90 %
_FAIL_LEVEL = 0.6  # two-sided, so one-sided 80 %
_DESIGN_EFFECT = 4.0
_ERROR_TAIL = 0.05
_SENT_SIGMAS = 4.0


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
    floor = _spread_floor(allowed, requests / len(used))
    half = max(_ratio_spread(used, mean), floor) * sequence_width(k, alpha)
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
    deviation = spread * _spread_floor(allowed, requests_per_block)
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


@dataclass(frozen=True, slots=True)
class LevelJudgement:
    """The verdict on one rate. ``Invalid``: the measurement is void, not the server slow.

    ``over_percent`` is the share of requests over the promise, with a 95 % interval by batch means
    or the reason for none. ``low`` (one-sided 80 %) and ``high`` (one-sided 90 %) are the bounds of
    the same as a fraction that the verdict used. ``reason`` is one word and a sentence.
    """

    verdict: LevelVerdict
    over_percent: Evidence
    low: float | None
    high: float | None
    reason: str


def judge_level(level: Level, slo: Slo) -> LevelJudgement:
    """Judge one rate of a trial's ladder; failed requests count as over the promise.

    In this order:

    * ``skipped`` or nothing sent: Inconclusive. ``interrupted``: Invalid.
    * The client was not fit: less was sent than offered, lateness P99 above 5 % of the SLO, or
      client CPU above 70 %: Invalid, whatever was measured. One exception: half of the requests
      broke the promise by more than the client was late; then it is Fail.
    * Significantly more errors than allowed, lower bound of the over-SLO fraction above what is
      allowed, or fewer than 98 % answered (beyond what a server within its promise may have in
      flight): Fail.
    * ``capped`` or Little's law N / (X R) outside 0.9..1.1: Invalid. This stands behind Fail,
      since a stuck server looks fast, never slow.
    * Upper bound within what is allowed and every gate measured: Pass. Else Inconclusive.

    This is screening of a few hundred requests, not verification. Bounds: block means (ratio
    estimator) with Student's t from eight blocks on, with the spread floor of ``judge``; under
    eight blocks normal-like bounds with a design effect of 4. Simulated with a take-all batching
    server (tau0 8 ms, alpha 2 ms, cap 16, Poisson; the SLO set so that the true fraction is exact;
    100 runs each, blocks of 20 joined to ten), share of runs that Pass / Fail in percent:

        true      load 0.7                 load 0.9
        fraction  300    900    2,000      300    900    2,000 requests
        1 %       90/1   94/0   99/0       98/0   95/1   92/1
        3 %       60/9   50/1   61/0       85/4   79/5   71/3
        5 %       38/20  22/16  18/13      68/9   59/9   54/7
        7 %       22/29  7/40   6/55       59/18  37/19  28/19
        10 %      16/46  1/77   0/92       38/33  19/35  8/47
        20 %      0/91   0/100  0/100      8/68   0/89   0/96

    The point estimate alone would pass 61 % instead of 22 % of streams at 5 % (900 requests, load
    0.7). At load 0.9 short levels are weak: use 2,000 requests, or leave it to verification.
    """
    if level.state == "skipped" or level.sent == 0:
        return _void("Inconclusive", f"NotMeasured: {level.reason or 'nothing was sent'}")
    if level.state == "interrupted":
        return _void("Invalid", f"Interrupted: {level.reason}")
    blocks = _merged(level.blocks)
    low, high = _level_bounds(level, blocks, slo.percentile)
    over = _over_percent(level, blocks)
    unfit = _client_unfit(level, slo.latency_milliseconds)
    if unfit and not _slow_without_lateness(level, slo.latency_milliseconds):
        return LevelJudgement("Invalid", over, low, high, unfit)
    failed = _level_failure(level, slo, low)
    if failed:
        return LevelJudgement("Fail", over, low, high, failed)
    doubt = _server_doubt(level)
    if doubt:
        return LevelJudgement("Invalid", over, low, high, doubt)
    verdict, reason = _level_pass(level, slo.percentile, high)
    return LevelJudgement(verdict, over, low, high, reason)


def _void(verdict: LevelVerdict, reason: str) -> LevelJudgement:
    return LevelJudgement(verdict, NoData("Missing", reason), None, None, reason)


def _merged(blocks: Sequence[Block]) -> list[BlockSample]:
    """Return at most 19 blocks: fine ones, joined by equal numbers, forget less of each other."""
    size = max(1, len(blocks) // LEVEL_BLOCKS)
    joined = [blocks[start : start + size] for start in range(0, len(blocks), size)]
    if len(joined) > 1 and len(joined[-1]) < size:
        joined[-2:] = [[*joined[-2], *joined[-1]]]
    return [
        BlockSample(sum(b.requests for b in part), sum(b.exceeded for b in part), 0.0)
        for part in joined
    ]


def _level_bounds(
    level: Level, blocks: Sequence[BlockSample], percentile: int
) -> tuple[float, float]:
    """Return the one-sided lower and upper screening bounds of the over-SLO fraction."""
    over = level.exceeded / level.sent
    floor = _spread_floor(allowed_fraction(percentile), level.sent)
    if len(blocks) < MIN_BATCHES:
        spread = max(_spread_floor(over, level.sent), floor)
        error, degrees = math.sqrt(_DESIGN_EFFECT) * spread, LEVEL_BLOCKS - 1
    else:
        spread = _ratio_spread(blocks, over) / math.sqrt(len(blocks))
        error, degrees = max(spread, floor), len(blocks) - 1
    low = over - student_t(_FAIL_LEVEL, degrees) * error
    high = over + student_t(_PASS_LEVEL, degrees) * error
    return max(low, 0.0), min(high, 1.0)


def _over_percent(level: Level, blocks: Sequence[BlockSample]) -> Evidence:
    percents = [100 * block.over / block.requests for block in blocks]
    value = 100 * level.exceeded / level.sent
    found = measured_from_batches(value, "%", level.sent, level.window_seconds, percents)
    if isinstance(found, NoData) or found.interval is None:
        return found
    within = Interval(max(found.interval.low, 0.0), min(found.interval.high, 100.0), _LEVEL)
    return replace(found, interval=within)


def _client_unfit(level: Level, slo_ms: float) -> str | None:
    planned = level.offered_rate * level.window_seconds
    missing = planned - level.sent
    if missing > max((1 - MIN_ACHIEVED) * planned, _SENT_SIGMAS * math.sqrt(planned)):
        return f"LoadNotOffered: {level.sent} sent of {planned:.0f} planned"
    late, cpu = level.lateness_p99_ms, level.client_cpu_share
    if late is not None and late > MAX_LATENESS_SHARE * slo_ms:
        return f"ClientLate: P99 {late:.1f} ms late, {MAX_LATENESS_SHARE:.0%} of the SLO is allowed"
    if cpu is not None and cpu > MAX_CLIENT_CPU:
        return f"ClientBusy: the client used {cpu:.0%} of a core, {MAX_CLIENT_CPU:.0%} is allowed"
    return None


def _slow_without_lateness(level: Level, slo_ms: float) -> bool:
    late = level.lateness_p99_ms
    if level.latency is None or late is None or late <= MAX_LATENESS_SHARE * slo_ms:
        return False
    busy = level.client_cpu_share is None or level.client_cpu_share > MAX_CLIENT_CPU
    return not busy and level.latency.p50.value_ms - late > slo_ms


def _level_failure(level: Level, slo: Slo, low: float) -> str | None:
    failures = sum(level.errors.values())
    expected = fraction_of_percent(slo.max_error_percent) * level.sent
    if failures > expected and _poisson_tail(failures, expected) < _ERROR_TAIL:
        return f"Errors: {failures} of {level.sent} requests failed"
    allowed = allowed_fraction(slo.percentile)
    if low > allowed:
        return f"TooSlow: at least {low:.2%} of requests over the promise, {allowed:.2%} allowed"
    in_flight = level.offered_rate * slo.latency_milliseconds / 1000
    missing = level.sent - level.achieved_rate * level.window_seconds
    if missing > (1 - MIN_ACHIEVED) * level.sent + in_flight:
        return f"Saturated: {level.achieved_rate:.4g} of {level.sent_rate:.4g} requests/s answered"
    return None


def _server_doubt(level: Level) -> str | None:
    if level.state == "capped":
        return f"Capped: {level.reason}"
    little = level.littles_ratio
    if little is not None and not LITTLE_LOW <= little <= LITTLE_HIGH:
        return f"LittlesLaw: N / (X R) is {little:.2f}, so some requests were not counted"
    return None


def _level_pass(level: Level, percentile: int, high: float) -> tuple[LevelVerdict, str]:
    allowed = allowed_fraction(percentile)
    unknown = [
        name
        for name, value in (
            ("lateness", level.lateness_p99_ms),
            ("client CPU", level.client_cpu_share),
            ("Little's law", level.littles_ratio),
        )
        if value is None
    ]
    if unknown:
        return "Inconclusive", f"GateUnknown: {', '.join(unknown)} was not measured"
    if level.sent < min_requests_for(percentile):
        needed = min_requests_for(percentile)
        return "Inconclusive", f"TooFew: {level.sent} requests, P{percentile} needs {needed}"
    if high > allowed:
        return "Inconclusive", f"Between: up to {high:.2%} over the promise, {allowed:.2%} allowed"
    return "Pass", f"Within: at most {high:.2%} over the promise, {allowed:.2%} allowed"


def _poisson_tail(count: int, expected: float) -> float:
    """Return the chance of ``count`` or more events where ``expected`` are expected."""
    term, below = math.exp(-expected), 0.0
    for seen in range(count):
        below += term
        term *= expected / (seen + 1)
    return 1 - below


def _sound(block: BlockSample) -> bool:
    numbers = (block.requests, block.over, block.seconds)
    return all(math.isfinite(n) for n in numbers) and 0 <= block.over <= block.requests


def _spread_floor(allowed: float, requests_per_block: float) -> float:
    return math.sqrt(allowed * (1 - allowed) / requests_per_block)


def _ratio_spread(blocks: Sequence[BlockSample], mean: float) -> float:
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
