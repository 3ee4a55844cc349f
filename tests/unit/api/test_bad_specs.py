"""Specs that cannot be read: every problem by field, value and fix; no JSON breaks the reading."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infertune.api.fields import PATTERN_WORDS
from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import SpecError, parse_spec
from tests.builders import raw_spec

PERCENT = (
    "spec.slo.maxErrorPercent: String should match pattern "
    r"'^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$': write a percentage from "
    '"0" to "100" as a string, such as "0.5" (got '
)


def slo(**changes: Any) -> dict[str, Any]:
    return raw_spec(slo={"latencyMilliseconds": 200} | changes)


CASES = [
    pytest.param(
        slo(latencyMilliseconds=0),
        "spec.slo.latencyMilliseconds: Input should be greater than or equal to 1 (got 0)",
        id="an SLO of zero",
    ),
    pytest.param(
        slo(latencyMilliseconds=10**30),
        "spec.slo.latencyMilliseconds: Input should be less than or equal to 3600000 (got 10000000"
        "00000000000000000000000)",
        id="a huge number",
    ),
    pytest.param(slo(maxErrorPercent="-1"), f"{PERCENT}'-1')", id="a negative percentage"),
    pytest.param(slo(maxErrorPercent="101"), f"{PERCENT}'101')", id="more than all"),
    pytest.param(slo(maxErrorPercent="abc"), f"{PERCENT}'abc')", id="no number at all"),
    pytest.param(slo(maxErrorPercent="1e1"), f"{PERCENT}'1e1')", id="an exponent"),
    pytest.param(
        slo(maxErrorPercent=1),
        "spec.slo.maxErrorPercent: Input should be a valid string (got 1)",
        id="a number where a string stands",
    ),
    pytest.param(
        raw_spec(demand={"peakRequestsPerSecond": 5, "troughRequestsPerSecond": 6}),
        "spec.demand: troughRequestsPerSecond 6 is above peakRequestsPerSecond 5: swap or raise "
        "the peak (got {'peakRequestsPerSecond': 5, 'troughRequestsPerSecond': 6})",
        id="a trough above the peak",
    ),
    pytest.param(
        raw_spec(budgt={}),
        "spec.budgt: Extra inputs are not permitted: remove it, or correct its spelling (got {})",
        id="an unknown field",
    ),
    pytest.param(
        raw_spec(cost={"replicaHourly": "1,5"}),
        r"spec.cost.replicaHourly: String should match pattern '^[0-9]{1,9}(\.[0-9]{1,6})?$': "
        "write a number as a string, at most six decimals, such as \"2.5\" (got '1,5')",
        id="a price with a comma",
    ),
    pytest.param({}, "spec.targetRef: Field required", id="nothing at all"),
]


@pytest.mark.parametrize(("raw", "words"), CASES)
def test_a_problem_is_told_by_field_value_and_fix(raw: dict[str, Any], words: str) -> None:
    found = parse_spec(raw)
    assert isinstance(found, SpecError)
    assert found.problems[0] == words


def test_all_problems_are_told_at_once() -> None:
    found = parse_spec(slo(latencyMilliseconds=0, maxErrorPercent="x", percentile=42))
    assert isinstance(found, SpecError)
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "spec.slo.percentile",
        "spec.slo.latencyMilliseconds",
        "spec.slo.maxErrorPercent",
    ]


def test_a_list_of_wrong_items_is_not_called_empty_as_well() -> None:
    found = parse_spec(raw_spec(knobs={"batchSize": {"env": "MAX", "values": [0, "8"]}}))
    assert isinstance(found, SpecError)
    assert found.problems == (
        "spec.knobs.batchSize.values.0: Input should be greater than or equal to 1 (got 0)",
        "spec.knobs.batchSize.values.1: Input should be a valid integer (got '8')",
    )


def patterns(node: object) -> Iterator[str]:
    """Return every pattern that a text of the spec is held against."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for inner in node.values():
            yield from patterns(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from patterns(inner)


def test_each_pattern_has_words_for_people_and_no_words_are_left_over() -> None:
    assert set(patterns(TuningSpec.model_json_schema())) == set(PATTERN_WORDS)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(raw_spec())) | st.text(max_size=6), ANY))
def test_no_stored_spec_breaks_the_reading(changes: dict[str, Any]) -> None:
    """What an older or newer operator let in is a value with its problems, never an exception."""
    found = parse_spec(raw_spec() | changes)
    assert isinstance(found, SpecError | TuningSpec)
