"""The idle bench counts right, invents lawful objects, and its pods speak Prometheus' language."""

import json
import math
import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.idle import exposition, objects, pod_server
from bench.idle.figures import Figures, KubeletView, Pages, cpu_percent, figures_of
from bench.idle.options import parse
from bench.idle.process import NoProcessError, Sample, look, pid_of_container
from bench.idle.report import Setting, keep, machine, table
from bench.idle.searched_status import Target, searched_status
from bench.idle.stage import watched
from infertune.api.conditions import CONDITION_TYPES
from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import parse_spec, parse_status

NOW = datetime(2026, 1, 2, tzinfo=UTC)
QUIET = KubeletView(1.5, 90.0, 95.0)


def sample(at: float, cpu: float, megabytes: int) -> Sample:
    return Sample(at, cpu, megabytes * 10**6, 120 * 10**6, 12)


def operator_page(ticks: int, puts: int, queries: int) -> str:
    return (
        "# HELP infertune_reconciles_total Ticks, by how they ended.\n"
        f'infertune_reconciles_total{{outcome="done"}} {ticks}.0\n'
        f'infertune_api_requests_total{{answer="200",method="GET"}} 7.0\n'
        f'infertune_api_requests_total{{answer="200",method="PUT"}} {puts}.0\n'
        f'infertune_api_requests_total{{answer="409",method="PUT"}} 1.0\n'
        f'infertune_prometheus_queries_total{{answer="ok"}} {queries}.0\n'
    )


def api_page(puts: int, lists: int) -> str:
    return (
        f'apiserver_request_total{{resource="inferencetunings",verb="PUT"}} {puts}\n'
        f'apiserver_request_total{{resource="inferencetunings",verb="LIST"}} {lists}\n'
        'apiserver_request_total{resource="pods",verb="PUT"} 5000\n'
    )


def prometheus_page(queries: int) -> str:
    return (
        f'prometheus_http_requests_total{{code="200",handler="/api/v1/query"}} {queries}\n'
        'prometheus_http_requests_total{code="200",handler="/metrics"} 99\n'
    )


def measured() -> Figures:
    samples = [sample(100.0, 5.0, 100), sample(130.0, 5.6, 104), sample(220.0, 6.8, 102)]
    before = Pages(operator_page(100, 10, 50), api_page(10, 0), prometheus_page(50))
    after = Pages(operator_page(300, 70, 250), api_page(70, 1), prometheus_page(250))
    return figures_of(samples, before, after, QUIET)


def test_figures_of_a_window_by_hand() -> None:
    """120 s = 2 min. CPU 5.0 -> 6.8 s: 1.5 %; first step 0.6 s in 30 s: 2 %, second 1.33 %.

    200 ticks, 60 writes, 200 queries more: 100, 30 and 100 a minute. One list: 0.5 a minute.
    """
    found = measured()
    assert found.cpu_percent == pytest.approx(1.5)
    assert found.highest_step_cpu_percent == pytest.approx(2.0)
    assert (found.resident_megabytes, found.highest_resident_megabytes) == (102.0, 104.0)
    assert found.reconciles == {"done": 100.0}
    assert found.api_requests == {"PUT": 30.0}
    assert found.prometheus_queries == {"ok": 100.0}
    assert found.api_server_saw == {"LIST": 0.5, "PUT": 30.0}
    assert (found.prometheus_saw, found.threads) == (100.0, 12)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param({}, True, id="all below"),
        pytest.param({"cpu_percent": 2.0}, False, id="exactly the limit is not below it"),
        pytest.param({"highest_resident_megabytes": 150.0}, False, id="memory at the limit"),
        pytest.param({"kubelet": KubeletView(2.1, 90.0, 95.0)}, False, id="the kubelet says more"),
        pytest.param({"kubelet": KubeletView(1.0, 90.0, 151.0)}, False, id="working set too big"),
        pytest.param({"kubelet": KubeletView(None, None, None)}, True, id="the kubelet is silent"),
    ],
)
def test_both_limits_by_every_witness(change: dict[str, object], kept: bool) -> None:
    assert replace(measured(), **change).kept is kept


def test_two_looks_at_one_moment_tell_no_rate() -> None:
    with pytest.raises(ValueError, match="same moment"):
        cpu_percent(sample(1.0, 5.0, 100), sample(1.0, 6.0, 100))


def test_only_series_of_that_very_name_are_summed() -> None:
    """3 + 4 = 7; the longer name, the comment, the other label and the bare series do not count."""
    page = (
        '# a{x="1"} 1\na{x="1",y="p\\"}q"} 3\na{y="z",x="1"} 4 1700\n'
        'a{x="2"} 9\nab{x="1"} 5\na 2 1700\n'
    )
    assert exposition.summed(page, "a", "x", x="1") == {"1": 7.0}
    assert exposition.summed(page, "a") == {"": 18.0}


def test_a_series_that_is_new_began_at_zero() -> None:
    assert exposition.increase({"a": 1.0}, {"a": 4.0, "b": 2.0}) == {"a": 3.0, "b": 2.0}


def test_our_own_process_is_read_as_the_kernel_shows_it() -> None:
    began = look(os.getpid(), 0.0)
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        math.sqrt(2.0)
    ended = look(os.getpid(), 1.0)
    assert 0.03 <= ended.cpu_seconds - began.cpu_seconds <= 2.0
    assert ended.peak_resident_bytes >= ended.resident_bytes > 10**6
    assert ended.threads >= 1


def test_a_process_with_brackets_in_its_name(tmp_path: Path) -> None:
    """Fields 14 and 15 of the line are 150 and 50 ticks; the name holds a closing bracket."""
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "stat").write_text("7 (odd) name) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 5\n")
    (folder / "status").write_text(
        "Name:\todd\nVmHWM:\t  2000 kB\nVmRSS:\t  1000 kB\nThreads:\t5\n"
    )
    ticks = os.sysconf("SC_CLK_TCK")
    assert look(7, 3.0, tmp_path) == Sample(3.0, 200 / ticks, 1024000, 2048000, 5)


def test_a_process_that_ended_is_said_to_have_ended(tmp_path: Path) -> None:
    with pytest.raises(NoProcessError, match="restarted in the window"):
        look(7, 0.0, tmp_path)


def test_the_first_process_of_a_container_is_found_by_its_id(tmp_path: Path) -> None:
    for pid, line in (("12", "0::/k8s.io/abc123"), ("30", "0::/k8s.io/abc123"), ("9", "0::/")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(line)
    (tmp_path / "self").mkdir()
    assert pid_of_container("containerd://abc123", tmp_path) == 12
    for stranger in ("containerd://nowhere", "", "containerd://"):
        with pytest.raises(NoProcessError):
            pid_of_container(stranger, tmp_path)


def test_the_histogram_grows_and_is_cumulative() -> None:
    """At 20 requests per second, 1,000 s bring 20,000 requests, within 5 deviations (141 each)."""
    traffic = pod_server.Traffic("h", "seed", 0.0)
    born = traffic.render()
    assert set(re.findall(r"} (\S+)", born)) == {"0", "0.000000"}
    traffic.advance(500.0)
    traffic.advance(1000.0)
    page = traffic.render()
    counts = exposition.summed(page, "h_count", "code")
    assert abs(sum(counts.values()) - 20_000) < 5 * math.sqrt(20_000)
    assert (0 < counts["500"] < 60, counts["429"]) == (True, 0.0)
    buckets = exposition.summed(page, "h_bucket", "le", code="200")
    edges = sorted(buckets, key=lambda text: math.inf if text == "+Inf" else float(text))
    assert [buckets[edge] for edge in edges] == sorted(buckets.values())
    assert buckets["+Inf"] == counts["200"]


@pytest.mark.parametrize(
    ("seconds", "index"),
    [
        pytest.param(0.1, 0, id="on the bound"),
        pytest.param(0.11, 1, id="above it"),
        pytest.param(9.0, 2, id="beyond the last"),
    ],
)
def test_a_latency_falls_into_the_bucket_that_holds_it(seconds: float, index: int) -> None:
    assert pod_server.bucket_of(seconds, (0.1, 0.2)) == index


def test_every_tuning_is_valid_and_shares_no_histogram_unless_asked() -> None:
    made = [
        objects.tuning(number, 100, "http://prometheus.monitoring:9090") for number in range(100)
    ]
    assert all(isinstance(parse_spec(one["spec"]), TuningSpec) for one in made)
    assert len({one["spec"]["metrics"]["histogram"] for one in made}) == 100
    shared = {objects.histogram_name(number, 1) for number in range(100)}
    assert shared == {"idle_request_seconds_000"}


def test_the_pod_serves_what_the_tuning_asks_for() -> None:
    deployment = objects.deployment("server-007", objects.histogram_name(7, 100), "image:tag")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    names = {one["name"]: one["value"] for one in container["env"]}
    spec = objects.tuning(7, 100, "http://x")["spec"]
    assert names["HISTOGRAM"] == spec["metrics"]["histogram"]
    assert objects.BATCH_ENV in names
    promise = spec["slo"]["latencyMilliseconds"] / 1000
    assert promise in pod_server.BOUNDS


def test_the_invented_status_is_whole_and_survives_the_server() -> None:
    made = searched_status(Target("server-001", "u-1", "node", "infertune/probes:demo"), NOW)
    raw = json.loads(made.model_dump_json(by_alias=True, exclude_none=True))
    assert parse_status(raw) == made
    assert {one.type for one in made.conditions} == set(CONDITION_TYPES)
    assert (made.state, made.observed_generation) == ("Deciding", 1)
    assert [one.knee_rate for one in made.trials] == [10.0, 20.0, 30.0, 30.0]


def test_a_tuning_counts_as_watched_when_it_rests_and_shows_live_figures() -> None:
    live = {"pods": 1, "requestRate": {"value": 20.0}}
    blind = {"pods": 1, "requestRate": {"reason": "Missing"}}
    states = [
        {"status": {"state": "Stable", "live": live}},
        {"status": {"state": "Stable", "live": blind}},
        {"status": {"state": "Stable"}},
        {"status": {"state": "Deciding", "live": live}},
        {},
    ]
    assert watched(states) == 1


def test_a_run_is_kept_with_its_machine_and_told_as_a_table(tmp_path: Path) -> None:
    setting = Setting(NOW, "python -m bench.idle", 100, 100, 300.0, "abc", 100)
    path = tmp_path / "new" / "idle.json"
    keep(setting, measured(), path)
    record = json.loads(path.read_text())
    assert record["kept"] is True
    assert record["figures"]["cpu_percent"] == pytest.approx(1.5)
    assert record["machine"] == machine()
    told = table(setting, replace(measured(), kubelet=KubeletView(None, None, None)))
    assert "| CPU of one core, mean (kernel) | < 2 % | 1.50 % |" in told
    assert "| CPU of one core, mean (kubelet) | < 2 % | not told |" in told


def test_the_plain_command_is_the_documented_run() -> None:
    plain = parse([])
    assert (plain.tunings, plain.histograms) == (100, 100)
    assert (plain.settle_seconds, plain.measure_seconds) == (300, 600)
    assert parse(["--tunings", "5", "--histograms", "9"]).histograms == 5
    with pytest.raises(SystemExit):
        parse(["--tunings", "0"])
