"""`demo up`: the steps in their order, each with its time.

Role: the only module that knows the whole demo. It must not know how a step works. Its trade-off:
the figures before are collected before the manifest is applied and the figures after once it is
Stable, over windows of the same length and at the same offered rate; the minutes in between are the
operator's, and the demo only watches.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo import comparison, install, place
from demo.console import Console
from demo.errors import DemoError, RefusedError
from demo.image_set import PROBES, RECIPES, provide_images, reference
from demo.kubectl import manifests
from demo.observation import Observation, Price, Setting
from demo.observe import fetch_setting, fetch_windows, observe
from demo.options import Options
from demo.place import Place
from demo.record import Run, keep
from demo.time_use import TimeUse, time_use
from demo.verdict import judge_run
from demo.watch import follow
from demo.workload import (
    CLIENT,
    NAMESPACE,
    SERVER,
    client_document,
    read_tuning,
    server_documents,
    tuning_document,
)
from devcluster.errors import DevclusterError
from devcluster.settings import REPO_ROOT
from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus
from infertune.report.markdown import render_markdown

REPORTS = REPO_ROOT / "reports" / "demo"
WINDOW_SECONDS = 40.0
CLIENT_WARMUP_SECONDS = 10.0
FOLLOW_SECONDS = 900.0
START_SECONDS = 180.0
WATCHER_NICENESS = 10


@dataclass(slots=True)
class Journey:
    """What is known so far; it grows with every step and is kept even when a step fails."""

    options: Options
    console: Console
    raw: dict[str, Any]
    spec: TuningSpec
    started: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    seconds: dict[str, float] = field(default_factory=dict)
    before: Observation | None = None
    after: Observation | None = None
    time_use: TimeUse | None = None
    status: TuningStatus | None = None
    story: tuple[str, ...] = ()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    @property
    def price(self) -> Price:
        """Return the price of a replica, as the tuning declares it."""
        cost = self.spec.cost
        assert cost is not None  # the demo's manifest declares one
        return Price(float(cost.replica_hourly), cost.currency)


def up(options: Options, console: Console) -> None:
    """Run the demo.

    Raises:
        RefusedError: Something is missing; nothing was changed.
        DemoError: A step failed, or the story ended differently.
    """
    raw, spec = read_tuning()
    place.check_machine(options)
    journey = Journey(options, console, raw, spec)
    try:
        where = _prepare(journey)
        names = {one.tag: reference(where, one.tag) for one in RECIPES}
        _before(journey, where, names)
        _tune(journey, where, names)
        _after(journey, where)
        outcome = judge_run(journey.spec, journey.status, journey.before, journey.after)
    except RefusedError:
        raise
    except (DemoError, DevclusterError) as error:
        _keep(journey, f"failed: {error}")
        raise
    except KeyboardInterrupt:
        _keep(journey, "interrupted")
        raise
    _keep(journey, outcome)
    _tell_result(journey, where)


def _prepare(journey: Journey) -> Place:
    options, console = journey.options, journey.console
    with journey.step("node"):
        where = place.existing_cluster(options) if options.foreign else place.own_node(console)
    cluster = where.cluster
    if where.foreign:
        install.refuse_occupied(cluster)
    with journey.step("images"):
        keys = provide_images(where, console)
    with journey.step("clear an earlier demo"):
        install.remove_workload(cluster)
    install.claim_namespaces(cluster)
    with journey.step("prometheus"):
        install.install_metrics(where)
    with journey.step("operator"):
        install.install_operator(where, keys, console)
    return where


def _before(journey: Journey, where: Place, names: dict[str, str]) -> None:
    cluster, console, spec = where.cluster, journey.console, journey.spec
    with journey.step("model server and client"):
        documents = [*server_documents(names), client_document(spec, reference(where, PROBES))]
        cluster.apply(manifests(documents))
        for name in (SERVER, CLIENT):
            _await_rollout(where, name)
        setting = _await_autoscaler(where)
    rate = spec.demand.peak_requests_per_second
    console.say(
        f"live: {setting.ready_replicas} replicas of {setting.image}, batch {setting.batch_size}, "
        f"a client at {rate} requests/s, open loop"
    )
    with journey.step("baseline window"):
        _await_traffic(journey, where)
        start = datetime.now(tz=UTC)
        _pass_time(journey, start + timedelta(seconds=WINDOW_SECONDS), "before")
        end = datetime.now(tz=UTC)
        journey.before = observe(cluster, spec, setting, start, end)
    console.say(f"before: {_in_short(journey.before)}")


def _tune(journey: Journey, where: Place, names: dict[str, str]) -> None:
    cluster, console, spec = where.cluster, journey.console, journey.spec
    name = str(journey.raw["metadata"]["name"])
    applied = datetime.now(tz=UTC)
    cluster.apply(manifests([tuning_document(journey.raw, names)]))
    console.say(f"applied examples/demo.yaml (mode: {spec.mode}, its windows are short on purpose)")
    # From here on the demo only looks on, and must not take time from what is measured.
    os.nice(WATCHER_NICENESS)
    with journey.step("tuning"):
        ending = follow(cluster, spec, name, console, FOLLOW_SECONDS)
    journey.status, journey.story = ending.status, ending.lines
    journey.time_use = time_use(spec, ending.status, applied)
    page = render_markdown(f"{NAMESPACE}/{name}", spec, ending.status)
    _write(_report_path(), page)


def _after(journey: Journey, where: Place) -> None:
    """Collect the same figures again; the window may lie in the verified time already."""
    status, spec = journey.status, journey.spec
    assert status is not None  # the tuning rests
    now = datetime.now(tz=UTC)
    rollout = status.rollout
    free = now
    if rollout is not None and rollout.applied_at is not None:
        free = rollout.applied_at + timedelta(seconds=spec.rollout.warmup_seconds)
    end = max(now, free + timedelta(seconds=WINDOW_SECONDS))
    with journey.step("window after"):
        setting = fetch_setting(where.cluster)
        _pass_time(journey, end, "after")
        start = end - timedelta(seconds=WINDOW_SECONDS)
        journey.after = observe(where.cluster, spec, setting, start, end)
    journey.console.say(f"after: {_in_short(journey.after)}")


def _tell_result(journey: Journey, where: Place) -> None:
    before, after, console = journey.before, journey.after, journey.console
    assert before is not None
    assert after is not None
    rows = comparison.compare(before, after, journey.price)
    console.block(f"\n{comparison.as_text(rows)}\n")
    for when, side in (("before", before), ("after", after)):
        for one in side.agreements():
            console.block(f"{when}, {one.sentence()}")
    if journey.time_use is not None:
        console.block(f"\ntime: {journey.time_use.sentence()}")
    console.block(
        f"\nWhere to look next:\n  {where.export_line}\n"
        f"  kubectl get inferencetunings -n {NAMESPACE}\n"
        f"  kubectl describe inferencetuning demo -n {NAMESPACE}\n"
        f"  {_shown(_report_path())}   (every trial, every figure)\n"
        f"  {_down_line(where)}   (removes everything)\n"
    )
    console.say(f"done in {console.elapsed_seconds:.0f} s")


def _keep(journey: Journey, outcome: str) -> None:
    run = Run(
        started=journey.started,
        total_seconds=journey.console.elapsed_seconds,
        outcome=outcome,
        price=journey.price,
        story=journey.story,
        before=journey.before,
        after=journey.after,
        time_use=journey.time_use,
        setup_seconds=journey.seconds,
        status=journey.status,
    )
    _, page = keep(run, journey.options.record or REPORTS)
    journey.console.say(f"kept: {_shown(page)}")


def _await_rollout(where: Place, name: str) -> None:
    scope = f"--namespace={NAMESPACE}"
    words = ("rollout", "status", f"deployment/{name}", scope, f"--timeout={START_SECONDS:.0f}s")
    where.cluster.run(*words, timeout_seconds=START_SECONDS + 30)


def _await_autoscaler(where: Place) -> Setting:
    """Wait until as many replicas as the autoscaler wants are ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        setting = fetch_setting(where.cluster)
        settled = setting.ready_replicas == setting.hpa_current == setting.hpa_desired
        if settled and setting.hpa_min <= setting.ready_replicas <= setting.hpa_max:
            return setting
        time.sleep(1)
    message = f"the autoscaler did not settle in {START_SECONDS:.0f} s: "
    message += f"kubectl describe hpa {SERVER} -n {NAMESPACE}"
    raise DemoError(message)


def _await_traffic(journey: Journey, where: Place) -> None:
    """Wait until the client has sent for a while: its first seconds are warm-up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        windows = fetch_windows(where.cluster, START_SECONDS)
        if sum(one.seconds for one in windows if one.completed) >= CLIENT_WARMUP_SECONDS:
            return
        journey.console.still("waiting for the client's traffic to be steady")
        time.sleep(1)
    message = f"the client gets no answers: kubectl logs deployment/{CLIENT} -n {NAMESPACE}"
    raise DemoError(message)


def _pass_time(journey: Journey, until: datetime, what: str) -> None:
    while (left := (until - datetime.now(tz=UTC)).total_seconds()) > 0:
        journey.console.still(f"measuring {what}: {left:.0f} s to go")
        time.sleep(min(left, 1.0))


def _in_short(side: Observation) -> str:
    p95, over = side.client.p95, side.client.over_promise_percent
    return (
        f"P95 {comparison.figure(p95)}, late or failed {comparison.figure(over)}, "
        f"answered {comparison.figure(side.client.achieved_rate)} (client)"
    )


def _down_line(where: Place) -> str:
    return f"CONTEXT={where.context} make demo-down" if where.foreign else "make demo-down"


def _report_path() -> Path:
    return REPORTS / "tuning.md"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _shown(path: Path) -> str:
    return str(path.relative_to(REPO_ROOT)) if path.is_relative_to(REPO_ROOT) else str(path)
