"""A real server process over a loopback socket: batching, back-pressure, live changes, shutdown."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from .conftest import ServerProcess

    StartServer = Callable[..., AbstractContextManager[ServerProcess]]

SENTENCE = {"inputs": [[1, 2, 3, 4, 5, 6, 7, 8]]}


class Client:
    """What the tests ask of a server."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def predict(self, body: object = SENTENCE, **headers: str) -> tuple[int, Any]:
        async with self.session.post("/predict", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def statuses(self, count: int) -> list[int]:
        answers = await asyncio.gather(*(self.predict() for _ in range(count)))
        return sorted(status for status, _ in answers)

    async def put_batching(self, body: object, method: str = "PUT") -> tuple[int, Any]:
        async with self.session.request(method, "/admin/batching", json=body) as response:
            return response.status, await response.json()

    async def text(self, path: str) -> tuple[int, str]:
        async with self.session.get(path) as response:
            return response.status, await response.text()

    async def metric(self, name: str) -> float:
        _, text = await self.text("/metrics")
        values = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
        assert len(values) == 1, name
        return float(values[0])

    async def until_waiting(self, rows: int) -> None:
        while await self.metric("demo_queue_length") < rows:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def _talk(server: ServerProcess, story: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(server.url, connector=connector) as session:
            await story(Client(session))

    asyncio.run(run())


def test_concurrent_requests_share_model_runs_and_metrics_tell(start_server: StartServer) -> None:
    async def story(client: Client) -> None:
        assert await client.statuses(24) == [200] * 24
        runs = await client.metric("demo_batch_size_count")
        # 24 rows in runs of at most 8: three full runs at best, 24 without batching.
        assert 3 <= runs <= 12
        assert await client.metric("demo_batch_size_sum") == 24
        assert await client.metric('demo_request_duration_seconds_count{code="200"}') == 24
        assert await client.metric('demo_request_duration_seconds_count{code="429"}') == 0
        assert await client.metric("demo_queue_length") == 0
        assert await client.metric("demo_requests_in_flight") == 0
        assert await client.text("/healthz") == (200, "ok\n")
        assert await client.text("/readyz") == (200, "ready\n")

    with start_server("int8", MAX_BATCH_SIZE="8", QUEUE_LIMIT="64") as server:
        _talk(server, story)


def test_rows_keep_their_answers_whatever_batch_they_end_up_in(start_server: StartServer) -> None:
    rows = [[number * 8 + offset for offset in range(8)] for number in range(12)]

    async def story(client: Client) -> None:
        alone = [(await client.predict({"inputs": [row]}))[1]["scores"][0] for row in rows]
        many = await asyncio.gather(*(client.predict({"inputs": [row]}) for row in rows))
        together = await client.predict({"inputs": rows})
        for number, row in enumerate(alone):
            assert many[number][1]["scores"][0] == pytest.approx(row, abs=1e-4)
            assert together[1]["scores"][number] == pytest.approx(row, abs=1e-4)

    with start_server("fp32", MAX_BATCH_SIZE="8") as server:
        _talk(server, story)


def test_past_the_queue_bound_requests_are_refused_at_once(start_server: StartServer) -> None:
    """A wait of 10 s holds a batch of 256 open, so a queue of 4 is full after four requests."""

    async def story(client: Client) -> None:
        waiting = [asyncio.create_task(client.predict()) for _ in range(4)]
        await client.until_waiting(4)
        assert await client.metric("demo_requests_in_flight") == 4
        started = time.monotonic()
        status, body = await client.predict()
        assert (status, body) == (429, {"error": "the queue is full, come back later"})
        assert time.monotonic() - started < 1
        assert await client.put_batching({"batch_wait_ms": 0}) == (
            200,
            {"max_batch_size": 256, "batch_wait_ms": 0, "variant": "int8"},
        )
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 4
        assert await client.metric('demo_request_duration_seconds_count{code="429"}') == 1

    with start_server(
        "int8", MAX_BATCH_SIZE="256", BATCH_WAIT_MS="10000", QUEUE_LIMIT="4"
    ) as server:
        _talk(server, story)


def test_the_live_endpoint_really_slows_the_server_down(start_server: StartServer) -> None:
    async def story(client: Client) -> None:
        started = time.monotonic()
        assert (await client.predict())[0] == 200
        before = time.monotonic() - started
        changed = {"max_batch_size": 16, "batch_wait_ms": 300}
        assert (await client.put_batching(changed, "POST"))[0] == 200
        assert await client.metric("demo_max_batch_size") == 16
        assert await client.metric("demo_batch_wait_seconds") == 0.3
        started = time.monotonic()
        assert (await client.predict())[0] == 200
        assert time.monotonic() - started >= max(0.3, before)
        assert (await client.put_batching({"max_batch_size": 0}))[0] == 400
        assert await client.metric("demo_max_batch_size") == 16

    with start_server("int8") as server:
        _talk(server, story)


def test_the_clients_intended_send_counts_in_the_histogram(start_server: StartServer) -> None:
    async def story(client: Client) -> None:
        meant = f"t={time.time() - 5:.3f}"
        assert (await client.predict(**{"X-Request-Start": meant}))[0] == 200
        total = await client.metric('demo_request_duration_seconds_sum{code="200"}')
        assert 5 <= total < 7

    with start_server("int8") as server:
        _talk(server, story)


def test_a_bad_request_is_told_what_was_expected(start_server: StartServer) -> None:
    async def story(client: Client) -> None:
        assert await client.predict({"inputs": [[1, 2, 3]]}) == (
            400,
            {"error": "each row must be a list of 8 token ids"},
        )
        assert await client.metric('demo_request_duration_seconds_count{code="400"}') == 1

    with start_server("int8") as server:
        _talk(server, story)


def test_shutdown_answers_every_accepted_request(start_server: StartServer) -> None:
    """Thirty requests wait for a batch that is held open when SIGTERM comes."""

    async def story(client: Client) -> None:
        waiting = [asyncio.create_task(client.predict()) for _ in range(30)]
        await client.until_waiting(30)
        server.terminate()
        answers = await asyncio.gather(*waiting)
        assert [status for status, _ in answers] == [200] * 30

    with start_server("int8", MAX_BATCH_SIZE="64", BATCH_WAIT_MS="1500") as server:
        _talk(server, story)
        assert server.wait() == 0
        assert server.output == [
            {"event": "draining", "lame_duck_ms": 0},
            {"event": "stopped"},
        ]


def test_a_lame_duck_says_so_and_still_serves(start_server: StartServer) -> None:
    async def story(client: Client) -> None:
        server.terminate()
        while (await client.text("/readyz"))[0] == 200:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        assert (await client.predict())[0] == 200

    with start_server("int8", LAME_DUCK_MS="1000") as server:
        _talk(server, story)
        assert server.wait() == 0


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        pytest.param(
            {"MAX_BATCH_SIZE": "many"},
            "MAX_BATCH_SIZE must be a whole number, not 'many'",
            id="bad setting",
        ),
        pytest.param(
            {"MODEL_PATH": "/nowhere/model.onnx"},
            "MODEL_PATH=/nowhere/model.onnx is not a file",
            id="no model",
        ),
    ],
)
def test_a_server_that_cannot_start_says_why(
    run_refused: Callable[..., subprocess.CompletedProcess[str]],
    environ: dict[str, str],
    reason: str,
) -> None:
    ended = run_refused(**environ)
    assert ended.returncode == 2
    assert json.loads(ended.stdout) == {"event": "refused", "reason": reason}
