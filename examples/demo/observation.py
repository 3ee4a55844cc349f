"""One side of the comparison: what ran, under which load, and how it did.

Role: the value that is collected twice, and the cost that follows from it. It must not know how it
is collected. Its trade-off: costs are computed here from replicas and answered requests of the
window itself, not taken from the operator, so that the table checks the operator's claim.
"""

from dataclasses import dataclass
from datetime import datetime

from demo.agreement import Agreement, agreement
from demo.client_windows import Traffic
from demo.scraped import Resources
from infertune.api.status import Reading

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the cluster says runs: the knobs and the autoscaler."""

    batch_size: str
    image: str
    hpa_min: int
    hpa_max: int
    hpa_current: int
    hpa_desired: int
    ready_replicas: int

    @property
    def autoscaler(self) -> str:
        """Return the autoscaler's state for people."""
        still = "steady" if self.hpa_current == self.hpa_desired else "scaling"
        return f"{self.hpa_current} of {self.hpa_min}..{self.hpa_max}, {still}"


@dataclass(frozen=True, slots=True)
class Price:
    """What a replica costs."""

    replica_hourly: float
    currency: str


@dataclass(frozen=True, slots=True)
class Observation:
    """The state and the traffic of one window."""

    start: datetime
    end: datetime
    setting: Setting
    setting_at_start: Setting
    client: Traffic
    prometheus: Traffic
    resources: Resources

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return (self.end - self.start).total_seconds()

    def agreements(self) -> tuple[Agreement, ...]:
        """Return how the client compares with Prometheus, for each percentile."""
        ours, theirs = self.client, self.prometheus
        return (
            agreement("P50", ours.p50, theirs.p50),
            agreement("P95", ours.p95, theirs.p95),
            agreement("P99", ours.p99, theirs.p99),
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """Cost of the replicas of a window, per unit of work it did."""

    per_thousand_requests: Reading
    per_thousand_kept: Reading
    per_qps_hour: Reading


def costs(observation: Observation, price: Price) -> Costs:
    """Return the costs of a window, by the requests that the client got answers to.

    Example: 2 replicas at 0.36 an hour and 10 answers a second: 0.72 / 36,000 x 1,000 = 0.02 per
    1,000 requests, and 0.072 an hour for each request per second. When a fifth of the requests
    missed the promise, 1,000 that kept it cost more: what is bought is kept promises.
    """
    hourly = observation.setting.ready_replicas * price.replica_hourly
    achieved = observation.client.achieved_rate.value
    over = observation.client.over_promise_percent.value
    errors = observation.client.error_percent.value
    kept = None
    if achieved is not None and over is not None and errors is not None and errors < 100:  # noqa: PLR2004
        # `over` is a share of all requests, `achieved` counts the answered ones.
        kept = achieved * (100.0 - over) / (100.0 - errors)
    return Costs(
        per_thousand_requests=_per_thousand(hourly, achieved, price),
        per_thousand_kept=_per_thousand(hourly, kept, price),
        per_qps_hour=_per_qps(hourly, achieved, price),
    )


def _per_thousand(hourly: float, rate: float | None, price: Price) -> Reading:
    unit = f"{price.currency} per 1,000"
    if not rate:
        return Reading(unit=unit, reason="no request was answered")
    return Reading(value=round(hourly / (rate * SECONDS_PER_HOUR) * 1000, 6), unit=unit)


def _per_qps(hourly: float, rate: float | None, price: Price) -> Reading:
    unit = f"{price.currency}/h per req/s"
    if not rate:
        return Reading(unit=unit, reason="no request was answered")
    return Reading(value=round(hourly / rate, 6), unit=unit)
