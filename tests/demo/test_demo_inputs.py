"""What the demo is told, what it puts into the cluster, and how it judges a run."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.client_windows import Traffic
from demo.errors import DemoError, RefusedError
from demo.kubectl import manifests
from demo.observation import Observation, Price, Setting
from demo.options import parse
from demo.record import Run, keep, next_number
from demo.scraped import Resources
from demo.verdict import judge_run
from demo.workload import client_document, read_tuning, server_documents, tuning_document
from infertune.api.status import Condition, Reading, RolloutStatus, TuningStatus

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RAW, SPEC = read_tuning()
STABLE = TuningStatus(state="Stable", rollout=RolloutStatus(verdict="Pass"))
UNVERIFIED = TuningStatus(state="Stable", rollout=RolloutStatus())
UNREACHABLE = TuningStatus(
    state="Stable",
    conditions=(
        Condition(type="Stalled", status="False", message="fine", last_transition_time=NOON),
        Condition(
            type="SLOAchievable",
            status="False",
            message="best is 231 ms",
            last_transition_time=NOON,
        ),
    ),
)


def test_without_a_context_the_own_node_is_used() -> None:
    assert not parse(["up"], {}).foreign


def test_make_variables_arrive_by_the_environment_and_the_command_line_wins() -> None:
    options = parse(["up", "--context", "mine"], {"CONTEXT": "other", "REGISTRY": "host/x"})
    assert (options.context, options.registry, options.loader) == ("mine", "host/x", None)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        pytest.param({"CONTEXT": "kind"}, "exactly one way for the images", id="no way"),
        pytest.param(
            {"CONTEXT": "kind", "REGISTRY": "r", "LOADER": "x {archive}"},
            "exactly one way for the images",
            id="two ways",
        ),
        pytest.param({"CONTEXT": "kind", "LOADER": "kind load"}, "must contain", id="no place"),
        pytest.param({"REGISTRY": "r"}, "set CONTEXT too", id="a registry for nobody"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(environ: dict[str, str], says: str) -> None:
    with pytest.raises(RefusedError, match=says) as refused:
        parse(["up"], environ)
    assert "\n" not in str(refused.value)


def test_a_foreign_cluster_is_cleaned_without_a_way_for_images() -> None:
    assert parse(["down"], {"CONTEXT": "kind"}).context == "kind"


def test_the_client_offers_exactly_the_declared_demand() -> None:
    container = client_document(SPEC, "probes:demo")["spec"]["template"]["spec"]["containers"][0]
    args = container["args"]
    flags = dict(zip(args[:-3:2], args[1:-3:2], strict=True))
    assert flags["--rates"] == str(SPEC.demand.peak_requests_per_second)
    assert flags["--duration"] == "0"
    assert flags["--slo-ms"] == str(SPEC.slo.latency_milliseconds)
    assert flags["--url"] == "http://demo-server.demo/predict"
    assert "limits" not in container or "cpu" not in container["resources"]["limits"]


def test_images_get_the_names_by_which_the_cluster_knows_them() -> None:
    fp32, int8, wrong = SPEC.knobs.images
    names = {image: f"registry.example/{image}" for image in (fp32, int8, wrong)}
    deployment = next(one for one in server_documents(names) if one["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"registry.example/{fp32}"
    tuning = tuning_document(RAW, names)
    assert tuning["spec"]["knobs"]["images"] == [names[fp32], names[int8], names[wrong]]
    assert RAW["spec"]["knobs"]["images"] == [fp32, int8, wrong]


def test_documents_travel_as_one_list() -> None:
    assert json.loads(manifests([RAW]))["items"][0]["kind"] == "InferenceTuning"


def _side(p95: float, image: str, prometheus_p95: float | None = None) -> Observation:
    def traffic(value: float) -> Traffic:
        figure = Reading(value=value, unit="ms")
        percent = Reading(value=0.0, unit="%")
        rate = Reading(value=72.0, unit="req/s")
        return Traffic(figure, figure, figure, percent, rate, percent, 72.0)

    setting = Setting("8", image, 1, 2, 2, 2, 2)
    return Observation(
        start=NOON,
        end=NOON + timedelta(seconds=40),
        setting=setting,
        setting_at_start=setting,
        client=traffic(p95),
        prometheus=traffic(p95 if prometheus_p95 is None else prometheus_p95),
        resources=Resources(Reading(), Reading()),
    )


BEFORE, AFTER = _side(500, "s:fp32"), _side(100, "s:int8")


def test_a_good_run_is_called_good() -> None:
    assert judge_run(SPEC, STABLE, BEFORE, AFTER).startswith("Stable")


@pytest.mark.parametrize(
    ("status", "before", "after", "says"),
    [
        pytest.param(None, BEFORE, AFTER, "did not reach its end", id="cut short"),
        pytest.param(
            TuningStatus(state="Halted", rollout=RolloutStatus(evidence="7 % over")),
            BEFORE,
            AFTER,
            "ended Halted: 7 % over",
            id="rolled back",
        ),
        pytest.param(UNREACHABLE, BEFORE, AFTER, "applied: best is 231 ms", id="unreachable"),
        pytest.param(UNVERIFIED, BEFORE, AFTER, "not verified", id="no verdict"),
        pytest.param(STABLE, BEFORE, BEFORE, "nothing was changed", id="no change"),
        pytest.param(STABLE, _side(90, "s:fp32"), AFTER, "machine is faster", id="never missed"),
        pytest.param(STABLE, BEFORE, _side(201, "s:int8"), "by the client", id="client says no"),
        pytest.param(
            STABLE, BEFORE, _side(100, "s:int8", 240), "by the Prometheus", id="Prometheus says no"
        ),
    ],
)
def test_any_other_ending_names_what_is_missing(
    status: TuningStatus | None, before: Observation, after: Observation, says: str
) -> None:
    with pytest.raises(DemoError, match=says) as bad:
        judge_run(SPEC, status, before, after)
    assert "kubectl" in str(bad.value)


def _run() -> Run:
    return Run(
        started=NOON,
        total_seconds=300.0,
        outcome="Stable",
        price=Price(0.02, "USD"),
        story=("state: Stable",),
        before=BEFORE,
        after=AFTER,
        time_use=None,
        setup_seconds={"node": 1.0},
        status=STABLE,
    )


def test_runs_are_kept_under_rising_numbers_without_holes(tmp_path: Path) -> None:
    first = keep(_run(), tmp_path)
    second = keep(_run(), tmp_path)
    assert [path.name for path in (*first, *second)] == ["01.json", "01.md", "02.json", "02.md"]
    (tmp_path / "notes.json").write_text("{}")
    assert next_number(tmp_path) == 3


def test_a_record_is_plain_json_and_its_page_holds_the_table(tmp_path: Path) -> None:
    record, page = keep(_run(), tmp_path)
    kept = json.loads(record.read_text())
    assert kept["before"]["client"]["p95"] == {"value": 500.0, "unit": "ms"}
    assert kept["status"]["state"] == "Stable"
    assert "| P95 (client) | 500 ms | 100 ms | -80 % |" in page.read_text()


def test_a_run_that_broke_off_is_kept_too(tmp_path: Path) -> None:
    broken = replace(_run(), before=None, after=None, status=None, outcome="failed: no node")
    _, page = keep(broken, tmp_path)
    assert "Outcome: failed: no node." in page.read_text()
