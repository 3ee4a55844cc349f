"""Golden answers: what counts as the same."""

from __future__ import annotations

import pytest

from infertune_probes.load.golden import (
    Golden,
    GoldenUnreadable,
    Outcome,
    compare,
    parse_golden,
    quality_section,
)
from infertune_probes.load.options import Request

BASE = Request("GET", "http://server:80/predict", (("X-Key", "1"),), b"")


def golden(expected: object, tolerance: float = 0.05) -> Golden:
    return Golden("case", BASE, expected, tolerance)


@pytest.mark.parametrize(
    ("expected", "body", "deviation"),
    [
        pytest.param(1.0, b"1.05", 0.05, id="at-the-tolerance"),
        pytest.param(0.0, b"0.04", 0.04, id="absolute-near-zero"),
        pytest.param(1000, b"1040", 0.04, id="relative-for-large"),
        pytest.param({"a": [1, 2]}, b'{"a": [1, 2], "ms": 3}', 0.0, id="extra-keys-are-ignored"),
        pytest.param({"label": "cat"}, b'{"label": "cat"}', None, id="no-numbers"),
        pytest.param(1, b"1.0", 0.0, id="integer-and-float"),
    ],
)
def test_the_same_within_tolerance(expected: object, body: bytes, deviation: float | None) -> None:
    outcome = compare(golden(expected, 0.0500001), body)
    assert outcome.passed
    assert outcome.deviation == (None if deviation is None else pytest.approx(deviation))


@pytest.mark.parametrize(
    ("expected", "body", "where"),
    [
        pytest.param(1.0, b"1.06", "$: off by", id="above-the-tolerance"),
        pytest.param([1.0], b"[NaN]", "$[0]: off by inf", id="nan-in-the-answer"),
        pytest.param([1.0], b"[Infinity]", "$[0]: off by inf", id="infinity-in-the-answer"),
        pytest.param([1, 2], b"[1]", "expected a list of 2", id="another-length"),
        pytest.param({"a": 1}, b"{}", "$.a: missing", id="missing-key"),
        pytest.param({"a": 1}, b"[]", "expected an object", id="another-kind"),
        pytest.param("cat", b'"dog"', "expected 'cat'", id="another-text"),
        pytest.param(1, b"true", "expected a number", id="true-is-not-one"),
        pytest.param(True, b"1", "expected True", id="one-is-not-true"),
        pytest.param(None, b"0", "expected None", id="zero-is-not-null"),
        pytest.param(1, b"", "not JSON", id="empty"),
        pytest.param(1, b"\xff\xfe", "not JSON", id="binary"),
        pytest.param(1, b"[" * 100_000, "not JSON", id="nested-without-end"),
    ],
)
def test_anything_else_is_wrong(expected: object, body: bytes, where: str) -> None:
    outcome = compare(golden(expected), body)
    assert not outcome.passed
    assert where in str(outcome.reason)


def test_the_drop_is_the_share_of_wrong_answers() -> None:
    """3 of 4 right: a drop of 25 %, too much for 24, just right for 25."""
    outcomes = [Outcome("a", passed=True, deviation=0.01, reason=None)] * 3
    outcomes.append(Outcome("b", passed=False, deviation=0.5, reason="$: off"))
    strict, lenient = quality_section(outcomes, 24.0), quality_section(outcomes, 25.0)
    assert (strict["dropPercent"], strict["worstDeviation"]) == (25.0, 0.5)
    assert (strict["accepted"], lenient["accepted"]) == (False, True)


def test_a_case_inherits_what_it_leaves_out() -> None:
    text = '[{"name": "n", "request": {"body": {"x": 1}}, "expected": 1, "tolerance": "0.1"}]'
    (case,) = parse_golden(text, BASE)
    assert (case.request.method, case.request.url) == ("GET", "http://server:80/predict")
    assert case.request.body == b'{"x": 1}'
    assert ("X-Key", "1") in case.request.headers


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("[]", "at least one case"),
        ('{"name": 1}', "at least one case"),
        ("[1]", "case 0 is not an object"),
        ('[{"name": "n"}]', "lacks expected, request, tolerance"),
        ('[{"name": "n", "request": {}, "expected": 1, "tolerance": "much"}]', "tolerance"),
        ('[{"name": "n", "request": {}, "expected": 1, "tolerance": "NaN"}]', "tolerance"),
        ('[{"name": "n", "request": {}, "expected": 1, "tolerance": "-1"}]', "tolerance"),
        ('[{"name": "n", "request": [], "expected": 1, "tolerance": "0"}]', "request is not"),
    ],
)
def test_a_malformed_golden_file_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(GoldenUnreadable, match=why):
        parse_golden(text, BASE)
