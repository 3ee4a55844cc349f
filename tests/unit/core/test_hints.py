"""What a profile says of batches may turn the order of trials, and is quoted when it does."""

import pytest

from infertune.api.node_status import ProbeSummary
from infertune.core.hints import NO_HINTS, Hints, hints_of
from infertune_probes.profiler.judgement import Facts, result_section
from infertune_probes.profiler.reading import Reading, Shares
from tests.builders import (
    NOW,
    OTHER_IMAGE,
    after,
    container_of,
    decide,
    deployment_of,
    ended_job,
    spec_of,
    status_of,
    target_of,
    trial_of,
)
from tests.fakes import envelopes
from tests.unit.core.test_model_profile import NAME, PROBES

IDLE_WORDS = "the profiler saw the device idle 62 % of a call (launch-bound): larger batches first"
BUSY_WORDS = (
    "the profiler saw the device busy 97.5 % of a call (compute-bound): larger batches last"
)


def profile(bound: str | None, busy: float | None, confidence: str | None = "high") -> ProbeSummary:
    return ProbeSummary.model_validate(
        {"probe": "profiler", "bound": bound, "busyPercent": busy, "confidence": confidence}
    )


LAUNCH = profile("launch", 38.0)


@pytest.mark.parametrize(
    ("read", "hints"),
    [
        (LAUNCH, Hints("Larger", IDLE_WORDS)),
        (profile("launch", 38.0, "medium"), Hints("Larger", IDLE_WORDS)),
        (
            profile("idle", 20.0),
            Hints(
                "Larger", IDLE_WORDS.replace("62", "80").replace("launch-bound", "waiting for work")
            ),
        ),
        (profile("compute", 97.5), Hints("Saturated", BUSY_WORDS)),
        (profile("compute", 89.9), NO_HINTS),
        (profile("compute", 97.5, "medium"), NO_HINTS),
        (profile("launch", 38.0, "low"), NO_HINTS),
        (profile("launch", 38.0, None), NO_HINTS),
        (profile("launch", None), NO_HINTS),
        (profile("unknown", 10.0), NO_HINTS),
        (profile("memory", 99.0), NO_HINTS),
        (profile("copy", 30.0), NO_HINTS),
    ],
)
def test_only_a_sure_reading_of_a_device_says_anything(read: ProbeSummary, hints: Hints) -> None:
    assert hints_of((ProbeSummary(probe="gpu"), read)) == hints


def test_statuses_from_before_it_was_recorded_say_nothing() -> None:
    old = ProbeSummary.model_validate({"probe": "profiler", "verdict": "warn", "bound": "launch"})
    assert (old.busy_percent, old.confidence, hints_of((old,))) == (None, None, NO_HINTS)
    assert hints_of(()) == NO_HINTS


@pytest.mark.parametrize(("on_device", "percent"), [(True, 38.0), (False, None)])
def test_probing_records_how_busy_a_device_is_and_nothing_of_a_model_without_one(
    on_device: bool, percent: float | None
) -> None:
    shares = Shares(work=0.35, copy=0.03, launch=0.6, waiting=0.02)
    reading = Reading(1000.0, 5, on_device, shares, "launch", "high", "as told")
    section = result_section(reading, Facts("basic", "server.model:predict"), (), [])
    envelope = envelopes.envelope("profiler", "node-1", NOW, [], section)
    spec = spec_of(probes=PROBES)
    found = decide(status_of("Probing"), spec, jobs=(ended_job(NAME, "profiler", envelope),))
    (summary,) = found.status.probes
    assert (summary.bound, summary.busy_percent, summary.confidence) == ("launch", percent, "high")


def begun(knee: float | None, *probes: ProbeSummary) -> tuple[int | None, str]:
    """Return the second trial and what is told of it; today's cap of 4 carries this rate."""
    knob = {"env": "MAX_BATCH", "values": [1, 2, 4, 8, 16, 32]}
    images = [OTHER_IMAGE]
    knobs = {"batchSize": knob, "images": images, "replicas": {"min": 1, "max": 6}}
    spec = spec_of(knobs=knobs)
    today = target_of(deployment_of(container_of("4")))
    first = trial_of(4, knee, finished_at=after(-60))
    found = decide(status_of("Searching", trials=(first,), probes=probes), spec, target=today)
    assert len(found.status.trials) == 2
    return found.status.trials[1].candidate.batch_size, found.decision


def test_an_idle_device_turns_the_first_look_up_and_is_quoted_in_the_decision() -> None:
    plain, words = begun(20.0)
    assert (plain, "profiler" in words) == (8, False)
    larger, words = begun(20.0, LAUNCH)
    assert larger == 16
    assert words.endswith(f"a middle batch above today's on this image; {IDLE_WORDS}")


def test_before_anything_carries_the_peak_no_hint_changes_anything() -> None:
    assert begun(None, LAUNCH) == begun(None)
    assert begun(0.5, LAUNCH) == begun(0.5)
