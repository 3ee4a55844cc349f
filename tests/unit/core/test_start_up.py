"""Where a trial server's start went: every phase by hand, and what is not known stays unknown."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from infertune.api.start_up import StartUp
from infertune.api.status import Configuration, TrialRecord, TuningStatus
from infertune.core.snapshot import JobView, PodTimes
from infertune.core.start_up import devel_note, start_up_of, with_real_start
from infertune.core.trials import TrialJobs
from infertune.report.markdown import render_markdown
from tests.builders import NOW, ended_job, job_of, trial_of
from tests.fakes import envelopes

EARLY = "first answer alone: it came before the kubelet found the server ready, as part of load"
FLAPPED = "load, first answer: readiness came and went, and no HTTP readiness path tells more"
CLOCKS = "load, first answer: the times contradict each other, by clocks that differ"
PULL = "pull alone: the kubelet tells it only in Events, which are not read"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def server(
    scheduled: float | None = 2, started: float | None = 40, ready: float | None = 100
) -> JobView:
    begun = {} if started is None else {"server": after(started)}
    moments = [None if at is None else after(at) for at in (scheduled, ready)]
    return job_of("t-server", times=PodTimes(*moments, begun))


def asked(begun: float, seconds: float = 1.5, **startup: Any) -> JobView:
    """The load probe's Job: it was made at 101 s and asks from ``begun`` on."""
    found = envelopes.load([10.0], lambda _: 60.0, 200, 30, NOW)
    assert found.load is not None
    assert found.load.startup is not None
    first = found.load.startup.model_copy(update={"seconds": seconds, **startup})
    load = found.load.model_copy(update={"startup": first})
    made = found.model_copy(update={"result": load, "started_at": after(begun)})
    return ended_job("t-load", "load", made, created_at=after(101))


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param(
            TrialJobs(server(), asked(103)), (2, 38, 60, 4.5, 104.5, PULL), id="every phase"
        ),
        pytest.param(
            TrialJobs(server(ready=100), asked(60)),
            (
                2,
                38,
                21.5,
                None,
                61.5,
                f"{PULL}; {EARLY}",
            ),
            id="the probe was quicker than the kubelet",
        ),
        pytest.param(
            TrialJobs(server(), None),
            (
                2,
                38,
                60,
                None,
                100,
                f"{PULL}; first answer: there is no HTTP readiness path to ask, or no result",
            ),
            id="nobody asked",
        ),
        pytest.param(
            TrialJobs(server(ready=130), job_of("t-load", "load", created_at=after(101))),
            (
                2,
                38,
                None,
                None,
                40,
                f"{PULL}; {FLAPPED}",
            ),
            id="Ready a second time",
        ),
        pytest.param(
            TrialJobs(server(ready=None), asked(103, ready=False)),
            (2, 38, None, None, 40, f"{PULL}; load, first answer: the server never answered"),
            id="it never answered",
        ),
        pytest.param(
            TrialJobs(server(started=None, ready=None), None),
            (
                2,
                None,
                None,
                None,
                2,
                f"{PULL}; load, first answer: the container's first start is not told",
            ),
            id="restarted, or not started yet",
        ),
        pytest.param(
            TrialJobs(server(ready=None), asked(10)),
            (
                2,
                38,
                None,
                None,
                40,
                f"{PULL}; {CLOCKS}",
            ),
            id="an answer before the start",
        ),
    ],
)
def test_the_phases(jobs: TrialJobs, expected: tuple[Any, ...]) -> None:
    names = ("wait", "pull_and_start", "load", "first_answer", "total")
    seconds = {f"{name}_seconds": s for name, s in zip(names, expected[:5], strict=True)}
    assert start_up_of(jobs, "server") == StartUp(**seconds, unknown=expected[5])


def test_a_pod_that_tells_no_time_has_no_start() -> None:
    assert start_up_of(TrialJobs(None, None), "server") is None
    assert start_up_of(TrialJobs(job_of("t-server"), None), "server") is None
    silent = job_of("t-server", times=PodTimes(None, None, {}))
    assert start_up_of(TrialJobs(silent, None), "server") is None


def test_start_up_seconds_count_from_the_container_and_not_from_the_probes_first_try() -> None:
    record = trial_of(1, startup_seconds=1.5)
    seen = StartUp(load_seconds=60.0, first_answer_seconds=4.5)
    assert with_real_start(record.model_copy(update={"start_up": seen})).startup_seconds == 64.5
    assert with_real_start(record) == record


def test_a_devel_base_is_told_with_the_line_to_change() -> None:
    assert devel_note("nvidia/cuda:12.6.3-devel-ubuntu22.04") == (
        "; nvidia/cuda:12.6.3-devel-ubuntu22.04 is on a -devel base, pulled at each start: "
        "`FROM nvidia/cuda:12.6.3-runtime-ubuntu22.04` in the last stage, compile in an earlier one"
    )
    assert devel_note("server:int8") == ""


def test_the_report_tells_phases_price_and_base() -> None:
    start = StartUp(wait_seconds=2, load_seconds=60, total_seconds=104.5, unknown=PULL)
    status = TuningStatus(
        baseline_configuration=Configuration(image="server:1-devel"),
        trials=(TrialRecord(name="t-1", start_up=start), TrialRecord(name="t-2")),
    )
    page = render_markdown("demo/demo", None, status)
    assert "| 1 | 2 s | - | 60 s | - | 104 s |" in page
    assert "Starting took 104 s in 1 of 2 trials. It is part of their replica-hours" in page
    assert f"Not known: {PULL}." in page
    assert "server:1-devel is on a -devel base" in page
    assert "Start-up" not in render_markdown("demo/demo", None, TuningStatus())
