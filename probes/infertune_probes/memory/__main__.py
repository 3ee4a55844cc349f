"""`python -m infertune_probes.memory`: memory by batch size, and the batch where it runs out.

It must not import torch; children do. Trade-off: the device is filled on purpose, so it has to be
idle and its own: with foreign processes on it, or where nobody can tell, nothing is tried.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from infertune_probes.contract.child import ask
from infertune_probes.contract.codes import TORCH_MISSING
from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.host import CGROUP_ROOT
from infertune_probes.contract.session import CouldNotRun, ProbeSession
from infertune_probes.contract.software import software_here
from infertune_probes.contract.terminal import Table, number
from infertune_probes.memory import codes
from infertune_probes.memory.judgement import Tried, judge, measure, result_section
from infertune_probes.memory.room import Room, processor_room
from infertune_probes.memory.search import Step, largest_below, largest_fitting, next_batch
from infertune_probes.memory.trying import Model, try_batches
from infertune_probes.memory.variants import TRIED, Variant, mixed

MOST_STEPS = 32
_LOOK_SECONDS = 60.0
# More than this of a device in use before we begin is somebody else's.
_IDLE_SHARE = 0.05
_KEPT_SECONDS = 5.0


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    arguments = _parser().parse_args(argv)
    sinks = sinks_from(arguments)
    with ProbeSession("memory", sinks, deadline_seconds=arguments.deadline_seconds) as session:
        end = time.monotonic() + arguments.deadline_seconds - _KEPT_SECONDS
        device = _device(arguments)
        session.software = software_here(str(device["torch"]))
        room = _room(arguments, device)
        model = Model(
            arguments.entry, arguments.factory, arguments.input, device["device"], room.usable
        )
        tried = Tried(
            device["device"],
            device["name"],
            room.total,
            room.source,
            (),
            (),
            arguments.most,
            arguments.batch,
            device["torch"],
        )
        with tempfile.TemporaryDirectory(prefix="infertune-memory-") as folder:
            for known in _tries(tried, model, Path(folder), arguments, end):
                # After each step, so that a partial envelope says what was seen until then.
                tried = known
                session.result = result_section(tried)
        session.findings += judge(tried)
        session.measurements += measure(tried)
        session.tables.append(_shown(tried))
    return session.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.memory")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--entry", metavar="MODULE:CALLABLE", help="called with the input")
    source.add_argument(
        "--factory", metavar="MODULE:CALLABLE", help="called once; returns what is called"
    )
    parser.add_argument(
        "--input",
        metavar="WHAT",
        required=True,
        help="sample input, FILE.json, FILE.npz or module:callable; repeated to each batch",
    )
    parser.add_argument("--batch", type=_positive, help="the serving batch, judged against 85 %%")
    parser.add_argument("--start", type=_positive, default=1, help="first batch (%(default)s)")
    parser.add_argument("--most", type=_positive, default=4096, help="largest (%(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--memory-bytes", type=_positive, help="on the processor: a lower limit than the cgroup's"
    )
    parser.add_argument("--step-seconds", type=float, default=120.0, help="(%(default)s)")
    parser.add_argument("--deadline-seconds", type=float, default=900.0, help="(%(default)s)")
    parser.add_argument("--cgroup-root", type=Path, default=CGROUP_ROOT, help="(%(default)s)")
    parser.add_argument("--proc-root", type=Path, default=Path("/proc"), help="(%(default)s)")
    add_arguments(parser)
    return parser


def _device(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the device that may be filled.

    Raises:
        CouldNotRun: there is no torch, the wanted device is missing, or it is not ours alone.
    """
    heard = ask([sys.executable, "-m", "infertune_probes.memory.device"], _LOOK_SECONDS)
    if heard.text is None:
        raise CouldNotRun(codes.MEMORY_NOT_MEASURED.unknown(heard.reason or "no reason given"))
    seen: dict[str, Any] = json.loads(heard.text.strip().splitlines()[-1])
    if "error" in seen:
        raise CouldNotRun(TORCH_MISSING.unknown(str(seen["error"])))
    if arguments.device == "cpu":
        return {**seen, "device": "cpu", "name": "cpu"}
    if seen["device"] == "cpu":
        if arguments.device == "cuda":
            evidence = "--device cuda: torch sees no CUDA device"
            raise CouldNotRun(codes.MEMORY_NOT_MEASURED.unknown(evidence))
        return seen
    stranger = stranger_on(seen["neighbours"])
    if stranger is not None:
        raise CouldNotRun(codes.DEVICE_SHARED.unknown(stranger))
    return seen


def stranger_on(neighbours: dict[str, Any]) -> str | None:
    """Return why the device is not ours alone; None when it is."""
    if "unknown" in neighbours:
        return f"cannot tell whether the device is idle: {neighbours['unknown']}"
    if neighbours["processes"]:
        return f"{neighbours['processes']} other processes run on the visible devices"
    if neighbours["usedShare"] > _IDLE_SHARE:
        return f"{neighbours['usedShare']:.0%} of a visible device is in use by nobody we can see"
    return None


def _room(arguments: argparse.Namespace, device: dict[str, Any]) -> Room:
    if device["device"] == "cuda":
        return Room(device["total"], device["total"], "device")
    room = processor_room(arguments.cgroup_root, arguments.proc_root, arguments.memory_bytes)
    if room is None:
        evidence = "neither a cgroup limit nor the machine's available memory can be read"
        raise CouldNotRun(codes.MEMORY_NOT_MEASURED.unknown(evidence))
    return room


def _tries(
    tried: Tried, model: Model, folder: Path, arguments: argparse.Namespace, end: float
) -> Any:  # noqa: ANN401  # Iterator[Tried], which Python 3.8 cannot subscript here
    """Yield what is known after each step and each variant, until the search or the time ends."""
    steps: list[Step] = []

    def once(batches: list[int], setting: str | None, *, empty_cache: bool) -> Step:
        seconds = min(arguments.step_seconds, end - time.monotonic())
        return try_batches(
            model, batches, folder, seconds, setting=setting, empty_cache=empty_cache
        )

    first = arguments.batch or arguments.start
    while len(steps) < MOST_STEPS and time.monotonic() < end:
        batch = next_batch(steps, first, max(first, arguments.most))
        if batch is None:
            break
        steps.append(once([batch], None, empty_cache=False))
        tried = tried._replace(steps=tuple(steps))
        yield tried
    serving = largest_below(steps, tried.line) or largest_fitting(steps)
    if tried.device == "cpu" or not serving:
        return
    for name, setting, empty_cache in TRIED:
        if time.monotonic() < end:
            step = once(mixed(serving), setting, empty_cache=empty_cache)
            tried = tried._replace(variants=(*tried.variants, Variant(name, setting, step)))
            yield tried


def _shown(tried: Tried) -> Table:
    rows = [
        (
            str(step.batch),
            step.outcome,
            "-" if step.peak is None else number(step.peak / (1 << 20)),
            "-" if step.peak is None else f"{100 * step.peak / tried.total:.0f}",
            "-" if step.call_ms is None else number(step.call_ms),
            step.reason or "",
        )
        for step in sorted(tried.steps)
    ]
    title = f"memory by batch, of {tried.total // (1 << 20)} MiB ({tried.source})"
    return Table(title, ("batch", "", "peak MiB", "%", "call ms", "reason"), rows)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"{text} must be 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return value


if __name__ == "__main__":
    raise SystemExit(main())
