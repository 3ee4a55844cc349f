"""`python -m infertune_probes.gpu`: which GPUs are there, do the witnesses agree, are they well?

It must not touch a driver itself; children do. Trade-off: a host without a GPU is a fact and not
a failure (exit 0, finding NO_DEVICE with verdict `unknown`), unless `--require` says otherwise.
"""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.session import ProbeSession
from infertune_probes.contract.software import software_here
from infertune_probes.gpu import live
from infertune_probes.gpu.health import judge_health
from infertune_probes.gpu.presence import judge_agreement, judge_presence, uuids_by_address
from infertune_probes.gpu.section import measure, result_section, tables
from infertune_probes.gpu.surroundings import survey
from infertune_probes.gpu.tenants import Tenant, judge_tenants, proc_owner, tenants
from infertune_probes.gpu.under_load import judge_window
from infertune_probes.gpu.use import judge_use, surmise_of, uses_of
from infertune_probes.gpu.window import Window, watch
from infertune_probes.gpu.witnesses import ask_nvml, look
from infertune_probes.gpu.xid import judge_xids, read_kernel_log

if TYPE_CHECKING:
    from infertune_probes.gpu.witnesses import Sight

KERNEL_LOG = "dev/kmsg"
# Long enough for the two lines of GPU_NOT_USED, where nobody said how long.
_BUSY_WINDOW_SECONDS = 10.0
# Witnesses: NVML alone, then the others at once; the window has a deadline of its own.
_ROUNDS = 3
# A sample of one device takes some 2 kB until the window is over.
_MOST_SAMPLES = 1000


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.watch is not None:
        return _watch(options)
    seconds = options.window or (_BUSY_WINDOW_SECONDS if options.expect_busy else 0.0)
    if seconds / options.interval > _MOST_SAMPLES:
        parser.error(
            f"--window {seconds:g} has more than {_MOST_SAMPLES} samples; raise --interval"
        )
    hard = options.hard_deadline_seconds or _ROUNDS * options.deadline_seconds + 2 * seconds + 10
    with ProbeSession("gpu", sinks_from(options), deadline_seconds=hard) as session:
        _examine(session, options, seconds)
    return session.exit_code


def _examine(session: ProbeSession, options: argparse.Namespace, seconds: float) -> None:
    """Look, watch, and judge; after each step the session holds what is known so far."""
    root: Path = options.root
    sight = look(survey(root, os.environ), options.deadline_seconds)
    session.software = software_here(sight.torch.words.get("version"))
    log = read_kernel_log(options.kernel_log or root / KERNEL_LOG)
    session.findings += judge_presence(sight, required=options.require)
    session.findings += judge_agreement(sight)
    for device in sight.nvml.devices:
        session.findings += judge_health(device)
    if sight.nvml.count or sight.bus.count or log.events:
        session.findings += judge_xids(log, uuids_by_address(sight))
    window = Window(options.interval) if seconds and sight.nvml.count else None
    session.result = result_section(sight, log, None, {})
    if window is not None and not sight.nvml.hung:
        ticks = max(2, round(seconds / options.interval))
        try:
            for _ in watch(window, ticks, options.deadline_seconds):
                pass
        finally:
            # Also when the probe is told to stop in the middle.
            session.result = result_section(sight, log, window, {})
        session.findings += judge_window(window, list(sight.nvml.devices))
    users = _users(sight, window, root / "proc")
    for device in sight.nvml.devices:
        session.findings += judge_tenants(device, users[device.index])
    if options.expect_busy:
        uses = [] if window is None else uses_of(window, sight)
        session.findings += judge_use(uses, surmise_of(sight))
    session.result = result_section(sight, log, window, users)
    session.measurements += measure(sight, window)
    session.tables += tables(sight, window, users)


def _users(sight: Sight, window: Window | None, proc: Path) -> dict[int, list[Tenant]]:
    """Return the processes of every device, with their use where a window was watched."""
    whose = proc_owner(proc, os.getpid())
    found = {}
    for device in sight.nvml.devices:
        samples = window.of(device.index) if window is not None else []
        users = [user for sample in samples for user in sample.users]
        use = [use for sample in samples for use in sample.use]
        found[device.index] = tenants(users or device.rows("users") or [], use, whose)
    return found


def _watch(options: argparse.Namespace) -> int:
    # Whoever ends it, from the keyboard or from outside, ends it in order; a shell starts what runs
    # in its background with SIGINT ignored, and Python then installs no handler of its own.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        devices = list(ask_nvml(options.deadline_seconds).devices)
    except KeyboardInterrupt:
        return 0
    every, count = options.watch, options.count
    return live.run(devices, every, count, options.format, options.deadline_seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.gpu")
    parser.add_argument("--require", action="store_true", help="no usable GPU is a failure")
    parser.add_argument(
        "--deadline-seconds",
        type=_positive,
        default=20.0,
        help="per answer of a driver or tool (default: %(default)s)",
    )
    parser.add_argument("--hard-deadline-seconds", type=_positive, help="for the whole probe")
    parser.add_argument(
        "--root", type=Path, default=Path("/"), help="of the machine's file system (%(default)s)"
    )
    parser.add_argument("--kernel-log", type=Path, help="for XID errors (ROOT/dev/kmsg)")
    window = parser.add_argument_group("window")
    window.add_argument(
        "--window", type=_positive, metavar="SECONDS", help="watch the devices for so long"
    )
    window.add_argument(
        "--interval", type=_positive, default=1.0, help="seconds between samples (%(default)s)"
    )
    window.add_argument(
        "--expect-busy",
        action="store_true",
        help="the server here is under load now: a device that does nothing is a failure",
    )
    live_group = parser.add_argument_group("live")
    live_group.add_argument(
        "--watch", type=_positive, metavar="SECONDS", help="show the devices again and again"
    )
    live_group.add_argument("--format", choices=("table", "csv", "jsonl"), default="table")
    live_group.add_argument("--count", type=int, default=0, help="end after so many (0: never)")
    add_arguments(parser)
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 3600:  # noqa: PLR2004  # the message says it
        msg = f"{text} is not between 0.05 and 3600 seconds"
        raise argparse.ArgumentTypeError(msg)
    return value


if __name__ == "__main__":
    raise SystemExit(main())
