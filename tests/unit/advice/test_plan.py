"""Ranked advice: computed from this node's figures, silent without evidence."""

from typing import Any

import pytest

from infertune.core.advice.gains import amdahl, without
from infertune.core.advice.plan import advise
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Device, Evidence, Ladder, of_one_node
from infertune.report.advice_text import advice_text
from tests.unit.advice.measured import benchmark, envelope, evidence, profile, shares, table


def steps(given: Evidence) -> dict[str, Advice]:
    return {step.technique: step for step in advise(given).steps}


@pytest.mark.parametrize(
    ("share", "speedup", "whole"),
    [(0.0, 9.0, 1.0), (1.0, 4.0, 4.0), (0.5, 2.0, 4 / 3), (0.9, float("inf"), 10.0)],
)
def test_the_law_of_amdahl(share: float, speedup: float, whole: float) -> None:
    assert amdahl(share, speedup) == pytest.approx(whole)


@pytest.mark.parametrize(("share", "speedup"), [(-0.1, 2.0), (1.1, 2.0), (0.5, 0.0)])
def test_no_part_of_a_whole_is_refused(share: float, speedup: float) -> None:
    with pytest.raises(ValueError, match="no part of a whole"):
        amdahl(share, speedup)


def test_what_goes_away_was_never_everything() -> None:
    assert without(1.0) == pytest.approx(20.0)


def test_no_evidence_no_advice() -> None:
    plan = advise(Evidence())
    assert plan.steps == ()
    assert "No advice" in advice_text(plan)
    assert "is not known" in advice_text(plan)


def test_a_type_that_is_faster_here_gains_what_its_share_allows() -> None:
    """60 % of a call is products in fp32; bf16 is 8 times faster on this node."""
    found = steps(evidence(profile(), benchmark(fp32=20.0, bf16=160.0, tf32=80.0)))
    bf16 = found["BF16"].gain
    assert bf16 is not None
    assert (bf16.low, bf16.high) == (pytest.approx(amdahl(0.6, 4.5)), pytest.approx(amdahl(0.6, 8)))
    assert found["BF16"].confidence == "high"
    assert "160.0 and 20.0 TFLOP/s measured" in found["BF16"].evidence
    assert found["TF32"].gain is not None
    assert found["TF32"].gain.high == pytest.approx(amdahl(0.6, 4))


def test_a_type_that_was_not_measured_here_is_not_advised() -> None:
    assert {"BF16", "FP16", "INT8", "FP8", "TF32"} & set(steps(evidence(profile()))) == set()
    same = steps(evidence(profile(), benchmark(fp32=20.0, bf16=21.0)))
    assert "BF16" not in same


def test_where_bytes_hold_back_the_gain_is_that_of_bytes_and_is_assumed() -> None:
    found = steps(evidence(profile(bound="memory", precisions={"fp16": 1.0})))
    int8 = found["INT8"]
    assert int8.gain is not None
    assert int8.gain.high == pytest.approx(amdahl(0.6, 2))
    assert (int8.gain.assumption, int8.confidence) == ("every tensor is narrowed", "low")
    assert "BF16" not in found


@pytest.mark.parametrize(
    ("changes", "absent", "there"),
    [
        ({"device": "Tesla T4"}, {"BF16", "FP8"}, {"FP16", "INT8"}),
        ({"device": "NVIDIA H100 80GB HBM3"}, set(), {"BF16", "FP16", "INT8", "FP8"}),
        ({"device": None, "onDevice": False}, {"FP16", "FP8"}, {"BF16", "INT8"}),
    ],
    ids=["T4", "H100", "processor"],
)
def test_no_type_is_advised_that_the_device_would_emulate(
    changes: Any, absent: set[str], there: set[str]
) -> None:
    found = set(steps(evidence(profile(bound="memory", **changes))))
    assert not absent & found
    assert there <= found


def test_a_type_that_the_benchmark_had_to_leave_out_is_not_advised() -> None:
    found = steps(evidence(profile(bound="memory"), benchmark(fp32=8.0, fp16=25.0)))
    assert "FP16" in found
    assert not {"BF16", "FP8", "INT8"} & set(found)


def test_adapters_gain_no_more_than_their_part_of_a_call() -> None:
    """40 % of the kernels' time, and kernels run half of a call: 20 % of it."""
    rows = table("kernels", bgmv_shrink_kernel=0.4)
    found = steps(evidence(profile(tables=[rows], shares=shares(0.5, 0.0, 0.5))))
    gain = found["merge LoRA"].gain
    assert gain is not None
    assert gain.high == pytest.approx(1.25)


def test_a_host_that_is_late_asks_for_graphs_and_larger_batches() -> None:
    found = steps(evidence(profile(bound="launch", shares=shares(0.3, 0.0, 0.7))))
    graphs = found["CUDA graphs"].gain
    assert graphs is not None
    assert (graphs.low, graphs.high) == (pytest.approx(1 / 0.65), pytest.approx(1 / 0.3))
    assert found["larger batch"].gain is None


def test_on_a_cpu_nobody_waits_for_launches() -> None:
    cpu = profile(onDevice=False, bound="compute", shares=shares(0.3, 0.0, 0.7))
    assert {"CUDA graphs", "FlashAttention", "channels_last"} & set(steps(evidence(cpu))) == set()


@pytest.mark.parametrize(
    ("changes", "technique"),
    [
        ({"autograd": "recording"}, "inference_mode"),
        ({"autograd": "on"}, "inference_mode"),
        ({"dataWaitShare": 0.3}, "load inputs ahead"),
        ({"kinds": {"pointwise": 0.5, "gemm": 0.5}}, "torch.compile"),
        ({"kinds": {"convolution": 0.9}, "precisions": {"fp16": 1.0}}, "channels_last"),
        ({"kinds": {"attention": 0.5}}, "FlashAttention"),
        ({"kinds": {"attention": 0.5}}, "shorter context"),
        ({"tables": [table("modules", **{"layers.0.q_proj.lora_A": 0.1})]}, "merge LoRA"),
        ({"precisions": {"bf16": 1.0}}, "distillation"),
        (
            {
                "bound": "launch",
                "shares": shares(0.4, 0.0, 0.6),
                "synchronisations": [{"name": "aten::item", "count": 9, "totalUs": 300000.0}],
            },
            "no synchronisation in the call",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_profile_speaks_for(changes: Any, technique: str) -> None:
    assert technique in steps(evidence(profile(**changes)))
    assert technique not in steps(evidence(profile()))


def variant(name: str, median: float | None, difference: float | None = 0.0) -> dict[str, Any]:
    times = {"medianMs": median, "baselineMs": None if median is None else 10.0}
    return {"name": name, "calls": 20, "difference": difference, "note": None, **times}


def test_what_was_timed_on_this_model_replaces_every_estimate_of_it() -> None:
    timed = [variant("bf16_autocast", 4.0, 0.01), variant("inference_mode", 9.9)]
    given = profile(variants=timed, autograd="recording")
    found = steps(evidence(given, benchmark(fp32=20.0, bf16=160.0)))
    bf16 = found["BF16"]
    assert bf16.gain is not None
    assert (bf16.gain.low, bf16.gain.high, bf16.confidence) == (2.5, 2.5, "high")
    assert "4 ms a call, 10 ms without (median of 20 calls)" in bf16.evidence
    assert "off by up to 0.01" in bf16.risk
    assert "inference_mode" not in found


def test_a_variant_that_could_not_be_timed_says_nothing() -> None:
    given = profile(variants=[variant("torch_compile", None)], autograd="recording")
    found = steps(evidence(given))
    assert "torch.compile" not in found
    assert "inference_mode" in found


def test_attention_that_is_fused_already_is_not_fused_again() -> None:
    fused = profile(
        kinds={"attention": 0.5}, tables=[table("kernels", flash_fwd_splitkv_kernel=0.5)]
    )
    found = steps(evidence(fused))
    assert "FlashAttention" not in found
    assert "in fused kernels" in found["shorter context"].evidence


def test_retraining_comes_after_narrower_numbers() -> None:
    assert "distillation" not in steps(evidence(profile(precisions={"fp32": 1.0})))


def step_of(batch: int, outcome: str, fragmentation: float | None = 0.05) -> dict[str, Any]:
    return {
        "batch": batch,
        "outcome": outcome,
        "peakBytes": 10**9 * batch,
        "allocatedBytes": None,
        "reservedBytes": None,
        "largestFreeBytes": None,
        "allocationRetries": None,
        "fragmentation": fragmentation,
        "callMs": 1.0,
        "reason": None,
    }


def memory(**changes: Any) -> Any:
    section = {
        "device": "cuda",
        "deviceName": "NVIDIA A100",
        "torch": "2.8.0",
        "totalBytes": 40 * 10**9,
        "totalSource": "NVML",
        "servingShare": 0.85,
        "largestFitting": 32,
        "smallestFailing": 64,
        "largestServing": 16,
        "predictedServing": None,
        "steps": [step_of(16, "fits"), step_of(32, "fits"), step_of(64, "out")],
        "variants": [],
    }
    return envelope("memory", section | changes)


@pytest.mark.parametrize(
    ("given", "batch", "technique"),
    [
        (memory(largestFitting=0, largestServing=0), None, "sharding"),
        (memory(), 4, "larger batch"),
        (memory(), 32, "smaller batch"),
        (memory(steps=[step_of(16, "fits", 0.4)]), None, "allocator setting"),
    ],
    ids=["batch 1 does not fit", "room is left", "too close to the edge", "fragmented"],
)
def test_memory_speaks_for(given: Any, batch: int | None, technique: str) -> None:
    ladder = None if batch is None else Ladder(1, 10.0, 2, 10.0, batch)
    assert list(steps(evidence(given, ladder=ladder))) == [technique]


def test_the_allocator_setting_is_the_one_that_was_tried_and_helped() -> None:
    variants = [
        {"name": "default", "setting": None, "step": step_of(16, "fits", 0.4)},
        {"name": "a", "setting": "max_split_size_mb:128", "step": step_of(16, "fits", 0.1)},
        {"name": "b", "setting": "expandable_segments:True", "step": step_of(16, "fits", 0.3)},
    ]
    found = steps(evidence(memory(steps=[step_of(16, "fits", 0.4)], variants=variants)))
    assert "PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:128" in found["allocator setting"].action
    assert found["allocator setting"].confidence == "high"


def test_a_container_that_is_held_back_gets_a_larger_limit() -> None:
    found = steps(evidence(envelope("system", group_throttled=50.0)))
    gain = found["CPU limit"].gain
    assert gain is not None
    assert (gain.low, gain.high) == (1.0, pytest.approx(2.0))
    assert gain.assumption.startswith("at most")


A100 = "NVIDIA A100-SXM4-80GB"
H100 = "NVIDIA H100 80GB HBM3"
IN_BF16 = {"precisions": {"bf16": 1.0}}


def here(**changes: Any) -> tuple[Any, Any]:
    return profile(**IN_BF16, **changes), benchmark(device=A100, bf16=250.0, fp32=19.0)


def test_another_device_that_the_cluster_measured_comes_before_every_data_sheet() -> None:
    found = steps(evidence(*here(), others=[Device("H100", {"bf16": 750.0}, 3000.0, 4)]))
    names = [name for name in found if name.startswith("faster GPU")]
    assert names[0] == "faster GPU: H100"
    assert len(names) == 3
    first = found["faster GPU: H100"]
    assert first.gain is not None
    assert first.gain.high == pytest.approx(amdahl(0.8, 3.0))
    assert "measured on 4 nodes of this cluster" in first.evidence
    assert first.confidence == "medium"


def test_a_data_sheet_is_held_against_the_data_sheet_of_this_device() -> None:
    """989 and 312 TFLOP/s are published; the 250 that were measured here do not count."""
    found = steps(evidence(*here()))["faster GPU: H200-SXM"]
    assert found.gain is not None
    assert found.gain.high == pytest.approx(amdahl(0.8, 989 / 312))
    assert found.gain.assumption == "the ratio of two data sheets holds for this server"
    assert found.confidence == "low"


def test_a_product_that_was_measured_here_is_not_told_again_by_its_sheet() -> None:
    """This cluster's H200s bring 260: no gain over 250, whatever the sheet says."""
    slow = Device("NVIDIA H200", {"bf16": 260.0}, 3000.0, 2)
    named = [name for name in steps(evidence(*here(), others=[slow])) if "GPU:" in name]
    assert named
    assert not [name for name in named if "H200" in name]


@pytest.mark.parametrize(
    "changes",
    [
        {"bound": "launch", "shares": shares(0.3, 0.0, 0.7)},
        {"bound": "copy", "shares": shares(0.3, 0.7, 0.0)},
    ],
)
def test_where_the_device_does_not_hold_back_no_other_one_is_advised(changes: Any) -> None:
    assert [name for name in steps(evidence(*here(**changes))) if "GPU:" in name] == []


def test_where_memory_holds_back_bandwidth_is_compared_and_so_are_prices() -> None:
    both = profile(bound="memory"), benchmark(device=A100, copy=1700.0, fp32=19.0)
    others = [Device("H100", {"bf16": 750.0}, 3400.0, 1, hourly_price=4.0)]
    told = steps(evidence(*both, others=others, hourly_price=2.0))["faster GPU: H100"].evidence
    assert "2.0 times as much" in told
    assert "a replica costs 2.00 times as much" in told


def test_what_is_sure_and_easy_comes_first_and_what_has_no_figure_last() -> None:
    given = evidence(
        profile(autograd="on", shares=shares(0.8, 0.0, 0.2)),
        benchmark(fp32=20.0, bf16=160.0, int8=320.0),
    )
    order = [step.technique for step in advise(given).steps]
    assert order.index("BF16") < order.index("INT8") < order.index("inference_mode")
    gains = [step.gain is None for step in advise(given).steps]
    assert gains == sorted(gains)


def test_nodes_are_compared_by_what_they_measured() -> None:
    mine = benchmark("n1", "NVIDIA A100", bf16=250.0)
    theirs = [benchmark(f"n{at}", "NVIDIA H100", bf16=700.0 + at) for at in (2, 3, 4)]
    found = of_one_node([mine, *theirs], "n1")
    assert [(one.name, dict(one.rates), one.nodes) for one in found.others] == [
        ("NVIDIA H100", {"bf16": pytest.approx(703.0)}, 3)
    ]
    assert found.rates == {"bf16": pytest.approx(250.0)}


def test_every_gain_says_how_it_was_computed() -> None:
    given = evidence(
        profile(
            kinds={"gemm": 0.4, "attention": 0.3, "pointwise": 0.3},
            shares=shares(0.8, 0.0, 0.2),
        ),
        benchmark(fp32=20.0, bf16=160.0),
        envelope("system", group_throttled=30.0),
    )
    plan = advise(given)
    assert len(plan.steps) >= 6
    for step in plan.steps:
        assert step.evidence
        if step.gain is None:
            assert step.unquantified
        else:
            assert 1.0 <= step.gain.low <= step.gain.high
            assert step.gain.how
    text = advice_text(plan)
    assert text.startswith("Held back by gpu compute: 80% of the time of a call (profile of 100")
    assert text.count("   do: ") == len(plan.steps)
