"""`python -m infertune_probes.gpu.gate`: are the devices of this trial well, and ours alone?

Runs to its end before a trial's server starts, in its pod and with its devices. It must not know
what the trial tries. Exit status 1 keeps the server from starting; that takes a finding that says
`fail`. Trade-off: what cannot be looked at is `unknown` and lets the server start, since a gate
that needs every right would keep most clusters from any trial; `--require` turns that around.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.session import EXIT_FAILED, EXIT_FINE, ProbeSession
from infertune_probes.gpu.codes import PCIE_LINK, TRIAL_DEVICE, TRIAL_DEVICES_UNKNOWN
from infertune_probes.gpu.given import (
    errors_of,
    given_devices,
    judge_strangers,
    strangers,
    write_down,
)
from infertune_probes.gpu.health import judge_health
from infertune_probes.gpu.presence import judge_presence, uuids_by_address
from infertune_probes.gpu.section import measure, result_section, tables
from infertune_probes.gpu.surroundings import survey
from infertune_probes.gpu.witnesses import Sight, Source, ask_nvml
from infertune_probes.gpu.xid import judge_xids, read_kernel_log

if TYPE_CHECKING:
    from infertune_probes.gpu.reading import Device
    from infertune_probes.gpu.surroundings import Surroundings

KERNEL_LOG = "dev/kmsg"
# Other devices of the node are no affair of this trial.
_OF_THE_NODE = frozenset({"GPU_OFF_BUS", "ON_BUS_NOT_IN_NVML", "FEWER_THAN_HOST"})
_AGAIN_SECONDS = 1.0
_NOT_ASKED = "not asked by the gate"


def main(argv: list[str] | None = None) -> int:
    """Run the gate and return its exit code: 1 when the server must not start."""
    options = _parser().parse_args(argv)
    hard = 2 * options.deadline_seconds + options.patience + 10
    with ProbeSession("gpu", sinks_from(options), deadline_seconds=hard) as session:
        _examine(session, options)
    failed = any(finding.verdict == "fail" for finding in session.findings)
    return EXIT_FAILED if failed else EXIT_FINE


def _examine(session: ProbeSession, options: argparse.Namespace) -> None:
    around = survey(options.root, os.environ)
    sight = look(around, options.deadline_seconds)
    presence = judge_presence(sight, required=options.require)
    session.findings += [finding for finding in presence if finding.code not in _OF_THE_NODE]
    given = given_devices(sight.nvml.devices, around.hints, options.asked)
    if given is None:
        if sight.nvml.count:
            evidence = f"asked for {options.asked}; {sight.describe()}"
            session.findings.append(TRIAL_DEVICES_UNKNOWN.unknown(evidence))
        return
    write_down(options.devices, given)
    session.findings += [TRIAL_DEVICE.passed(device.words("uuid") or "?") for device in given]
    given = _settled(given, options)
    log = read_kernel_log(options.kernel_log or options.root / KERNEL_LOG)
    if log.events is not None:
        log = replace(log, events=tuple(errors_of(given, log)))
    for device in given:
        health = judge_health(device)
        # At rest a link proves nothing; it is judged by the watch, under load.
        session.findings += [finding for finding in health if finding.code != PCIE_LINK.name]
        session.findings += judge_strangers(device)
    session.findings += judge_xids(log, uuids_by_address(sight))
    sight = replace(sight, nvml=replace(sight.nvml, devices=tuple(given), count=len(given)))
    session.result = result_section(sight, log, None, {})
    session.measurements += measure(sight, None)
    session.tables += tables(sight, None, {})


def look(around: Surroundings, deadline_seconds: float) -> Sight:
    """Ask NVML alone: the gate waits for no framework that this image does not have."""
    silent = [Source(name, None, _NOT_ASKED) for name in ("nvidia-smi", "torch", "tensorflow")]
    return Sight(around, ask_nvml(deadline_seconds), *silent)


def _settled(given: list[Device], options: argparse.Namespace) -> list[Device]:
    """Look again while somebody seems to be there: the one before may just be going."""
    patient_until = time.monotonic() + options.patience
    while any(strangers(device) for device in given) and time.monotonic() < patient_until:
        time.sleep(_AGAIN_SECONDS)
        uuids = {device.words("uuid") for device in given}
        again = ask_nvml(options.deadline_seconds)
        seen = [device for device in again.devices if device.words("uuid") in uuids]
        if len(seen) < len(given):
            break
        given = seen
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.gpu.gate")
    parser.add_argument(
        "--devices", type=Path, required=True, metavar="FILE", help="receives the devices' UUIDs"
    )
    parser.add_argument(
        "--asked", type=int, default=0, help="how many devices the server asks for (0: not known)"
    )
    parser.add_argument("--require", action="store_true", help="no usable GPU is a failure")
    parser.add_argument(
        "--patience",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="for a program to leave the device (default: %(default)s)",
    )
    parser.add_argument(
        "--deadline-seconds", type=float, default=20.0, help="per answer of the driver"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help="of the machine's files")
    parser.add_argument("--kernel-log", type=Path, help="for XID errors (ROOT/dev/kmsg)")
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
