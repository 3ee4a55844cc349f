"""The command line of the load probe, parsed once into one frozen value.

It must not do I/O beyond reading the body file. Trade-off: flags instead of a request language;
a Job's argument list is the whole configuration, so `kubectl describe` shows what was run.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from infertune_probes.contract.emit import Sinks, add_arguments, sinks_from
from infertune_probes.load.tally import Terms

if TYPE_CHECKING:
    from infertune_probes.load.arrivals import Process


@dataclass(frozen=True, slots=True)
class Request:
    """The request that is sent again and again; ``private`` headers are never told."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    private: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def all_headers(self) -> dict[str, str]:
        """Every header as it is sent; a private one wins over others of its name."""
        secret = {name.lower() for name, _ in self.private}
        told = {name: value for name, value in self.headers if name.lower() not in secret}
        return told | dict(self.private)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rates and durations; `endless` ignores `seconds` and runs until SIGTERM."""

    rates: tuple[float, ...]
    seconds: float
    warmup_seconds: float
    endless: bool
    stop_above_ms: float


@dataclass(frozen=True, slots=True)
class Caps:
    """Hard limits that end the run, whatever the ladder says."""

    seconds: float
    requests: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold before any load is sent."""

    ready_url: str | None
    ready_seconds: float
    golden: Path | None
    golden_only: bool
    max_drop_percent: float


@dataclass(frozen=True, slots=True)
class Options:
    """One run of the load probe."""

    request: Request
    header_variables: tuple[tuple[str, str], ...]
    ladder: Ladder
    caps: Caps
    terms: Terms
    gate: Gate
    arrivals: Process
    seed: int
    requests_per_connection: int
    live: str | None
    live_seconds: float
    sinks: Sinks


def parse(argv: list[str] | None = None) -> Options:
    """Return the options of a command line; exits with status 2 on a wrong one."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if urlsplit(arguments.url).scheme not in ("http", "https"):
        parser.error(f"--url must start with http:// or https://, not {arguments.url!r}")
    try:
        ladder = _ladder(arguments)
        request = _request(arguments)
        variables = tuple(_split(words, "=", "--header-env") for words in arguments.header_env)
        gate = _gate(arguments)
    except (ValueError, OSError, argparse.ArgumentTypeError) as error:
        parser.error(str(error))
    endless = ladder.endless
    return Options(
        request=request,
        header_variables=variables,
        ladder=ladder,
        # Steady traffic has no last request; only a ladder is capped.
        caps=Caps(
            float("inf") if endless else arguments.max_seconds,
            2**63 if endless else arguments.max_requests,
            arguments.max_in_flight,
        ),
        terms=Terms(arguments.slo_ms, arguments.timeout_seconds * 1000.0, arguments.block_requests),
        gate=gate,
        arrivals=arguments.arrivals,
        seed=arguments.seed,
        requests_per_connection=arguments.requests_per_connection,
        live=arguments.live_jsonl,
        live_seconds=arguments.live_seconds,
        sinks=sinks_from(arguments),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infertune_probes.load",
        description="Open-loop load; latency counts from the intended send time.",
    )
    _add_request(parser)
    _add_ladder(parser)
    _add_gate(parser)
    _add_limits(parser)
    add_arguments(parser)
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("request")
    group.add_argument("--url", required=True)
    group.add_argument("--method", help="default: POST with a body, GET without")
    group.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    group.add_argument(
        "--header-env",
        action="append",
        default=[],
        metavar="NAME=VARIABLE",
        help="a header whose value stands in an environment variable and is told nowhere",
    )
    group.add_argument("--body-file", type=Path, metavar="FILE")
    group.add_argument("--timeout-seconds", type=_positive, default=10.0)
    group.add_argument(
        "--requests-per-connection",
        type=_count,
        default=0,
        metavar="N",
        help="mean life of a connection, so that traffic finds new replicas (0: keep for ever)",
    )


def _add_ladder(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("traffic")
    group.add_argument("--rates", type=_rates, default=(), metavar="10,20,40")
    group.add_argument("--seconds-per-rate", type=_positive, default=10.0)
    group.add_argument("--warmup-seconds", type=_not_negative, default=3.0)
    group.add_argument(
        "--duration",
        type=_not_negative,
        metavar="SECONDS",
        help="one rate for so long instead of a ladder (0: until SIGTERM)",
    )
    group.add_argument("--arrivals", choices=("constant", "poisson"), default="poisson")
    group.add_argument("--seed", type=int, default=1)
    group.add_argument("--slo-ms", type=_positive, default=200.0)
    group.add_argument("--block-requests", type=_at_least_one, default=200)
    group.add_argument(
        "--stop-above-ms",
        type=_positive,
        metavar="MS",
        help="skip higher rates once over 30 %% of requests take longer (default: --slo-ms)",
    )
    group.add_argument("--live-jsonl", metavar="FILE", help="a JSON line per window ('-': stdout)")
    group.add_argument("--live-seconds", type=_positive, default=2.0)


def _add_gate(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("before the load")
    group.add_argument("--wait-ready", nargs=2, metavar=("URL", "SECONDS"))
    group.add_argument("--golden", type=Path, metavar="FILE")
    group.add_argument("--golden-only", action="store_true", help="check the answers, send no load")
    group.add_argument("--max-quality-drop-percent", type=_not_negative, default=0.0)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("hard limits")
    group.add_argument("--max-seconds", type=_positive, default=900.0)
    group.add_argument("--max-requests", type=_at_least_one, default=200_000)
    group.add_argument("--max-in-flight", type=_at_least_one, default=2_000)


def _ladder(arguments: argparse.Namespace) -> Ladder:
    rates: tuple[float, ...] = arguments.rates
    if not rates and not arguments.golden_only:
        msg = "--rates is required (unless --golden-only)"
        raise ValueError(msg)
    if arguments.duration is not None and len(rates) != 1:
        msg = "--duration needs exactly one rate in --rates"
        raise ValueError(msg)
    seconds = arguments.duration or arguments.seconds_per_rate
    return Ladder(
        rates=rates,
        seconds=seconds,
        warmup_seconds=arguments.warmup_seconds,
        endless=arguments.duration == 0,
        stop_above_ms=arguments.stop_above_ms or arguments.slo_ms,
    )


def _request(arguments: argparse.Namespace) -> Request:
    body = arguments.body_file.read_bytes() if arguments.body_file else b""
    headers = [_split(line, ":", "--header") for line in arguments.header]
    named = {name.lower() for name, _ in headers}
    if body and "content-type" not in named:
        headers.append(("Content-Type", "application/json"))
    method = arguments.method or ("POST" if body else "GET")
    return Request(method.upper(), arguments.url, tuple(headers), body)


def _split(words: str, mark: str, flag: str) -> tuple[str, str]:
    name, found, value = words.partition(mark)
    if not found or not name.strip():
        msg = f"{flag} must read 'NAME{mark}...', not {words!r}"
        raise ValueError(msg)
    return name.strip(), value.strip()


def _gate(arguments: argparse.Namespace) -> Gate:
    if arguments.golden_only and arguments.golden is None:
        msg = "--golden-only needs --golden FILE"
        raise ValueError(msg)
    url, seconds = arguments.wait_ready or (None, "0")
    return Gate(
        ready_url=None if url is None else urljoin(arguments.url, url),
        ready_seconds=_not_negative(seconds),
        golden=arguments.golden,
        golden_only=arguments.golden_only,
        max_drop_percent=arguments.max_quality_drop_percent,
    )


def _rates(text: str) -> tuple[float, ...]:
    # Ascending, because the early stop skips everything above a failed level.
    return tuple(sorted({_positive(word) for word in text.split(",") if word.strip()}))


def _positive(text: str) -> float:
    value = _not_negative(text)
    if value == 0:
        msg = f"{text!r} must be above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        msg = f"{text!r} must be a finite number, 0 or more"
        raise argparse.ArgumentTypeError(msg)
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        msg = f"{text!r} must be 0 or more"
        raise argparse.ArgumentTypeError(msg)
    return value


def _at_least_one(text: str) -> int:
    value = _count(text)
    if value < 1:
        msg = f"{text!r} must be 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return value
