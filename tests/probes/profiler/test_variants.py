"""When a timed change of the call is worth a finding."""

import json
from typing import Any

import pytest

from infertune_probes.contract.profiler_result import ProfilerVariant
from infertune_probes.profiler.variants import Variant, judge_variants, section


def variant(**changes: Any) -> Variant:
    known = {"median_ms": 6.0, "baseline_ms": 10.0, "difference": 0.001}
    return Variant("torch_compile", 20, **{**known, **changes})


def test_a_clear_gain_with_the_same_answer_is_told_with_its_figures() -> None:
    (finding,) = judge_variants([variant()])
    assert (finding.code, finding.verdict) == ("VARIANT_PAYS", "warn")
    assert finding.evidence == (
        "torch_compile: 6 ms instead of 10 ms "
        "(40% less, answers differ by 0.001 of the largest value, n = 20)"
    )
    assert finding.fix == "model = torch.compile(model)"


@pytest.mark.parametrize(
    "changes",
    [
        {"median_ms": 9.6},
        {"median_ms": 11.0},
        {"difference": 0.03},
        {"difference": None},
        {"median_ms": None, "baseline_ms": None, "note": "no compiler"},
        {"baseline_ms": 0.0},
    ],
    ids=["noise", "slower", "another answer", "answer unknown", "did not run", "no baseline"],
)
def test_anything_less_is_no_advice(changes: dict[str, Any]) -> None:
    assert judge_variants([variant(**changes)]) == []


def test_the_section_loads() -> None:
    (raw,) = section([variant(note="no compiler", median_ms=None)])
    loaded = ProfilerVariant.model_validate_json(json.dumps(raw))
    assert (loaded.name, loaded.median_ms, loaded.note) == ("torch_compile", None, "no compiler")
