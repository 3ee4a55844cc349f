"""Before the search: is everything there, and are the nodes fit?"""

from dataclasses import replace
from typing import Any

import pytest

from infertune.api.node_status import ProbeSummary
from infertune.api.status import TargetFacts
from infertune.core.evidence import NoData
from infertune.core.manifests.naming import probe_job_name
from infertune.core.plan import CreateObject, DeleteObject
from infertune.core.snapshot import PodShare, ProbeFailure
from tests.builders import (
    NOW,
    TARGET_UID,
    after,
    autoscaler_of,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    ended_job,
    job_of,
    live_of,
    spec_of,
    status_of,
    target_of,
    tuning_of,
)
from tests.fakes import envelopes

GPU = probe_job_name(tuning_of(), "gpu", "node-1")
BENCH = probe_job_name(tuning_of(), "benchmark", "node-1")
NO_GPU = envelopes.no_gpu("node-1", NOW)
MATMUL = envelopes.matmul("node-1", NOW)


def probe(name: str, verdict: str = "pass", node: str = "node-1") -> ProbeSummary:
    return ProbeSummary.model_validate({"probe": name, "node": node, "verdict": verdict})


def finding(verdict: str) -> Any:
    return envelopes.envelope("gpu", "node-1", NOW, [envelopes.finding("CODE", verdict)])


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        ({"target": None}, "TargetNotFound"),
        ({"target": target_of(nodes=())}, "NoLivePods"),
        ({"target": target_of(deployment_of(container_of("many")))}, "KnobUnreadable"),
        ({"target": target_of(deployment_of(container_of(ports=())))}, "PortUnknown"),
        (
            {"spec": spec_of(targetRef={"name": "resnet", "container": "proxy"})},
            "ContainerMissing",
        ),
        ({"spec": spec_of(quality={"goldenConfigMap": "golden"})}, "ConfigMapMissing"),
        (
            {
                "spec": spec_of(load={"payloadRef": {"configMap": "body"}}),
                "config_maps": {"body": {"other.json": "{}"}},
            },
            "ConfigMapKeyMissing",
        ),
    ],
)
def test_what_is_missing_is_named_and_looked_for_again(world: dict[str, Any], reason: str) -> None:
    missing = decide(status_of(), **world)
    assert conditions_of(missing.status)["TargetAvailable"] == ("False", reason)
    assert (missing.status.state, missing.requeue_seconds) == ("Pending", 15.0)


def test_a_target_with_traffic_gives_a_baseline() -> None:
    golden = {"golden": {"golden.json": "[]"}}
    spec = spec_of(quality={"goldenConfigMap": "golden"})
    found = decide(status_of(), spec, config_maps=golden)
    assert found.status.state == "Probing"
    assert found.status.baseline is not None
    assert found.status.baseline.p95.value == 150.0
    assert found.status.target == TargetFacts(
        kind="Deployment",
        name="resnet",
        uid=TARGET_UID,
        container="server",
        autoscaler="resnet",
        autoscaler_uid="scaler-uid",
        nodes=("node-1",),
    )
    assert conditions_of(found.status)["MetricsAvailable"] == ("True", "Measured")


@pytest.mark.parametrize(
    ("mode", "live", "state"),
    [
        ("Apply", NoData("TooFew", "no request"), "Pending"),
        ("Apply", NoData("Unavailable", "down"), "Pending"),
        ("Recommend", NoData("TooFew", "no request"), "Probing"),
        ("Recommend", NoData("Missing", "no series"), "Probing"),
        ("Recommend", NoData("Unavailable", "down"), "Pending"),
        ("Recommend", None, "Pending"),
        ("Recommend", live_of(p95=NoData("TooFew", "3 requests")), "Probing"),
        ("Apply", live_of(p95=NoData("TooFew", "3 requests")), "Pending"),
    ],
)
def test_only_recommend_goes_on_without_live_traffic(mode: str, live: Any, state: str) -> None:
    found = decide(status_of(), spec_of(mode=mode), live=live)
    assert found.status.state == state
    assert conditions_of(found.status)["MetricsAvailable"][0] == "False"
    assert found.status.baseline is None


def test_jobs_of_an_earlier_generation_hold_no_device_while_pending() -> None:
    found = decide(status_of(), target=None, jobs=(job_of("old-server"),))
    assert [e.name for e in found.effects if isinstance(e, DeleteObject)] == ["old-server"]


def test_without_an_autoscaler_the_replicas_of_the_workload_are_the_bounds() -> None:
    found = decide(status_of(), autoscaler=None).status.baseline_configuration
    assert found is not None
    assert (found.min_replicas, found.max_replicas) == (2, 2)
    lax = decide(status_of(), autoscaler=autoscaler_of(None, 5)).status.baseline_configuration
    assert lax is not None
    assert (lax.min_replicas, lax.max_replicas) == (1, 5)


def test_each_probe_runs_once_on_each_node_and_leftovers_go() -> None:
    begun = decide(status_of("Probing"), jobs=(job_of("old-server"),))
    created = [e.manifest["metadata"]["name"] for e in begun.effects if isinstance(e, CreateObject)]
    deleted = [e.name for e in begun.effects if isinstance(e, DeleteObject)]
    assert (created, deleted) == ([GPU, BENCH], ["old-server"])


def test_results_are_recorded_before_their_jobs_are_removed() -> None:
    ended = (ended_job(GPU, "gpu", NO_GPU), ended_job(BENCH, "benchmark", MATMUL))
    recorded = decide(status_of("Probing"), jobs=ended)
    assert recorded.effects == ()
    assert [(s.probe, s.verdict) for s in recorded.status.probes] == [
        ("gpu", "unknown"),
        ("benchmark", "pass"),
    ]
    passed = decide(recorded.status, jobs=ended)
    assert passed.status.state == "Searching"
    assert [e.name for e in passed.effects if isinstance(e, DeleteObject)] == [GPU, BENCH]
    assert conditions_of(passed.status)["ProbesHealthy"] == ("Unknown", "ProbesInconclusive")


def test_a_failed_benchmark_stops_no_search_and_is_not_called_healthy() -> None:
    both = (probe("gpu"), probe("benchmark", "fail"))
    found = decide(status_of("Probing", probes=both))
    assert found.status.state == "Searching"
    assert conditions_of(found.status)["ProbesHealthy"] == ("False", "ProbeFailed")


def test_half_of_the_results_are_waited_for() -> None:
    jobs = (job_of(GPU, "gpu"), job_of(BENCH, "benchmark"))
    waiting = decide(status_of("Probing", probes=(probe("gpu"),)), jobs=jobs)
    assert (waiting.status.state, waiting.requeue_seconds) == ("Probing", 5.0)


def test_results_of_a_node_that_is_no_longer_the_targets_prove_nothing() -> None:
    old = (probe("gpu", "fail", "gone"), probe("benchmark", "pass", "gone"))
    found = decide(status_of("Probing", probes=old))
    assert len(found.effects) == 2
    assert found.status.state == "Probing"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (job_of(GPU, "gpu", pod_phase="Pending", failure_reason="Unschedulable"), "Unschedulable"),
        (job_of(GPU, "gpu", finished=True, pod_name=None), "the pod never ran"),
        (ended_job(GPU, "gpu", ProbeFailure("PayloadLost", "no log")), "PayloadLost: no log"),
    ],
)
def test_a_probe_without_a_result_is_unknown_and_never_pass(job: Any, words: str) -> None:
    spec = spec_of(probes={"benchmark": "Disabled"})
    found = decide(status_of("Probing"), spec, jobs=(job,), now=after(301))
    (summary,) = found.status.probes
    assert summary.verdict == "unknown"
    assert words in summary.summary


@pytest.mark.parametrize(
    ("check", "verdict", "state"),
    [
        ("Required", "unknown", "Halted"),
        ("Required", "pass", "Searching"),
        ("WhenPresent", "unknown", "Searching"),
        ("WhenPresent", "fail", "Halted"),
        ("WhenPresent", "warn", "Searching"),
    ],
)
def test_the_gate(check: str, verdict: str, state: str) -> None:
    spec = spec_of(probes={"gpuCheck": check, "benchmark": "Disabled"})
    recorded = decide(
        status_of("Probing"), spec, jobs=(ended_job(GPU, "gpu", finding(verdict)),)
    ).status
    assert decide(recorded, spec).status.state == state


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        pytest.param(["XID_UNKNOWN"], "Searching", id="a-log-that-a-pod-may-not-read"),
        pytest.param(["PCIE_LINK", "HIDDEN_USE"], "Searching", id="a-live-server-on-the-device"),
        pytest.param(["XID_UNKNOWN", "HEALTH_PARTLY_UNKNOWN"], "Halted", id="health-not-shown"),
        pytest.param(["XID_UNKNOWN", "INTERRUPTED"], "Halted", id="a-check-that-did-not-end"),
    ],
)
def test_a_required_gpu_must_be_shown_healthy_not_shown_everything(
    codes: list[str], state: str
) -> None:
    spec = spec_of(probes={"gpuCheck": "Required", "benchmark": "Disabled"})
    found = [envelopes.finding("GPU_PRESENT", "pass")]
    found += [envelopes.finding(code, "unknown") for code in codes]
    result = envelopes.envelope("gpu", "node-1", NOW, found)
    recorded = decide(status_of("Probing"), spec, jobs=(ended_job(GPU, "gpu", result),)).status
    assert recorded.probes[0].verdict == "unknown"
    assert decide(recorded, spec).status.state == state


def test_a_warning_is_told_before_what_a_pod_can_never_read() -> None:
    found = [
        envelopes.finding("XID_UNKNOWN", "unknown"),
        envelopes.finding("POWER_LIMIT_LOWERED", "warn"),
        envelopes.finding("GPU_PRESENT", "pass"),
    ]
    spec = spec_of(probes={"gpuCheck": "Required", "benchmark": "Disabled"})
    result = envelopes.envelope("gpu", "node-1", NOW, found)
    recorded = decide(status_of("Probing"), spec, jobs=(ended_job(GPU, "gpu", result),)).status
    (summary,) = recorded.probes
    assert (summary.verdict, summary.code) == ("unknown", "XID_UNKNOWN")
    assert summary.summary.startswith("POWER_LIMIT_LOWERED: ")
    assert decide(recorded, spec).status.state == "Searching"


def test_a_summary_of_an_earlier_version_leads_with_its_gravest_code() -> None:
    spec = spec_of(probes={"gpuCheck": "Required", "benchmark": "Disabled"})
    for words, state in (("XID_UNKNOWN: x", "Searching"), ("HEALTH_PARTLY_UNKNOWN: x", "Halted")):
        kept = probe("gpu", "unknown").model_copy(update={"summary": words})
        assert decide(status_of("Probing", probes=(kept,)), spec).status.state == state


def test_no_probe_asked_is_no_gate() -> None:
    spec = spec_of(probes={"gpuCheck": "Disabled", "benchmark": "Disabled"})
    found = decide(status_of("Probing"), spec)
    assert (found.status.state, found.decision) == ("Searching", "no probe asked")


@pytest.mark.parametrize("state", ["Probing", "Searching", "Deciding"])
def test_a_target_that_vanishes_is_waited_for_in_pending(state: Any) -> None:
    found = decide(status_of(state), target=None)
    assert (found.status.state, found.requeue_seconds) == ("Pending", 15.0)


@pytest.mark.parametrize(("mode", "state"), [("Apply", "Pending"), ("Recommend", "Probing")])
def test_a_promise_that_live_traffic_could_never_be_judged_by_is_told_before_any_trial(
    mode: str, state: str
) -> None:
    """P95 has a figure; the share over the promise, which every verdict needs, never will."""
    outside = NoData("OutsideBuckets", "the promise of 20 ms lies outside")
    live = replace(live_of(), over_slo_percent=outside, blocks=())
    found = decide(status_of(), spec_of(mode=mode), live=live)
    assert found.status.state == state
    if mode == "Apply":
        condition = next(c for c in found.status.conditions if c.type == "MetricsAvailable")
        assert (condition.status, condition.reason, condition.message) == (
            "False",
            "OutsideBuckets",
            "spec.metrics: the promise of 20 ms lies outside",
        )


def test_an_uneven_load_before_the_change_is_told_with_the_baseline() -> None:
    shares = (PodShare("web-0", 600.0, 300.0), PodShare("web-1", 0.0, 300.0))
    live = replace(live_of(), shares=shares, share_seconds=300.0)
    found = decide(status_of(), spec_of(), live=live)
    assert found.status.baseline is not None
    assert found.status.baseline.balance.value == 0.5
    condition = next(c for c in found.status.conditions if c.type == "MetricsAvailable")
    assert condition.message.endswith(f"; {found.status.baseline.uneven}")
