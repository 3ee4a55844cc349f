"""Golden requests: is the answer still right, within the tolerance the user declared?

Pure; it must not know how a request travels. A number passes when
|actual - expected| <= tolerance * max(1, |expected|): absolute near zero, relative for large
values. Trade-off: extra keys in an answer are ignored, because servers add timings and ids; a
missing key, another length or another text is always wrong.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from infertune_probes.load.options import Request
from infertune_probes.load.private_headers import same_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class GoldenUnreadable(Exception):  # reads as the sentence it is
    """The golden file is not what it should be; the message names the case and the field."""


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden request with the answer it must give."""

    name: str
    request: Request
    expected: object
    tolerance: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one golden request went; `deviation` None: no number was compared."""

    name: str
    passed: bool
    deviation: float | None
    reason: str | None

    def to_json(self) -> dict[str, object]:
        """Return the case as a JSON object."""
        return {
            "name": self.name,
            "passed": self.passed,
            "deviation": self.deviation,
            "reason": self.reason,
        }


def parse_golden(text: str, base: Request) -> list[Golden]:
    """Return the cases of a golden file; what a case leaves out is taken from the load request.

    Raises:
        GoldenUnreadable: not JSON, empty, or a case without name, request, expected or tolerance.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        msg = f"not JSON: {error}"
        raise GoldenUnreadable(msg) from error
    if not isinstance(document, list) or not document:
        msg = "must be a JSON list with at least one case"
        raise GoldenUnreadable(msg)
    return [_case(index, entry, base) for index, entry in enumerate(document)]


def _case(index: int, entry: object, base: Request) -> Golden:
    if not isinstance(entry, dict):
        msg = f"case {index} is not an object"
        raise GoldenUnreadable(msg)
    missing = sorted({"name", "request", "expected", "tolerance"} - set(entry))
    if missing:
        msg = f"case {index} lacks {', '.join(missing)}"
        raise GoldenUnreadable(msg)
    try:
        tolerance = float(Decimal(str(entry["tolerance"])))
    except InvalidOperation:
        tolerance = math.nan
    if not 0 <= tolerance < math.inf:
        msg = f"case {index}: tolerance {entry['tolerance']!r} is not a number, 0 or more"
        raise GoldenUnreadable(msg)
    request = entry["request"]
    if not isinstance(request, dict):
        msg = f"case {index}: request is not an object"
        raise GoldenUnreadable(msg)
    made = _request(request, base)
    if made.private and not same_server(made, base):
        msg = f"case {index}: its path leaves the server that the headers from Secrets are for"
        raise GoldenUnreadable(msg)
    return Golden(str(entry["name"]), made, entry["expected"], tolerance)


def _request(entry: dict[str, object], base: Request) -> Request:
    headers = {"Content-Type": "application/json", **dict(base.headers)}
    extra = entry.get("headers")
    if isinstance(extra, dict):
        headers.update({str(name): str(value) for name, value in extra.items()})
    return Request(
        method=str(entry.get("method", base.method)).upper(),
        url=urljoin(base.url, str(entry.get("path", base.url))),
        headers=tuple(headers.items()),
        body=json.dumps(entry["body"]).encode() if "body" in entry else base.body,
        private=base.private,
    )


def compare(golden: Golden, body: bytes) -> Outcome:
    """Return whether an answer's body matches its golden one; never raises on a foreign body."""
    try:
        actual = json.loads(body)
    except (ValueError, RecursionError):
        return Outcome(golden.name, passed=False, deviation=None, reason="the answer is not JSON")
    worst: float | None = None
    reason: str | None = None
    for where, deviation, fault in _differences(golden.expected, actual, "$"):
        if deviation is not None:
            worst = deviation if worst is None else max(worst, deviation)
            if deviation > golden.tolerance:
                reason = reason or f"{where}: off by {deviation:.4g}, over {golden.tolerance:g}"
        if fault is not None:
            reason = reason or f"{where}: {fault}"
    finite = worst if worst is None or math.isfinite(worst) else None
    return Outcome(golden.name, reason is None, finite, reason)


Difference = tuple[str, float | None, str | None]


def _differences(expected: object, actual: object, where: str) -> Iterator[Difference]:
    """Yield (path, deviation or None, fault or None) for every leaf of the expected answer."""
    if isinstance(expected, dict):
        yield from _in_object(expected, actual, where)
    elif isinstance(expected, list):
        yield from _in_list(expected, actual, where)
    elif isinstance(expected, bool) or not isinstance(expected, int | float):
        same = type(expected) is type(actual) and expected == actual
        yield where, None, None if same else f"expected {expected!r}, got {actual!r:.80}"
    elif isinstance(actual, bool) or not isinstance(actual, int | float):
        yield where, None, f"expected a number, got {actual!r:.80}"
    else:
        deviation = abs(actual - expected) / max(1.0, abs(expected))
        # JSON from Python servers may carry NaN, which compares false with everything.
        yield where, math.inf if math.isnan(deviation) else deviation, None


def _in_object(expected: dict[str, object], actual: object, where: str) -> Iterator[Difference]:
    if not isinstance(actual, dict):
        yield where, None, f"expected an object, got {actual!r:.80}"
        return
    for key, value in expected.items():
        if key in actual:
            yield from _differences(value, actual[key], f"{where}.{key}")
        else:
            yield f"{where}.{key}", None, "missing in the answer"


def _in_list(expected: list[object], actual: object, where: str) -> Iterator[Difference]:
    if not isinstance(actual, list) or len(actual) != len(expected):
        got = f"{len(actual)} elements" if isinstance(actual, list) else f"{actual!r:.80}"
        yield where, None, f"expected a list of {len(expected)} elements, got {got}"
        return
    for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
        yield from _differences(left, right, f"{where}[{index}]")


def quality_section(outcomes: Sequence[Outcome], max_drop_percent: float) -> dict[str, object]:
    """Return the quality section: the drop is the percentage of wrong answers."""
    passed = sum(1 for outcome in outcomes if outcome.passed)
    deviations = [outcome.deviation for outcome in outcomes if outcome.deviation is not None]
    drop = 100.0 * (len(outcomes) - passed) / len(outcomes)
    return {
        "passed": passed,
        "total": len(outcomes),
        "worstDeviation": max(deviations) if deviations else None,
        "dropPercent": drop,
        "maxDropPercent": max_drop_percent,
        "accepted": drop <= max_drop_percent,
        "cases": [outcome.to_json() for outcome in outcomes],
    }
