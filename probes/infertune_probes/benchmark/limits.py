"""`python -m infertune_probes.benchmark overhead`: what a CPU limit and an image cost.

It must not contain arithmetic. Where a child group may be made, the same work runs free and
limited in turn; elsewhere, under a limit of our own, the kernel's count of stopped time is read.
Trade-off: start-up times and the image are facts that the caller passes; this probe has no eyes
for a pod's status.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING

from infertune_probes.benchmark import codes, overhead, sandbox
from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.envelope import measured, unmeasured
from infertune_probes.contract.host import CGROUP_ROOT, cpu_limit, usable_cores
from infertune_probes.contract.session import ProbeSession
from infertune_probes.contract.start_up import startup_split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infertune_probes.benchmark.overhead import Loss

_MARKS = ("scheduled", "pulled", "started", "ready", "answered")
_SLACK_SECONDS = 300.0


def main(argv: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.benchmark overhead")
    parser.add_argument("--cpu-limit", type=_positive, metavar="CORES", help="default: our own")
    parser.add_argument(
        "--threads", type=_whole, metavar="N", help="default: the limit, rounded up"
    )
    parser.add_argument("--size", type=_whole, default=512, help="of the matrices")
    parser.add_argument("--seconds", type=_positive, default=2.0, help="for one run")
    parser.add_argument("--pairs", type=_whole, default=3, help="free and limited runs in turn")
    parser.add_argument("--image", metavar="REF", help="the server's image, to look at its base")
    parser.add_argument("--image-bytes", type=_whole, metavar="N", help="its size")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--times", type=_times, metavar="JSON", help=f"seconds of {_MARKS}")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    deadline = 2 * arguments.pairs * arguments.seconds + _SLACK_SECONDS
    with ProbeSession("benchmark", sinks_from(arguments), deadline) as session:
        _run(arguments, session)
    return session.exit_code


def _run(arguments: argparse.Namespace, session: ProbeSession) -> None:
    cores = arguments.cpu_limit or cpu_limit()
    threads = arguments.threads or min(usable_cores(), math.ceil(cores or 1))
    work = sandbox.Work(arguments.size, threads, arguments.seconds)
    rates: dict[str, list[float]] = {"free": [], "limited": []}
    section: dict[str, object] = {
        "kind": "benchmark-overhead",
        "method": None,
        "limitCores": cores,
        "threads": threads,
        "size": work.size,
        "lostPercent": None,
        "throttledShare": None,
        "freeRates": rates["free"],
        "limitedRates": rates["limited"],
        "startUp": None,
        "imageBytes": arguments.image_bytes,
    }
    session.result = section
    _of_the_pod(arguments, session, section)
    if cores is None:
        why = "there is no CPU limit here, and none was given"
        session.findings.append(codes.OVERHEAD_UNKNOWN.unknown(why, "name one: `--cpu-limit 2`"))
        session.measurements.append(unmeasured("overhead", "%", why))
        return
    loss, why = _measure(work, cores, arguments.pairs, rates, own=arguments.cpu_limit is None)
    if loss is None:
        session.findings.append(codes.OVERHEAD_UNKNOWN.unknown(why))
        session.measurements.append(unmeasured("overhead", "%", why))
        return
    section["method"] = loss.method
    section["lostPercent"], section["throttledShare"] = loss.percent, loss.throttled_share
    session.findings.append(overhead.judge_loss(loss, cores))
    session.measurements.append(measured("overhead", "%", loss.percent, loss.pairs))


def _measure(
    work: sandbox.Work, cores: float, pairs: int, rates: dict[str, list[float]], *, own: bool
) -> tuple[Loss | None, str]:
    """Return the loss, or None and the reason; `own`: the limit is the one that we run under."""
    if own:
        # We are inside already: what runs beside us is limited too, so only the count helps.
        return _by_count(work, rates)
    try:
        with sandbox.own_group() as group:
            before = sandbox.read_counters(group)
            for _ in range(pairs):
                sandbox.limit(group, None)
                free = sandbox.rate_of(work, group)
                sandbox.limit(group, cores)
                limited = sandbox.rate_of(work, group)
                if free is None or limited is None:
                    return None, "a worker failed (is numpy installed?)"
                rates["free"].append(free)
                rates["limited"].append(limited)
            after = sandbox.read_counters(group)
    except sandbox.CannotLimit as error:
        return None, f"no group with a limit can be made: {error}"
    share = _share(before, after)
    return overhead.paired_loss(rates["free"], rates["limited"], share), "no pair ran"


def _by_count(work: sandbox.Work, rates: dict[str, list[float]]) -> tuple[Loss | None, str]:
    folder = sandbox.own_folder(CGROUP_ROOT)
    before = None if folder is None else sandbox.read_counters(folder)
    rate = sandbox.rate_of(work, None)
    after = None if folder is None else sandbox.read_counters(folder)
    if rate is None:
        return None, "the worker failed (is numpy installed?)"
    rates["limited"].append(rate)
    if before is None or after is None:
        return None, "the counters of our own group cannot be read"
    used = work.threads * work.seconds
    if before.used_seconds is not None and after.used_seconds is not None:
        used = after.used_seconds - before.used_seconds
    stopped = after.throttled_seconds - before.throttled_seconds
    return overhead.throttled_loss(used, stopped, _share(before, after)), "our group did not run"


def _share(before: sandbox.Counted | None, after: sandbox.Counted | None) -> float | None:
    if before is None or after is None or after.periods <= before.periods:
        return None
    return (after.throttled - before.throttled) / (after.periods - before.periods)


def _of_the_pod(
    arguments: argparse.Namespace, session: ProbeSession, section: dict[str, object]
) -> None:
    labels = dict(label.partition("=")[::2] for label in arguments.label)
    if arguments.image:
        session.findings += overhead.judge_image(arguments.image, labels)
    if arguments.times is not None:
        phases = startup_split(arguments.times)
        camel = {"first_answer": "firstAnswer"}
        section["startUp"] = {camel.get(name, name): seconds for name, seconds in phases.items()}
        session.findings.append(overhead.judge_startup(phases, arguments.image_bytes))
        session.measurements += [
            measured(f"startup_{name}", "s", seconds, 1)
            if seconds is not None
            else unmeasured(f"startup_{name}", "s", "the caller did not pass both of its times")
            for name, seconds in phases.items()
        ]


def _times(text: str) -> Mapping[str, float]:
    try:
        given = json.loads(text)
    except ValueError as error:
        msg = f"{text!r} is not JSON: {error}"
        raise argparse.ArgumentTypeError(msg) from error
    fine = isinstance(given, dict) and all(
        name in _MARKS and isinstance(value, (int, float)) and value == value  # noqa: PLR0124  # not NaN
        for name, value in given.items()
    )
    if not fine:
        msg = f"{text!r} must be an object of seconds named {', '.join(_MARKS)}"
        raise argparse.ArgumentTypeError(msg)
    return {name: float(value) for name, value in given.items()}


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        msg = f"{text!r} must be a finite number above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"{text!r} must be 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return value
