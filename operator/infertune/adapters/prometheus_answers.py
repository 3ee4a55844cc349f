"""What an answer that is no result means, in words with the field and the fix.

Role: status codes, transport errors and malformed bodies to ``NoData``. Must not know: connections,
what was asked for. Trade-off: of a foreign body nothing is quoted but Prometheus' own error text,
so that a tuning cannot be used to read what stands behind an address.
"""

import json
import ssl
from collections.abc import Sequence
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import requests

from infertune.adapters.prometheus_session import AnswerTooLong
from infertune.core.evidence import NoData

_SHOWN = 300
_BASE = "prometheusURL must be the address that /api/v1/query stands under"


def without_credentials(url: str) -> str:
    """Return the URL as it may be shown: user and password are left out."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def refused(url: str, response: requests.Response) -> NoData:
    """Return what an answer with another code than 200 means."""
    code, told = response.status_code, _error_of(response)
    said = f"{without_credentials(url)} answers HTTP {code}{f' ({told})' if told else ''}"
    if code in {400, 422}:
        return NoData("Invalid", f"{said}: correct histogram, matchLabels or errorPattern")
    if code in {401, 403}:
        return NoData("Unauthorized", f"{said}: it wants credentials that the operator lacks")
    if code in {404, 405, 410}:
        return NoData("NotPrometheus", f"{said}: {_BASE}")
    return NoData("Unavailable", f"{said}: it is asked again")


def unreachable(url: str, error: requests.RequestException) -> NoData:
    """Return what a failed request means."""
    shown = without_credentials(url)
    if isinstance(error, requests.TooManyRedirects):
        where = error.response.headers.get("Location", "") if error.response is not None else ""
        target = without_credentials(where)[:_SHOWN] or "nowhere"
        words = f"{shown} redirects to {target}, and redirects are not followed: {_BASE}"
        return NoData("NotPrometheus", words)
    if isinstance(error, requests.exceptions.SSLError):
        words = f"{shown}: TLS fails ({_cause(error)})"
        return NoData("Untrusted", f"{words}: correct prometheusURL, or have its CA trusted")
    if isinstance(error, AnswerTooLong):
        return NoData("NotPrometheus", f"{shown}: {error}: {_BASE}")
    if isinstance(error, requests.Timeout):
        return NoData("Unavailable", f"{shown} does not answer in time: it is asked again")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return NoData("NotPrometheus", f"{shown}: {_cause(error)}: correct prometheusURL")
    words = f"{shown} cannot be reached ({_cause(error)})"
    return NoData("Unavailable", f"{words}: correct prometheusURL or let the operator through")


def not_prometheus(url: str) -> NoData:
    """Return the answer to a body that is no Prometheus answer: HTML, other JSON, nothing."""
    words = f"{without_credentials(url)} answers something that is no Prometheus result"
    return NoData("NotPrometheus", f"{words}: {_BASE}")


def is_result(found: object) -> TypeGuard[Sequence[dict[str, Any]]]:
    """Return whether this is a vector or a matrix as the API documents them."""
    return isinstance(found, list) and all(_is_series(one) for one in found)


def _is_series(one: object) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("metric"), dict):
        return False
    if not all(isinstance(v, str) for v in one["metric"].values()):
        return False
    if "values" in one:
        return isinstance(one["values"], list) and all(_is_sample(pair) for pair in one["values"])
    return _is_sample(one.get("value"))


def _is_sample(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004  # a time and a value
        return False
    at, value = pair
    timed = isinstance(at, int | float) and not isinstance(at, bool)
    return timed and isinstance(value, str)


def _error_of(response: requests.Response) -> str:
    """Return the error text of a Prometheus API answer; empty for any other body."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict) or body.get("status") != "error":
        return ""
    return str(body.get("error", ""))[:_SHOWN]


def _cause(error: BaseException) -> str:
    """Return the innermost reason, which is the one that says something."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if not isinstance(error, ssl.SSLError):
        # What comes before the last colon are addresses and names of classes.
        return (str(error).rpartition(": ")[2] or type(error).__name__)[:_SHOWN]
    return str(error)[:_SHOWN]
