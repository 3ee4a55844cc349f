"""HTTP: routes in, JSON out.

Role: connects payloads, batcher and telemetry. It must not know how a batch is formed or what the
model computes. Its trade-off: plain `json` and no middleware, so that the model and not the web
framework is what a request costs.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from aiohttp import web

from demo_server.batching import Batcher, ModelFailedError, QueueFullError
from demo_server.payload import BadPayloadError, parse_policy, parse_rows, waited_before

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo_server.classifier import Classifier
    from demo_server.settings import BatchingPolicy, Settings
    from demo_server.telemetry import Telemetry

REQUEST_START = "X-Request-Start"
MAX_BODY_BYTES = 64 * 1024
METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Endpoints:
    """The server's routes over one classifier."""

    def __init__(self, classifier: Classifier, settings: Settings, telemetry: Telemetry) -> None:
        """Build the batcher; it starts with the application."""
        self._classifier = classifier
        self._telemetry = telemetry
        self._draining = False
        self._batcher = Batcher(
            classifier.classify, settings.batching, settings.queue_limit, telemetry
        )
        self._show(settings.batching)

    def application(self) -> web.Application:
        """Return the application with every route; its clean-up answers what still waits."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/predict", self.predict)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/admin/batching", self.show_batching)
        app.router.add_put("/admin/batching", self.change_batching)
        app.router.add_post("/admin/batching", self.change_batching)
        app.cleanup_ctx.append(self._batching)
        return app

    def start_draining(self) -> None:
        """Report not ready and ask clients to reconnect elsewhere; requests are still answered."""
        self._draining = True

    async def _batching(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._batcher.run(), name="batcher")
        yield
        self._batcher.close()
        await task

    async def predict(self, request: web.Request) -> web.Response:
        """Answer one prediction: 200, 400 (bad payload), 429 (queue full) or 500 (model failed)."""
        started = time.perf_counter()
        waited = waited_before(request.headers.get(REQUEST_START), time.time())
        with self._telemetry.in_flight.track_inprogress():
            response = await self._predict(await request.read())
        seconds = waited + time.perf_counter() - started
        self._telemetry.duration.labels(str(response.status)).observe(seconds)
        if self._draining:
            response.force_close()
        return response

    async def _predict(self, body: bytes) -> web.Response:
        classifier = self._classifier
        try:
            rows = parse_rows(body, classifier.tokens, classifier.vocabulary)
            answers = self._batcher.submit(rows)
        except BadPayloadError as error:
            return _json({"error": str(error)}, 400)
        except QueueFullError:
            return _json({"error": "the queue is full, come back later"}, 429, {"Retry-After": "1"})
        try:
            scores = [await answers[0]] if len(answers) == 1 else await asyncio.gather(*answers)
        except ModelFailedError as error:
            return _json({"error": str(error)}, 500)
        return _json({"scores": scores})

    async def healthz(self, _: web.Request) -> web.Response:
        """Say that the event loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Say whether new requests should be sent here."""
        if self._draining:
            return web.Response(text="draining\n", status=503)
        return web.Response(text="ready\n")

    async def metrics(self, _: web.Request) -> web.Response:
        """Return the Prometheus exposition."""
        body = self._telemetry.render()
        return web.Response(body=body, headers={"Content-Type": METRICS_CONTENT_TYPE})

    async def show_batching(self, _: web.Request) -> web.Response:
        """Return the batching policy in force and the variant that answers."""
        return self._policy_response()

    async def change_batching(self, request: web.Request) -> web.Response:
        """Change cap or wait of the running server, from the next batch on."""
        try:
            policy = parse_policy(await request.read(), self._batcher.policy)
        except BadPayloadError as error:
            return _json({"error": str(error)}, 400)
        self._batcher.change_policy(policy)
        self._show(policy)
        return self._policy_response()

    def _policy_response(self) -> web.Response:
        policy = self._batcher.policy
        return _json(
            {
                "max_batch_size": policy.max_batch_size,
                "batch_wait_ms": policy.batch_wait_ms,
                "variant": self._classifier.variant,
            }
        )

    def _show(self, policy: BatchingPolicy) -> None:
        self._telemetry.max_batch_size.set(policy.max_batch_size)
        self._telemetry.batch_wait.set(policy.batch_wait_ms / 1000)


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)
