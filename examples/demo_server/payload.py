"""The JSON a client sends, checked once at the door.

Role: text in, rows of token ids out. It must not know the queue. Its trade-off: hand-written checks
instead of a schema library, because this runs for every request on a fraction of a core.
"""

from __future__ import annotations

import json
import math

from demo_server.settings import BatchingPolicy, SettingsError

MAX_ROWS = 32
BELIEVABLE_AGE_SECONDS = 60.0


class BadPayloadError(ValueError):
    """The request cannot be understood; the message says what was expected."""


def parse_rows(text: bytes, tokens: int, vocabulary: int) -> list[list[int]]:
    """Return the rows in `{"inputs": [[id, ...], ...]}`, each of exactly `tokens` ids.

    Raises:
        BadPayloadError: for anything else, with what was expected.
    """
    rows = _object(text).get("inputs")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        message = f'expected {{"inputs": [...]}} with 1 to {MAX_ROWS} rows'
        raise BadPayloadError(message)
    for row in rows:
        if not isinstance(row, list) or len(row) != tokens:
            message = f"each row must be a list of {tokens} token ids"
            raise BadPayloadError(message)
        # `type is int` on purpose: True is an int to isinstance, and not a token id.
        if not all(type(item) is int and 0 <= item < vocabulary for item in row):
            message = f"token ids are whole numbers from 0 to {vocabulary - 1}"
            raise BadPayloadError(message)
    return rows


def waited_before(header: str | None, now: float) -> float:
    """Return how many seconds ago the client meant to send, by its `X-Request-Start: t=<unix>`.

    A server that its CPU limit holds back does not see a request until it runs again; the header,
    as load balancers set it, brings that wait into the server's own histogram. A missing, malformed
    or unbelievable header (in the future, older than a minute) is 0: the server's clock alone.
    """
    if header is None:
        return 0.0
    try:
        age = now - float(header.removeprefix("t="))
    except ValueError:
        return 0.0
    return age if math.isfinite(age) and 0.0 <= age <= BELIEVABLE_AGE_SECONDS else 0.0


def parse_policy(text: bytes, current: BatchingPolicy) -> BatchingPolicy:
    """Return `current` with what the JSON object changes: max_batch_size, batch_wait_ms or both.

    Raises:
        BadPayloadError: for unknown or missing fields, or values out of range.
    """
    fields = _object(text)
    known = {"max_batch_size", "batch_wait_ms"}
    if not fields or not fields.keys() <= known:
        message = f"expected an object with any of {sorted(known)}"
        raise BadPayloadError(message)
    if not all(type(value) is int for value in fields.values()):
        message = "max_batch_size and batch_wait_ms are whole numbers"
        raise BadPayloadError(message)
    try:
        return BatchingPolicy(
            max_batch_size=_number(fields, "max_batch_size", current.max_batch_size),
            batch_wait_ms=_number(fields, "batch_wait_ms", current.batch_wait_ms),
        )
    except SettingsError as error:
        raise BadPayloadError(str(error)) from error


def _number(fields: dict[str, object], name: str, default: int) -> int:
    value = fields.get(name, default)
    return value if isinstance(value, int) else default


def _object(text: bytes) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        message = "the body is not JSON"
        raise BadPayloadError(message) from None
    if not isinstance(value, dict):
        message = "the body is not a JSON object"
        raise BadPayloadError(message)
    return value
