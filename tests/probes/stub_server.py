"""A small server whose misbehaviour is exact: run by the process-level tests, prints its port.

Each path misbehaves in one way and keeps its counters under the `key` of the query, so that
tests in any order never see each other.
"""

import asyncio
import json
import os
import sys
import time

from aiohttp import web

CREDENTIAL = "Bearer canary-load-6f2e"
counters: dict[str, int] = {}
peers: dict[str, set[tuple[str, int]]] = {}
first_seen: dict[str, float] = {}
locks: dict[str, asyncio.Lock] = {}


def note(request: web.Request) -> str:
    key = request.query.get("key", "")
    counters[key] = counters.get(key, 0) + 1
    first_seen.setdefault(key, time.monotonic())
    if request.transport is not None:
        peers.setdefault(key, set()).add(request.transport.get_extra_info("peername"))
    return key


async def predict(request: web.Request) -> web.Response:
    note(request)
    body = await request.read()
    numbers = json.loads(body)["x"] if body else [1.0]
    return web.json_response({"scores": [2 * number for number in numbers], "label": "cat"})


async def stall_once(request: web.Request) -> web.Response:
    """Answer at once, but freeze for 500 ms one second after the first request."""
    key = note(request)
    async with locks.setdefault(key, asyncio.Lock()):
        if time.monotonic() - first_seen[key] > 1.0 and counters.get(f"{key}/stalled", 0) == 0:
            counters[f"{key}/stalled"] = 1
            await asyncio.sleep(0.5)
    return web.Response(text="ok")


async def hang_every_tenth(request: web.Request) -> web.Response:
    if counters[note(request)] % 10 == 0:
        await asyncio.sleep(30)
    return web.Response(text="ok")


async def slow(request: web.Request) -> web.Response:
    note(request)
    await asyncio.sleep(0.15)
    return web.Response(text="ok")


async def busy(request: web.Request) -> web.Response:
    note(request)
    return web.Response(status=503)


async def keyed(request: web.Request) -> web.Response:
    """Want a credential, and repeat it in the answer, as echo servers do."""
    note(request)
    found = request.headers.get("Authorization", "")
    if found != CREDENTIAL:
        return web.Response(status=401)
    return web.json_response({"label": "cat", "headers": dict(request.headers)})


async def limited(request: web.Request) -> web.Response:
    note(request)
    return web.Response(status=429)


async def ready_later(request: web.Request) -> web.Response:
    key = note(request)
    late = time.monotonic() - first_seen[key] > 0.6
    return web.Response(status=200 if late else 503)


async def seen(request: web.Request) -> web.Response:
    key = request.query["key"]
    return web.json_response({"requests": counters.get(key, 0), "peers": len(peers.get(key, ()))})


async def serve() -> None:
    app = web.Application()
    routes = {
        "/predict": predict,
        "/stall": stall_once,
        "/hang": hang_every_tenth,
        "/slow": slow,
        "/busy": busy,
        "/keyed": keyed,
        "/limited": limited,
        "/readyz": ready_later,
        "/seen": seen,
    }
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    # The parent's death closes stdin: a killed test run must not leave a server behind.
    await asyncio.to_thread(os.read, sys.stdin.fileno(), 1)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
