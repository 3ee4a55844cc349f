"""Kubernetes quantities and percentages as exact numbers.

Role: "500m", "1Gi", "25%" to numbers, and what one pod of a template asks for. Must not know: who
asks, what is done with it. Trade-off: defaults that a LimitRange would fill in are not seen here,
so a figure is what the template itself says and never more than the pod will really hold.
"""

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

# Beyond this, a quantity is a mistake, and arithmetic with it would take for ever.
_MOST_DIGITS = 40
Amounts = dict[str, Decimal]
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def amount_of(text: str) -> Decimal:
    """Return the amount in units.

    Raises:
        decimal.InvalidOperation: the text is no quantity.
    """
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if text.endswith(suffix):
            return Decimal(text.removesuffix(suffix)) * _SUFFIXES[suffix]
    return Decimal(text)


def larger(one: str, other: str) -> str:
    """Return the larger of two quantities as it was written."""
    return one if amount_of(one) >= amount_of(other) else other


def quantity(text: object) -> Decimal | None:
    """Return a quantity as an exact number; None when it is none.

    >>> quantity("500m"), quantity("1Ki"), quantity(2), quantity("2e3"), quantity("soon")
    (Decimal('0.500'), Decimal('1024'), Decimal('2'), Decimal('2E+3'), None)
    """
    try:
        found = amount_of(str(text).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < _MOST_DIGITS else None


def scaled(value: object, whole: int, *, up: bool) -> int | None:
    """Return an int-or-percent field as a number of ``whole``; None when it is neither.

    >>> scaled("25%", 5, up=True), scaled("25%", 5, up=False), scaled(2, 5, up=True)
    (2, 1, 2)
    """
    text = str(value).strip()
    if text.endswith("%") and text[:-1].isdecimal():
        share = Decimal(text[:-1]) * whole / 100
        return math.ceil(share) if up else math.floor(share)
    return int(text) if text.isdecimal() else None


def pod_amounts(pod: Mapping[str, Any]) -> tuple[Amounts, Amounts]:
    """Return what one pod of this pod spec requests, and what it is limited to, by resource.

    As the quota counts: containers and sidecars together, or the largest init container beside
    the sidecars before it where that is more. A request that is absent equals the limit.
    """
    requests, limits = _effective(pod, "requests"), _effective(pod, "limits")
    of_pod = pod.get("resources") or {}
    for amounts, part in ((requests, "requests"), (limits, "limits")):
        amounts.update(_parsed(of_pod.get(part) or {}))
    return requests, limits


def _effective(pod: Mapping[str, Any], part: str) -> Amounts:
    running: Amounts = {}
    highest: Amounts = {}
    for container in pod.get("initContainers") or ():
        asked = _asked(container, part)
        if container.get("restartPolicy") == "Always":
            running = _sum((running, asked))
            highest = _most(highest, running)
        else:
            highest = _most(highest, _sum((running, asked)))
    served = [_asked(container, part) for container in pod.get("containers") or ()]
    return _sum((_most(highest, _sum((running, *served))), _overhead(pod, part)))


def _overhead(pod: Mapping[str, Any], part: str) -> Amounts:
    return _parsed(pod.get("overhead") or {}) if part == "requests" else {}


def _asked(container: Mapping[str, Any], part: str) -> Amounts:
    resources = container.get("resources") or {}
    limits = _parsed(resources.get("limits") or {})
    if part == "limits":
        return limits
    return limits | _parsed(resources.get("requests") or {})


def _parsed(amounts: Mapping[str, object]) -> Amounts:
    found = {name: quantity(value) for name, value in amounts.items()}
    return {name: value for name, value in found.items() if value is not None}


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, Decimal(0)) + value
    return total


def _most(one: Amounts, other: Amounts) -> Amounts:
    names = set(one) | set(other)
    zero = Decimal(0)
    return {name: max(one.get(name, zero), other.get(name, zero)) for name in names}
