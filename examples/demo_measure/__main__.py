"""`python -m demo_measure service|quota ...`: the tables of the demo server's README.

Role: command line and printing. It must not know how anything is measured. Its trade-off: Markdown
rows on standard output, so that a table is pasted and not retyped.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import uvloop

from demo_measure.open_loop import Outcome, Plan, offer
from demo_measure.replica import Quota, Replica, running
from demo_measure.service_times import measure_in_process, measure_over_http

SIZES = (1, 2, 4, 8, 16, 32)


def main(arguments: list[str]) -> int:
    """Run one of the two measurements."""
    parser = argparse.ArgumentParser(prog="python -m demo_measure")
    commands = parser.add_subparsers(dest="command", required=True)
    service = commands.add_parser("service", help="s(b) of every model given")
    service.add_argument("models", type=Path, nargs="+")
    quota = commands.add_parser("quota", help="open-loop load on replicas under a CPU limit")
    quota.add_argument("model", type=Path)
    quota.add_argument("--cores", type=float, required=True)
    quota.add_argument("--period-ms", type=int, default=100)
    quota.add_argument("--replicas", type=int, default=1)
    quota.add_argument("--batch", type=int, default=1)
    quota.add_argument("--wait-ms", type=int, default=0)
    quota.add_argument("--queue", type=int, default=64)
    quota.add_argument("--rate", type=float, nargs="+", required=True)
    quota.add_argument("--seconds", type=float, default=20)
    quota.add_argument("--seed", type=int, default=1)
    quota.add_argument("--keep-alive", action="store_true")
    options = parser.parse_args(arguments)
    if options.command == "service":
        _service(options.models)
    else:
        _quota(options)
    return 0


def _service(models: list[Path]) -> None:
    table = measure_in_process(models, SIZES)
    for variant, by_size in table.items():
        _row(f"{variant} model run, CPU ms", [pair[0] for pair in by_size.values()])
        _row(f"{variant} model run, wall ms", [pair[1] for pair in by_size.values()])
    for model in models:
        environ = {"MODEL_PATH": str(model), "MAX_BATCH_SIZE": "32"}
        with running(environ, None, model.stem) as replica:
            over_http = asyncio.run(measure_over_http(replica, SIZES))
        _row(f"{model.stem} over HTTP, wall ms", [pair[0] for pair in over_http.values()])
        _row(f"{model.stem} over HTTP, server CPU ms", [pair[1] for pair in over_http.values()])


def _quota(options: argparse.Namespace) -> None:
    environ = {
        "MODEL_PATH": str(options.model),
        "MAX_BATCH_SIZE": str(options.batch),
        "BATCH_WAIT_MS": str(options.wait_ms),
        "QUEUE_LIMIT": str(options.queue),
    }
    limit = Quota(options.cores, options.period_ms)
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(running(environ, limit, str(number)))
            for number in range(options.replicas)
        ]
        urls = tuple(replica.url for replica in replicas)
        for rate in options.rate:
            before = [(replica.cpu_seconds(), replica.throttled_seconds()) for replica in replicas]
            counts = _histogram(replicas)
            plan = Plan(urls, rate, options.seconds, options.seed, not options.keep_alive)
            outcome = uvloop.run(offer(plan))
            used = sum(r.cpu_seconds() - b[0] for r, b in zip(replicas, before, strict=True))
            p95 = _server_p95(counts, _histogram(replicas))
            _print_level(options, outcome, used / options.seconds, p95)


def _print_level(
    options: argparse.Namespace, outcome: Outcome, cores: float, server_p95_ms: float
) -> None:
    sys.stdout.write(
        f"| {options.model.stem} x{options.replicas} b={options.batch} w={options.wait_ms} "
        f"q={options.queue} {options.cores} cores/{options.period_ms} ms "
        f"| {outcome.offered:.1f} | {outcome.answered:.1f} | {outcome.refused_percent:.1f} % "
        f"| {outcome.p50_ms:.0f} | {outcome.p95_ms:.0f} | {outcome.p99_ms:.0f} "
        f"| {server_p95_ms:.0f} | {cores:.2f} | {outcome.client_cpu_percent:.0f} % |\n"
    )
    sys.stdout.flush()


def _histogram(replicas: list[Replica]) -> dict[float, float]:
    """Return the duration histogram's cumulative counts, summed over replicas."""
    total: dict[float, float] = {}
    for replica in replicas:
        with urllib.request.urlopen(f"{replica.url}/metrics") as response:  # noqa: S310 - loopback
            text = response.read().decode()
        for line in text.splitlines():
            if line.startswith('demo_request_duration_seconds_bucket{code="200"'):
                bound = float(line.split('le="')[1].split('"')[0])
                total[bound] = total.get(bound, 0.0) + float(line.rsplit(" ", 1)[1])
    return total


def _server_p95(before: dict[float, float], after: dict[float, float]) -> float:
    """Return the P95 in ms that Prometheus would interpolate between two scrapes."""
    counts = [(bound, after[bound] - before[bound]) for bound in sorted(after)]
    rank, low, below = 0.95 * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank > 0:
            share = (rank - below) / (count - below) if bound != float("inf") else 0.0
            return 1000 * (low + (bound - low) * share if share else low)
        low, below = bound, count
    return float("nan")


def _row(title: str, values: list[float]) -> None:
    sys.stdout.write(f"| {title} | " + " | ".join(f"{value:.2f}" for value in values) + " |\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
