"""Dynamic batching: many waiting rows become one model run.

Role: a bounded queue and the one task that empties it. It must not know HTTP or what a row means.
Its trade-off is to be work-conserving: as soon as the model is free it takes everything that waits,
up to the cap, and holds back only when a batch wait was asked for. The model runs in one worker
thread, so that the event loop goes on answering health checks and refusing what does not fit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from demo_server.settings import BatchingPolicy

Row = list[int]
Scores = list[float]


class QueueFullError(Exception):
    """The rows do not fit into the queue; the caller should come back later."""


class ModelFailedError(Exception):
    """The model did not answer this batch."""


class Observer(Protocol):
    """Who wants to hear how long the queue is and how large batches are."""

    def queue_is(self, length: int) -> None:
        """Hear that `length` rows wait now."""

    def batch_ran(self, size: int, seconds: float) -> None:
        """Hear that one model run took `size` rows and `seconds` of wall clock."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    row: Row
    answer: asyncio.Future[Scores]
    since: float


class Batcher:
    """Queue, batching policy and worker thread around one `classify` function."""

    def __init__(
        self,
        classify: Callable[[list[Row]], list[Scores]],
        policy: BatchingPolicy,
        queue_limit: int,
        observer: Observer,
    ) -> None:
        """Prepare the queue; `run` must be started as a task before rows are submitted."""
        self._classify = classify
        self._policy = policy
        self._queue_limit = queue_limit
        self._observer = observer
        self._queue: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._closing = False

    @property
    def policy(self) -> BatchingPolicy:
        """The policy in force for the next batch."""
        return self._policy

    def change_policy(self, policy: BatchingPolicy) -> None:
        """Use `policy` from the next batch on; a batch that is being held back sees it at once."""
        self._policy = policy
        self._changed.set()

    def submit(self, rows: Sequence[Row]) -> list[asyncio.Future[Scores]]:
        """Queue all `rows` or none and return one future per row.

        Raises:
            QueueFullError: when they do not all fit, or when the batcher is closing.
        """
        if self._closing or len(self._queue) + len(rows) > self._queue_limit:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        now = loop.time()
        entries = [_Waiting(row, loop.create_future(), now) for row in rows]
        self._queue.extend(entries)
        self._observer.queue_is(len(self._queue))
        self._changed.set()
        return [entry.answer for entry in entries]

    def close(self) -> None:
        """Take no more rows; `run` ends once everything that waits is answered."""
        self._closing = True
        self._changed.set()

    async def run(self) -> None:
        """Answer batches until closed and empty."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="model") as worker:
            while await self._something_waits():
                await self._hold_back()
                await self._answer(self._take(), worker)

    async def _something_waits(self) -> bool:
        while not self._queue and not self._closing:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._queue)

    async def _hold_back(self) -> None:
        """Wait for a fuller batch, no longer than the policy allows for the oldest row."""
        loop = asyncio.get_running_loop()
        while len(self._queue) < self._policy.max_batch_size and not self._closing:
            left = self._queue[0].since + self._policy.batch_wait_ms / 1000 - loop.time()
            if left <= 0:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return

    def _take(self) -> list[_Waiting]:
        size = min(len(self._queue), self._policy.max_batch_size)
        taken = [self._queue.popleft() for _ in range(size)]
        self._observer.queue_is(len(self._queue))
        # A caller that went away cancelled its future: its row is not worth a model run.
        return [entry for entry in taken if not entry.answer.done()]

    async def _answer(self, batch: list[_Waiting], worker: ThreadPoolExecutor) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        rows = [entry.row for entry in batch]
        try:
            answers = await loop.run_in_executor(worker, self._classify, rows)
        except RuntimeError as error:  # onnxruntime's failures derive from it
            self._fail(batch, error)
            return
        self._observer.batch_ran(len(batch), loop.time() - started)
        for entry, scores in zip(batch, answers, strict=True):
            if not entry.answer.done():
                entry.answer.set_result(scores)

    @staticmethod
    def _fail(batch: list[_Waiting], error: RuntimeError) -> None:
        for entry in batch:
            if not entry.answer.done():
                failure = ModelFailedError(str(error))
                failure.__cause__ = error
                entry.answer.set_exception(failure)
