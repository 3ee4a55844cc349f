"""Start the server: `python -m demo_server`.

Role: settings, model, listening socket, signals. It must not know how requests are answered. Its
trade-off: the model is loaded and warmed up before the socket listens, so a replica is never ready
too early and a start takes as long as it takes. On SIGTERM it stays open for `LAME_DUCK_MS`
(whoever routes traffic needs a moment to hear of it), then closes the door and answers what still
waits.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import uvloop
from aiohttp import web

from demo_server.classifier import Classifier
from demo_server.endpoints import Endpoints
from demo_server.settings import Settings, SettingsError, read_settings
from demo_server.telemetry import Telemetry


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        _tell("refused", reason=str(error))
        return 2
    if not settings.model_path.is_file():
        _tell("refused", reason=f"MODEL_PATH={settings.model_path} is not a file")
        return 2
    uvloop.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    classifier = Classifier(settings.model_path)
    classifier.warm_up()
    endpoints = Endpoints(classifier, settings, Telemetry())
    runner = web.AppRunner(
        endpoints.application(), access_log=None, shutdown_timeout=settings.drain_seconds
    )
    await runner.setup()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    site = web.TCPSite(runner, port=settings.port)
    await site.start()
    _tell("serving", variant=classifier.variant, port=_port(runner))
    await stop.wait()
    endpoints.start_draining()
    _tell("draining", lame_duck_ms=settings.lame_duck_ms)
    await asyncio.sleep(settings.lame_duck_ms / 1000)
    await runner.cleanup()
    _tell("stopped")


def _port(runner: web.AppRunner) -> int:
    address: tuple[str, int] = runner.addresses[0]
    return address[1]


def _tell(event: str, **facts: str | int) -> None:
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
