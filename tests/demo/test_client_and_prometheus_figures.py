"""The two sides of the demo's table: what the client logged and what Prometheus scraped."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from demo.client_windows import batches_of, client_traffic, parse_windows, within
from demo.scraped import Scrapes, Series, parse_matrix, prometheus_traffic, resources
from infertune.api.status import Reading
from infertune_probes.contract.histogram import bucket_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _line(second: int, latencies: list[float], failed: int = 0, slo: float = 200.0) -> str:
    buckets: dict[int, int] = {}
    for latency in latencies:
        bucket = bucket_of(latency)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    window = {
        "type": "window",
        "at": (NOON + timedelta(seconds=second)).isoformat().replace("+00:00", "Z"),
        "seconds": 2.0,
        "offeredRate": 10.0,
        "sent": len(latencies) + failed,
        "completed": len(latencies),
        "failed": failed,
        "exceeded": sum(one > slo for one in latencies) + failed,
        "errors": {"status_429": failed} if failed else {},
        "histogram": [[bucket, buckets[bucket]] for bucket in sorted(buckets)],
    }
    return json.dumps(window, separators=(",", ":"))


def test_windows_are_read_from_a_log_with_other_lines_and_a_cut_one() -> None:
    log = "\n".join(["ready", _line(4, [1.0]), _line(2, [1.0]), _line(6, [1.0])[:40], "{}"])
    assert [one.end for one in parse_windows(log)] == [
        NOON + timedelta(seconds=2),
        NOON + timedelta(seconds=4),
    ]


def test_only_windows_that_lie_wholly_inside_count() -> None:
    """Windows end at 2, 4, 6, 8 s and are 2 s long; 1..7 s holds those of 4 and 6 s."""
    windows = parse_windows("\n".join(_line(second, [1.0]) for second in (2, 4, 6, 8)))
    chosen = within(windows, NOON + timedelta(seconds=1), NOON + timedelta(seconds=7))
    assert [one.end for one in chosen] == [NOON + timedelta(seconds=s) for s in (4, 6)]


def test_refused_requests_count_as_late_but_not_in_the_percentiles() -> None:
    """Ten windows of 2 s: 18 answers at 50 ms, 1 at 300 ms, 1 refusal each.

    190 answers in 20 s are 9.5/s; 10 of 200 failed are 5 %; 10 late + 10 failed are 10 %.
    P95 of the answers has rank 180.5 -> 181, the first of the late ones: 300 ms.
    """
    log = "\n".join(_line(2 * i, [50.0] * 18 + [300.0], failed=1) for i in range(1, 11))
    traffic = client_traffic(parse_windows(log))
    assert traffic.achieved_rate.value == 9.5
    assert traffic.error_percent.value == 5.0
    assert traffic.over_promise_percent.value == 10.0
    assert traffic.offered_rate == 10.0
    assert traffic.errors == (("status_429", 10),)
    assert traffic.p50.value == pytest.approx(50, rel=0.006)
    assert traffic.p95.value == pytest.approx(300, rel=0.006)
    assert traffic.p95.reason == "all batches are equal"


def test_percentiles_of_too_few_answers_are_not_given() -> None:
    traffic = client_traffic(parse_windows(_line(2, [50.0] * 20)))
    assert traffic.p50.value is not None
    assert traffic.p95 == Reading(reason="TooFew: 20 answers, P95 needs 100")


def test_no_windows_give_reasons_and_never_zeros() -> None:
    traffic = client_traffic(())
    figures = (traffic.p95, traffic.achieved_rate, traffic.error_percent)
    assert [one.value for one in figures] == [None, None, None]
    assert all(one.reason for one in figures)


def test_a_rate_that_changed_inside_the_window_is_not_one_rate() -> None:
    log = f"{_line(2, [1.0])}\n{_line(4, [1.0]).replace('10.0', '20.0')}"
    assert client_traffic(parse_windows(log)).offered_rate is None


def test_runs_of_windows_are_equal_and_the_rest_is_at_the_front() -> None:
    """23 windows in 10 runs: 2 each, the first 3 left out."""
    windows = parse_windows("\n".join(_line(2 * i, [1.0]) for i in range(1, 24)))
    runs = batches_of(windows, 10)
    assert [len(run) for run in runs] == [2] * 10
    assert runs[0][0] == windows[3]
    assert batches_of(windows[:9], 10) == ()


def _series(value: float, start: float = 0.0, **labels: str) -> Series:
    return Series({"pod": "a", **labels}, ((100.0, start), (110.0, start + value)))


def _scrapes(**changes: tuple[Series, ...]) -> Scrapes:
    """Ten seconds of one pod: 200 answers, 180 within 100 ms, 190 within 200 ms; 50 refusals."""
    made = {
        "buckets": (
            _series(180, 7, le="0.1", code="200"),
            _series(190, 9, le="0.2", code="200"),
            _series(200, 9, le="+Inf", code="200"),
            _series(50, le="0.1", code="429"),
            _series(50, le="0.2", code="429"),
            _series(50, le="+Inf", code="429"),
        ),
        "requests": (_series(200, 9, code="200"), _series(50, code="429")),
        "cpu": (_series(1.5), Series({"pod": "b"}, ((100.0, 3.0), (110.0, 3.5)))),
        "memory": (Series({"pod": "a"}, ((100.0, 1048576.0), (110.0, 3145728.0))),),
    }
    return Scrapes(**{**made, **changes})


def test_prometheus_counts_quick_refusals_as_failures_and_not_as_quick() -> None:
    """P50 is rank 100 of 180 in 0..100 ms: 55.6 ms; P95 rank 190 ends 100..200: 200 ms.

    Late: 10 of 200 answers, and 50 failures: 60 of 250, 24 %.
    """
    traffic = prometheus_traffic(_scrapes(), 200.0)
    assert traffic.p50.value == pytest.approx(55.5556)
    assert (traffic.p95.value, traffic.p95.low, traffic.p95.high) == (200.0, 100.0, 200.0)
    assert traffic.p99.reason is not None
    assert "OutsideBuckets" not in (traffic.p95.reason or "")
    assert traffic.over_promise_percent.value == 24.0
    assert traffic.error_percent.value == 20.0
    assert traffic.achieved_rate.value == 20.0
    assert traffic.errors == (("status_429", 50),)


def test_a_restarted_server_counts_from_zero_again() -> None:
    """40, 50, then a restart and 30: the rise is 10 + 30."""
    reset = Series({"code": "200"}, ((100.0, 40.0), (105.0, 50.0), (110.0, 30.0)))
    assert prometheus_traffic(_scrapes(requests=(reset,)), 200.0).achieved_rate.value == 4.0


def test_cpu_is_summed_over_pods_and_memory_averaged_over_time() -> None:
    used = resources(_scrapes())
    assert used.cpu_cores.value == 0.2
    assert used.memory_mebibytes.value == 2.0


def test_pods_that_are_scraped_at_different_moments_do_not_seem_slower() -> None:
    """Each pod answers 10/s: 100 in 100..110 s and 100 in 101..111 s make 20/s, not 200 in 11 s."""
    pods = tuple(
        Series({"pod": name, "code": "200"}, ((start, 5.0), (start + 10.0, 105.0)))
        for name, start in (("a", 100.0), ("b", 101.0))
    )
    rate = prometheus_traffic(_scrapes(requests=pods), 200.0).achieved_rate
    assert (rate.value, rate.samples, rate.window_seconds) == (20.0, 200, 10.0)


def test_series_that_are_not_there_have_reasons() -> None:
    empty = Scrapes((), (), (), ())
    traffic, used = prometheus_traffic(empty, 200.0), resources(empty)
    figures = (
        traffic.p95,
        traffic.achieved_rate,
        traffic.error_percent,
        traffic.over_promise_percent,
        used.cpu_cores,
        used.memory_mebibytes,
    )
    assert [one.value for one in figures] == [None] * 6
    assert all(one.reason for one in figures)


def test_only_a_matrix_is_read() -> None:
    answer = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    assert parse_matrix(answer) == ()
    with pytest.raises(ValueError, match="vector"):
        parse_matrix({"status": "success", "data": {"resultType": "vector", "result": []}})
    with pytest.raises(ValueError, match="query too long"):
        parse_matrix({"status": "error", "error": "query too long"})
