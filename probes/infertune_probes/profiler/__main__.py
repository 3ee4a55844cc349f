"""`python -m infertune_probes.profiler`: where does the time of an inference call go?

Three sources: a user's model by entry point, a running server, or a trace that is already there.
It must not read a trace's meaning itself. Trade-off: few steps by default (3 warm, 5 traced, at
most 10): a trace grows with every step, and the share of each kernel does not.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.envelope import Artifact
from infertune_probes.contract.session import CouldNotRun, ProbeSession
from infertune_probes.contract.software import software_here
from infertune_probes.contract.terminal import Table, number
from infertune_probes.profiler import codes
from infertune_probes.profiler.chrome_trace import TraceUnreadable, read_trace
from infertune_probes.profiler.judgement import Facts, judge, measure, result_section
from infertune_probes.profiler.live_server import capture_server
from infertune_probes.profiler.local_capture import Captured, capture_model
from infertune_probes.profiler.reading import read
from infertune_probes.profiler.tables import Ranking, rank
from infertune_probes.profiler.timeline import timeline
from infertune_probes.profiler.variants import judge_variants, section, time_variants

MOST_ACTIVE = 10
MOST_WARMUP = 100
_MEDIA_TYPES = {".gz": "application/gzip", ".json": "application/json"}
# Of the deadline, what is kept for reading the trace and telling.
_KEPT_SECONDS = 15.0


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.compare and not (arguments.entry or arguments.factory):
        parser.error("--compare needs a model: --entry or --factory")
    session = ProbeSession("profiler", sinks_from(arguments), arguments.deadline_seconds)
    with session, tempfile.TemporaryDirectory(prefix="infertune-profile-") as folder:
        captured = _captured(arguments, Path(folder))
        if captured.facts.torch is not None:
            session.software = software_here(captured.facts.torch)
        _tell(session, captured, arguments.rows)
        if arguments.compare:
            _compare(session, arguments, Path(folder))
        session.artifacts += _kept(captured, arguments.artifacts)
    return session.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.profiler")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--entry", metavar="MODULE:CALLABLE", help="called for every inference")
    source.add_argument(
        "--factory", metavar="MODULE:CALLABLE", help="called once; returns what is called"
    )
    source.add_argument("--server", type=_origin, metavar="URL", help="a server that can profile")
    source.add_argument("--trace", type=Path, metavar="FILE", help="read a trace, capture nothing")
    parser.add_argument(
        "--input", metavar="WHAT", help="sample input: FILE.json, FILE.npz or module:callable"
    )
    parser.add_argument("--batch", type=_whole(1, 1 << 20), help="repeat the input to this batch")
    parser.add_argument("--mode", choices=("basic", "detailed", "memory"), default="basic")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--warmup", type=_whole(1, MOST_WARMUP), default=3, help="(%(default)s)")
    parser.add_argument("--active", type=_whole(1, MOST_ACTIVE), default=5, help="(%(default)s)")
    parser.add_argument("--body", metavar="FILE", help="request body to send to the server")
    parser.add_argument("--path", default="/v1/completions", help="where to (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="without --body (%(default)s)")
    parser.add_argument("--trace-dir", metavar="DIR", help="where the server writes its traces")
    parser.add_argument("--artifacts", type=Path, metavar="DIR", help="keep trace and snapshot")
    parser.add_argument(
        "--compare", action="store_true", help="time changes of the call: compile, bf16, layout"
    )
    parser.add_argument("--rows", type=int, choices=(10, 20), default=10, help="of each table")
    parser.add_argument("--deadline-seconds", type=float, default=180.0, help="(%(default)s)")
    add_arguments(parser)
    return parser


def _captured(arguments: argparse.Namespace, folder: Path) -> Captured:
    seconds = max(5.0, arguments.deadline_seconds / (2 if arguments.compare else 1) - _KEPT_SECONDS)
    if arguments.trace is not None:
        facts = Facts(mode=arguments.mode, source=arguments.trace.name)
        return Captured(arguments.trace, facts, ())
    if arguments.server is None:
        return capture_model(arguments, folder, seconds)
    if arguments.trace_dir is None:
        evidence = "--server needs --trace-dir, the folder that the server writes its traces to"
        raise CouldNotRun(codes.PROFILE_NOT_CAPTURED.unknown(evidence))
    return capture_server(arguments, seconds)


def _tell(session: ProbeSession, captured: Captured, rows: int) -> None:
    try:
        trace = read_trace(captured.trace)
    except TraceUnreadable as error:
        raise CouldNotRun(codes.TRACE_UNREADABLE.unknown(str(error))) from error
    reading = read(trace)
    facts = captured.facts
    if facts.device is None and trace.devices:
        facts = facts._replace(device=", ".join(sorted(set(trace.devices))))
    tables = rank(trace)
    session.result = result_section(reading, facts, tables, timeline(trace))
    session.measurements += measure(reading, facts)
    session.findings += judge(reading, facts)
    session.tables += [shown(one, rows) for one in tables if one.rows]


def _compare(session: ProbeSession, arguments: argparse.Namespace, folder: Path) -> None:
    """Time the variants in the part of the deadline that the capture leaves them."""
    variants = time_variants(arguments, folder, arguments.deadline_seconds / 2)
    assert session.result is not None
    session.result["variants"] = section(variants)
    session.findings += judge_variants(variants)
    rows = [
        (
            one.name,
            "-" if one.median_ms is None else number(one.median_ms),
            "-" if one.baseline_ms is None else number(one.baseline_ms),
            "-" if one.gain is None else f"{100 * one.gain:.0f}",
            one.note or "",
        )
        for one in variants
    ]
    columns = ("variant", "ms", "plain ms", "% less", "")
    session.tables.append(Table("variants of the call", columns, rows))


def shown(ranking: Ranking, rows: int) -> Table:
    """Return a ranking as text: milliseconds, mebibytes and per cent."""
    return Table(
        f"{ranking.name} by {ranking.ranked_by}",
        ("share %", "device ms", "cpu ms", "MiB", "count", "name"),
        [
            (
                f"{100 * row.share:.1f}",
                number(row.device_us / 1000),
                number(row.cpu_us / 1000),
                number(row.size / (1 << 20)),
                str(row.count),
                row.name,
            )
            for row in ranking.rows[:rows]
        ],
    )


def _kept(captured: Captured, folder: Path | None) -> list[Artifact]:
    """Copy the files to the folder that the user named; without one they are not kept."""
    if folder is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for path in captured.files:
        target = folder / path.name
        if target != path:
            shutil.copyfile(path, target)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        media = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        kept.append(Artifact(path.name, media, target.stat().st_size, digest, str(target)))
    return kept


def _whole(least: int, most: int) -> type[int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            msg = f"{text} must be from {least} to {most}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse  # type: ignore[return-value]  # argparse takes any callable


def _origin(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        msg = f"{text!r} must begin with http:// or https://"
        raise argparse.ArgumentTypeError(msg)
    return text


if __name__ == "__main__":
    raise SystemExit(main())
