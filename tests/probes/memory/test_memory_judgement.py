"""What the steps and the allocator's variants amount to."""

import json
from pathlib import Path
from typing import Any

import pytest

from infertune_probes.contract.memory_result import MemoryResult
from infertune_probes.memory.__main__ import stranger_on
from infertune_probes.memory.judgement import Tried, judge, measure, result_section
from infertune_probes.memory.room import Room, processor_room
from infertune_probes.memory.search import FAILED, FITS, OUT, Step
from infertune_probes.memory.variants import TRIED, Variant, mixed

MIB = 1 << 20


def step(batch: int, peak: int, outcome: str = FITS, **more: Any) -> Step:
    return Step(batch, outcome, peak * MIB if outcome == FITS else None, **more)


def tried(*steps: Step, device: str = "cpu", **more: Any) -> Tried:
    known: dict[str, Any] = {
        "device": device,
        "name": device,
        "total": 1000 * MIB,
        "source": "cgroup limit",
        "steps": steps,
        "variants": (),
        "most": 64,
    }
    return Tried(**{**known, **more})


RAN_OUT = (step(1, 200), step(2, 300), step(4, 500), step(8, 900), step(16, 0, OUT))


def codes(found: Tried) -> dict[str, str]:
    return {one.code: one.verdict for one in judge(found)}


def test_the_end_is_named_with_the_largest_serving_batch() -> None:
    findings = {one.code: one for one in judge(tried(*RAN_OUT))}
    assert set(findings) == {"MEMORY_MEASURED", "BATCH_RUNS_OUT"}
    assert findings["BATCH_RUNS_OUT"].evidence == (
        "batch 8 fits, batch 16 runs out of memory; "
        "batch 4 is the largest tried below 85 % of 1000 MiB"
    )


@pytest.mark.parametrize(
    ("wanted", "verdict"), [(4, "pass"), (8, "warn"), (16, "fail")], ids=["fits", "tight", "out"]
)
def test_the_serving_batch_is_judged_against_85_percent(wanted: int, verdict: str) -> None:
    assert codes(tried(*RAN_OUT, wanted=wanted))["BATCH_TOO_LARGE"] == verdict


def test_a_first_batch_that_fails_is_unknown_with_its_reason() -> None:
    (finding,) = judge(tried(Step(1, FAILED, reason="ValueError: no")))
    assert (finding.code, finding.verdict) == ("MEMORY_NOT_MEASURED", "unknown")
    assert finding.evidence == "ValueError: no"


def test_what_was_not_reached_is_a_missing_figure_and_not_a_zero() -> None:
    figures = {one.name: one for one in measure(tried(step(1, 200), step(2, 300)))}
    assert figures["memory_smallest_batch_out"].value is None
    assert figures["memory_per_item"].value is None
    line = {one.name: one.value for one in measure(tried(*RAN_OUT))}
    assert line["memory_per_item"] == pytest.approx(100 * MIB)
    assert line["memory_base"] == pytest.approx(100 * MIB)


def on_gpu(reserved: int, allocated: int, ms: float) -> Step:
    return Step(8, FITS, reserved * MIB, allocated * MIB, reserved * MIB, 30 * MIB, call_ms=ms)


def with_variants(*steps: Step) -> Tried:
    variants = tuple(
        Variant(name, setting, one) for (name, setting, _), one in zip(TRIED, steps, strict=True)
    )
    return tried(on_gpu(600, 500, 10.0), device="cuda", variants=variants)


def test_fragmentation_and_the_settings_that_pay_are_told_with_evidence() -> None:
    found = with_variants(
        on_gpu(800, 500, 10.0),
        on_gpu(550, 500, 10.1),
        on_gpu(790, 500, 10.0),
        on_gpu(800, 500, 14.0),
    )
    findings = {one.code: one for one in judge(found)}
    # 1 - 500/800 of the default's reserve is unused in the mixed load.
    assert findings["FRAGMENTED"].evidence == (
        "38% of 800 MiB reserved was unused at the peak of mixed batches, largest free block 30 MiB"
    )
    paying = findings["ALLOCATOR_SETTING_PAYS"]
    assert paying.fix == "set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"
    assert "expandable_segments: +31% reserved memory saved, +1% time per call" in paying.evidence
    assert findings["EMPTY_CACHE_HURTS"].evidence == (
        "empty_cache: +0% reserved memory saved, +40% time per call"
    )


def test_a_default_that_nothing_beats_is_good() -> None:
    found = with_variants(*[on_gpu(520, 500, 10.0)] * 3, on_gpu(400, 400, 10.0))
    assert codes(found) == {
        "MEMORY_MEASURED": "pass",
        "BATCH_HAS_ROOM": "pass",
        "NOT_FRAGMENTED": "pass",
        "ALLOCATOR_DEFAULT_GOOD": "pass",
        "EMPTY_CACHE_HELPS": "warn",
    }


def test_a_mixed_load_that_did_not_run_is_unknown() -> None:
    out = Step(8, OUT)
    assert codes(with_variants(out, out, out, out))["ALLOCATOR_NOT_TRIED"] == "unknown"


def test_mixed_batches_are_of_sizes_that_leave_holes() -> None:
    assert mixed(30) == [30, 10, 15, 6, 30, 4, 15, 30]
    assert mixed(1) == [1] * 8


def test_the_section_loads() -> None:
    found = with_variants(*[on_gpu(520, 500, 10.0)] * 4)._replace(steps=RAN_OUT)
    loaded = MemoryResult.model_validate_json(json.dumps(result_section(found)))
    assert (loaded.largest_fitting, loaded.smallest_failing, loaded.largest_serving) == (8, 16, 4)
    assert loaded.predicted_serving == 7


@pytest.mark.parametrize(
    ("seen", "stranger"),
    [
        ({"processes": 0, "usedShare": 0.01}, None),
        ({"processes": 2, "usedShare": 0.01}, "2 other processes run on the visible devices"),
        (
            {"processes": 0, "usedShare": 0.4},
            "40% of a visible device is in use by nobody we can see",
        ),
        ({"unknown": "NVML: hung"}, "cannot tell whether the device is idle: NVML: hung"),
    ],
)
def test_only_an_idle_device_is_filled(seen: dict[str, Any], stranger: str | None) -> None:
    assert stranger_on(seen) == stranger


def cgroup(folder: Path, limit: str, used: int) -> Path:
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    return folder


def test_the_cgroups_limit_is_the_room_less_what_is_used(tmp_path: Path) -> None:
    room = processor_room(cgroup(tmp_path, "1000\n", 200), tmp_path, None)
    assert room == Room(1000, 750, "cgroup limit")


def test_a_lower_limit_of_the_users_counts(tmp_path: Path) -> None:
    assert processor_room(cgroup(tmp_path, "1000", 200), tmp_path, 400) == Room(
        400, 380, "--memory-bytes"
    )
    higher = processor_room(cgroup(tmp_path, "1000", 200), tmp_path, 4000)
    assert higher == Room(1000, 750, "cgroup limit")


def test_without_a_limit_half_of_what_the_machine_has_left_is_the_room(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   40 kB\n")
    room = processor_room(cgroup(tmp_path, "max", 0), tmp_path, None)
    assert room == Room(
        20 * 1024, 20 * 1024, "half of the machine's available memory (no cgroup limit)"
    )
    assert processor_room(tmp_path / "no", tmp_path / "no", None) is None
