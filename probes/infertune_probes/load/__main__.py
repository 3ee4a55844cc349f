"""`python -m infertune_probes.load`: start-up, signals and exit code of the load probe.

It must not hold any logic of its own. Trade-off: uvloop when it is there, the standard loop when
not; the result says which, because their timers differ.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from infertune_probes.contract.session import ProbeSession
from infertune_probes.load.generator import Brake
from infertune_probes.load.ladder import run
from infertune_probes.load.options import Options, parse

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    options = parse(argv)
    with ProbeSession("load", options.sinks) as session:
        factory, loop_name = _event_loop()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_run(options, session, loop_name))
    return session.exit_code


async def _run(options: Options, session: ProbeSession, loop_name: str) -> None:
    brake = Brake()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, brake.pull, "interrupted", "the probe was told to stop")
    await run(options, session, brake, loop_name)


def _event_loop() -> tuple[LoopFactory, str]:
    try:
        import uvloop  # optional
    except ImportError:
        return asyncio.new_event_loop, "asyncio"
    return uvloop.new_event_loop, "uvloop"


if __name__ == "__main__":
    raise SystemExit(main())
