"""What a configuration costs, and when a tuning has paid for itself.

Role: prices and replica-hours, exactly, in decimals. Must not know: how replicas were found or
figures are printed. Trade-off: without a declared price the unit is replica-hours and no money is
named; the arithmetic is the same.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from infertune.core.evidence import NoData

_DIGITS = 34
_SECONDS_PER_HOUR = 3600
_THOUSAND = 1000
REPLICA_HOURS = "replica-hours"


@dataclass(frozen=True, slots=True)
class Price:
    """What one replica costs for an hour; ``unit`` is a currency or ``replica-hours``."""

    per_replica_hour: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class CostFigures:
    """Costs of a steady rate. ``unit`` is the currency, or replica-hours without a price.

    ``per_request_rate`` is the cost of an hour for each request per second (cost per QPS).
    """

    per_hour: Decimal
    per_thousand_requests: Decimal
    per_request_rate: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Saving:
    """What a change saves an hour, the same in percent of before, and hours until it has paid.

    Negative figures are an extra cost. ``payback_hours`` is NoData where nothing is saved.
    """

    per_hour: Decimal
    percent: Decimal
    payback_hours: Decimal | NoData
    unit: str


def declared_price(replica_hourly: str | None, currency: str = "USD") -> Price:
    """Return the declared price, or one replica-hour per replica and hour when there is none."""
    if replica_hourly is None:
        return Price(Decimal(1), REPLICA_HOURS)
    return Price(Decimal(replica_hourly), currency)


def cost_of(
    replicas: Decimal | int, request_rate: Decimal | int, price: Price
) -> CostFigures | NoData:
    """Return what ``replicas`` cost while they answer ``request_rate`` requests per second.

    ``replicas`` may be a mean and so not whole. NoData when there are no requests to divide by,
    or when a figure is not a number of at least zero.
    """
    count, rate = Decimal(replicas), Decimal(request_rate)
    if not (count.is_finite() and rate.is_finite()) or count < 0 or rate < 0:
        return NoData("Invalid", f"{replicas} replicas at {request_rate} requests per second")
    if rate == 0:
        return NoData("TooFew", "no requests, so no cost per request")
    with localcontext(prec=_DIGITS):
        per_hour = count * price.per_replica_hour
        per_rate = per_hour / rate
        per_thousand = per_hour * _THOUSAND / (rate * _SECONDS_PER_HOUR)
    return CostFigures(per_hour, per_thousand, per_rate, price.unit)


def spent(replica_hours: Decimal, price: Price) -> Decimal:
    """Return what trials that held ``replica_hours`` have cost, in the unit of the price."""
    with localcontext(prec=_DIGITS):
        return replica_hours * price.per_replica_hour


def saving(before: CostFigures, after: CostFigures, tuning_cost: Decimal) -> Saving | NoData:
    """Return what the change saves an hour and after how many hours the tuning has paid.

    NoData Invalid when the two are in different units or the cost before was zero.
    """
    if before.unit != after.unit:
        return NoData("Invalid", f"cost in {before.unit} before and in {after.unit} after")
    if before.per_hour == 0:
        return NoData("Invalid", "the cost before was zero")
    with localcontext(prec=_DIGITS):
        per_hour = before.per_hour - after.per_hour
        percent = per_hour / before.per_hour * 100
        payback: Decimal | NoData = NoData("Invalid", "nothing is saved, so nothing is paid back")
        if per_hour > 0:
            payback = tuning_cost / per_hour
    return Saving(per_hour, percent, payback, before.unit)
