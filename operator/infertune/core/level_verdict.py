"""Does one rate of a trial keep the promise? Pass, Fail, Inconclusive, or Invalid with the reason.

Role: the validity gates and the screening verdict of one level of a ladder. Must not know: live
traffic, what is tried next. Trade-off: a few hundred requests screen, they do not certify; live
traffic does that after the change.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from infertune.api.fields import fraction_of_percent
from infertune.api.spec import Slo
from infertune.core.capacity import LevelVerdict
from infertune.core.evidence import (
    MIN_BATCHES,
    Evidence,
    Interval,
    NoData,
    measured_from_batches,
    min_requests_for,
    student_t,
)
from infertune.core.slo import allowed_fraction, ratio_spread, spread_floor
from infertune.core.snapshot import BlockSample
from infertune_probes.contract.load_result import Block, Level

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
_REFUSED_ANYWAY = 0.25
_LATER_STILL = 0.01
_SHOWN_KIND = 32


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
    * The client was not fit: less was sent than offered, or client CPU above 70 %: Invalid.
    * The client was late: lateness P99 above 5 % of the SLO. Latency counts from the intended
      send, so lateness only ever adds to it: a Pass stands, anything else is Invalid, unless more
      requests than allowed broke the promise by more than the client was late.
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
    unfit = _client_unfit(level)
    if unfit:
        return LevelJudgement("Invalid", over, low, high, unfit)
    verdict, reason = _measured_verdict(level, slo, low, high)
    late = _client_late(level, slo.latency_milliseconds)
    if late and verdict != "Pass" and not _slow_anyway(level, slo):
        verdict, reason = "Invalid", late
    return LevelJudgement(verdict, over, low, high, reason)


def _measured_verdict(level: Level, slo: Slo, low: float, high: float) -> tuple[LevelVerdict, str]:
    failed = _level_failure(level, slo, low)
    if failed:
        return "Fail", failed
    doubt = _server_doubt(level)
    if doubt:
        return "Invalid", doubt
    return _level_pass(level, slo.percentile, high)


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
    floor = spread_floor(allowed_fraction(percentile), level.sent)
    if len(blocks) < MIN_BATCHES:
        spread = max(spread_floor(over, level.sent), floor)
        error, degrees = math.sqrt(_DESIGN_EFFECT) * spread, LEVEL_BLOCKS - 1
    else:
        spread = ratio_spread(blocks, over) / math.sqrt(len(blocks))
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


def _client_unfit(level: Level) -> str | None:
    planned = level.offered_rate * level.window_seconds
    missing = planned - level.sent
    if missing > max((1 - MIN_ACHIEVED) * planned, _SENT_SIGMAS * math.sqrt(planned)):
        return f"LoadNotOffered: {level.sent} sent of {planned:.0f} planned"
    cpu = level.client_cpu_share
    if cpu is not None and cpu > MAX_CLIENT_CPU:
        return f"ClientBusy: the client used {cpu:.0%} of a core, {MAX_CLIENT_CPU:.0%} is allowed"
    return None


def _client_late(level: Level, slo_ms: float) -> str | None:
    late = level.lateness_p99_ms
    if late is None or late <= MAX_LATENESS_SHARE * slo_ms:
        return None
    return f"ClientLate: P99 {late:.1f} ms late, {MAX_LATENESS_SHARE:.0%} of the SLO is allowed"


def _slow_anyway(level: Level, slo: Slo) -> bool:
    """Return whether the level is bad beyond what the client's lateness can explain.

    More requests than allowed broke the promise by more than the lateness P99, one request in a
    hundred set aside for the few that were later still. Or a quarter was refused: requests that
    leave late leave in small bursts, which refuse a few of them.
    """
    late = level.lateness_p99_ms
    if level.latency is None or late is None or level.client_cpu_share is None:
        return False
    if sum(level.errors.values()) > _REFUSED_ANYWAY * level.sent:
        return True
    if level.latencies_tenth_ms is None:
        return level.latency.p50.value_ms - late > slo.latency_milliseconds
    beyond = 10 * (slo.latency_milliseconds + late)
    over = sum(tenths > beyond for tenths in level.latencies_tenth_ms) / level.sent
    return over - _LATER_STILL > allowed_fraction(slo.percentile)


def _level_failure(level: Level, slo: Slo, low: float) -> str | None:
    failures = sum(level.errors.values())
    expected = fraction_of_percent(slo.max_error_percent) * level.sent
    if failures > expected and _poisson_tail(failures, expected) < _ERROR_TAIL:
        kind = max(level.errors, key=lambda one: level.errors[one])
        told = f"{kind[:_SHOWN_KIND]}: {level.errors[kind]}"
        return f"Errors: {failures} of {level.sent} requests failed ({told})"
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
