"""`python -m infertune_probes.gpu`: which GPUs are there, do the witnesses agree, are they well?

It must not touch a driver itself; children do. Trade-off: a host without a GPU is a fact and not
a failure (exit 0, finding NO_DEVICE with verdict `unknown`), unless `--require` says otherwise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.session import ProbeSession
from infertune_probes.gpu.judgement import judge, measure, result_section
from infertune_probes.gpu.witnesses import PCI_ROOT, look


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.gpu")
    parser.add_argument("--require", action="store_true", help="no usable GPU is a failure")
    parser.add_argument(
        "--deadline-seconds", type=float, default=20.0, help="per witness (default: %(default)s)"
    )
    parser.add_argument(
        "--pci-root", type=Path, default=PCI_ROOT, help="where the bus is mounted (%(default)s)"
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    with ProbeSession("gpu", sinks_from(arguments)) as session:
        sight = look(arguments.pci_root, arguments.deadline_seconds)
        session.result = result_section(sight)
        session.measurements += measure(sight)
        session.findings += judge(sight, required=arguments.require)
    return session.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
