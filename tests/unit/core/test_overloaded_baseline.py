"""A target that refuses so many requests that its P95 has no figure is still a baseline."""

from datetime import UTC, datetime

import pytest

from infertune.api.spec import Slo
from infertune.api.status import LiveFigures, Reading
from infertune.core.evidence import Evidence, Measured, NoData
from infertune.core.snapshot import LiveEvidence
from infertune.core.states.pending import missing_from
from infertune.core.states.searching import baseline_fails

OUTSIDE = NoData("OutsideBuckets", "P95 is above the last bound: 8 % of requests failed")
SILENT = NoData("TooFew", "12 requests, 100 are needed")
SLO = Slo.model_validate({"latencyMilliseconds": 200})


def percent(value: float) -> Measured:
    return Measured(value, "%", 1000, 60.0, None, "counted")


def live(p95: Evidence, over: Evidence) -> LiveEvidence:
    return LiveEvidence(
        p50=p95,
        p95=p95,
        p99=p95,
        request_rate=over,
        error_percent=over,
        over_slo_percent=over,
        cpu_cores=SILENT,
        memory_bytes=SILENT,
        blocks=(),
        pods=2,
        observed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("p95", "over", "missing"),
    [
        pytest.param(percent(300), percent(20), None, id="a figure is a baseline"),
        pytest.param(OUTSIDE, percent(20), None, id="the share over the promise is enough"),
        pytest.param(OUTSIDE, OUTSIDE, OUTSIDE, id="no bucket near the promise"),
        pytest.param(SILENT, percent(20), SILENT, id="too few requests stay too few"),
    ],
)
def test_what_is_missing_from_a_baseline(
    p95: Evidence, over: Evidence, missing: NoData | None
) -> None:
    assert missing_from(live(p95, over)) == missing


@pytest.mark.parametrize(
    ("p95", "over", "fails"),
    [
        pytest.param(200.0, 5.0, False, id="exactly at the promise keeps it"),
        pytest.param(200.1, 4.0, True, id="the percentile decides where it is known"),
        pytest.param(None, 8.0, True, id="P95 allows 5 percent, 8 are over"),
        pytest.param(None, 5.0, False, id="P95 allows 5 percent"),
        pytest.param(None, None, None, id="nobody knows"),
    ],
)
def test_whether_the_baseline_breaks_the_promise(
    p95: float | None, over: float | None, fails: bool | None
) -> None:
    figures = LiveFigures(p95=Reading(value=p95), over_slo_percent=Reading(value=over))
    assert baseline_fails(figures, SLO) is fails
    assert baseline_fails(None, SLO) is None
