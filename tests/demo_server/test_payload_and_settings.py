"""What is refused at the door: request bodies, policies, clocks and environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_server.payload import BadPayloadError, parse_policy, parse_rows, waited_before
from demo_server.settings import BatchingPolicy, Settings, SettingsError, read_settings

CURRENT = BatchingPolicy(max_batch_size=4, batch_wait_ms=10)


def test_rows_are_read_as_they_are() -> None:
    assert parse_rows(b'{"inputs": [[0, 1], [9, 3]]}', tokens=2, vocabulary=10) == [[0, 1], [9, 3]]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff\xfe", "not JSON", id="not text"),
        pytest.param(b"[" * 100_000, "not JSON", id="too deep"),
        pytest.param(b"[[1, 2]]", "not a JSON object", id="a list"),
        pytest.param(b"{}", "1 to 32 rows", id="no inputs"),
        pytest.param(b'{"inputs": []}', "1 to 32 rows", id="no rows"),
        pytest.param(b'{"inputs": [' + b"[1,2]," * 32 + b"[1,2]]}", "1 to 32 rows", id="33 rows"),
        pytest.param(b'{"inputs": [[1]]}', "list of 2 token ids", id="short row"),
        pytest.param(b'{"inputs": ["12"]}', "list of 2 token ids", id="text row"),
        pytest.param(b'{"inputs": [[1, 10]]}', "0 to 9", id="outside the vocabulary"),
        pytest.param(b'{"inputs": [[1, -1]]}', "0 to 9", id="negative"),
        pytest.param(b'{"inputs": [[1, true]]}', "0 to 9", id="a truth value"),
        pytest.param(b'{"inputs": [[1, 1.0]]}', "0 to 9", id="a fraction"),
        pytest.param(b'{"inputs": [[1, NaN]]}', "0 to 9", id="not a number"),
    ],
)
def test_bodies_that_are_no_rows_are_refused(body: bytes, says: str) -> None:
    with pytest.raises(BadPayloadError, match=says):
        parse_rows(body, tokens=2, vocabulary=10)


def test_a_policy_changes_what_is_named_and_keeps_the_rest() -> None:
    changed = [
        parse_policy(b'{"max_batch_size": 1}', CURRENT),
        parse_policy(b'{"batch_wait_ms": 0}', CURRENT),
        parse_policy(b'{"batch_wait_ms": 500, "max_batch_size": 16}', CURRENT),
    ]
    assert changed == [BatchingPolicy(1, 10), BatchingPolicy(4, 0), BatchingPolicy(16, 500)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"{}", "any of", id="nothing"),
        pytest.param(b'{"batch": 2}', "any of", id="unknown field"),
        pytest.param(b'{"max_batch_size": 0}', "between 1 and 256", id="zero"),
        pytest.param(b'{"batch_wait_ms": -1}', "between 0 and 10000", id="negative wait"),
        pytest.param(b'{"max_batch_size": "8"}', "whole numbers", id="text"),
        pytest.param(b'{"max_batch_size": true}', "whole numbers", id="a truth value"),
        pytest.param(b'{"batch_wait_ms": Infinity}', "whole numbers", id="infinite"),
    ],
)
def test_bad_policies_are_refused(body: bytes, says: str) -> None:
    with pytest.raises(BadPayloadError, match=says):
        parse_policy(body, CURRENT)


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        pytest.param("t=999.75", 0.25, id="a quarter of a second ago"),
        pytest.param("999.75", 0.25, id="without the prefix"),
        pytest.param(None, 0.0, id="absent"),
        pytest.param("t=1000.5", 0.0, id="in the future"),
        pytest.param("t=900", 0.0, id="too long ago"),
        pytest.param("t=nan", 0.0, id="not a number"),
        pytest.param("t=-inf", 0.0, id="infinite"),
        pytest.param("soon", 0.0, id="not a time"),
    ],
)
def test_the_clients_clock_counts_only_when_it_is_believable(
    header: str | None, waited: float
) -> None:
    assert waited_before(header, now=1000.0) == waited


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings(
        model_path=Path("/model/model.onnx"),
        port=8000,
        batching=BatchingPolicy(max_batch_size=1, batch_wait_ms=0),
        queue_limit=64,
        lame_duck_ms=0,
        drain_seconds=20,
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MAX_BATCH_SIZE", "0", "MAX_BATCH_SIZE must be between 1 and 256, not 0"),
        ("MAX_BATCH_SIZE", "", "MAX_BATCH_SIZE must be a whole number, not ''"),
        ("BATCH_WAIT_MS", "1.5", "BATCH_WAIT_MS must be a whole number, not '1.5'"),
        ("QUEUE_LIMIT", "-3", "QUEUE_LIMIT must be between 1 and 100000, not -3"),
        ("PORT", "70000", "PORT must be between 0 and 65535, not 70000"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: value})
    assert str(caught.value) == says
