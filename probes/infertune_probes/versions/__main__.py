"""`python -m infertune_probes.versions`: which versions are here, and do they run together?

It must not touch a driver or torch itself; children do. Trade-off: a host without a driver is a
fact and not a failure (exit 0, finding DRIVER_UNKNOWN with verdict `unknown`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.session import ProbeSession
from infertune_probes.contract.terminal import Table
from infertune_probes.versions.judgement import findings_of, measure, result_section
from infertune_probes.versions.witnesses import Sight, look_at_host, look_at_image


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.versions")
    parser.add_argument(
        "--launch",
        choices=("idle", "all", "none"),
        default="idle",
        help="devices to launch kernels on; one in use is spared, since a context takes memory "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--host-only",
        action="store_true",
        help="driver and devices alone: nothing that depends on the software of this image",
    )
    parser.add_argument(
        "--deadline-seconds", type=float, default=20.0, help="per witness (default: %(default)s)"
    )
    parser.add_argument(
        "--total-seconds", type=float, default=90.0, help="for everything (default: %(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("/"), help="where /proc and /usr/local are (%(default)s)"
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    total: float = arguments.total_seconds
    with ProbeSession("versions", sinks_from(arguments), deadline_seconds=total) as session:
        sight = look_at_host(arguments.root, arguments.deadline_seconds)
        tell(session, sight)
        if not arguments.host_only:
            seconds, launch = arguments.deadline_seconds, arguments.launch
            tell(session, look_at_image(sight, arguments.root, seconds, launch))
    return session.exit_code


def tell(session: ProbeSession, sight: Sight) -> None:
    """Put what is known into the session, in place of what was known before.

    Whoever interrupts the rest finds the host in the envelope.
    """
    session.result = result_section(sight)
    session.measurements[:] = measure(sight)
    session.findings[:] = findings_of(sight)
    session.tables[:] = [table_of(sight)]


def table_of(sight: Sight) -> Table:
    """Return the versions by name, each with its value or the reason why there is none."""
    torch = sight.torch or {}
    rows = [
        (f"driver ({told.name})", told.version or "-", told.reason or "") for told in sight.drivers
    ]
    rows.append(("CUDA of the driver", sight.cuda or "-", "" if sight.cuda else "NVML tells none"))
    rows += [(told.name, told.version or "-", told.reason or "") for told in sight.libraries]
    if not sight.host_only:
        rows.append(("torch", str(torch.get("version") or "-"), sight.torch_reason or ""))
    built = (("cuda", "CUDA"), ("cudnnCompiled", "cuDNN compiled"), ("cudnnLoaded", "cuDNN loaded"))
    rows += [(f"torch: {words}", str(torch[key]), "") for key, words in built if torch.get(key)]
    return Table("Versions", ("what", "version", "why there is none"), rows)


if __name__ == "__main__":
    raise SystemExit(main())
