"""The batcher alone, over a model that does what the test says."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from demo_server.batching import Batcher, ModelFailedError, QueueFullError
from demo_server.settings import BatchingPolicy


@dataclass(slots=True)
class _Listener:
    lengths: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def queue_is(self, length: int) -> None:
        self.lengths.append(length)

    def batch_ran(self, size: int, seconds: float) -> None:
        assert seconds >= 0
        self.sizes.append(size)


@dataclass(slots=True)
class _GatedModel:
    """Answers each row with its first token, and only while the gate is open."""

    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    def classify(self, rows: list[list[int]]) -> list[list[float]]:
        self.entered.set()
        assert self.gate.wait(10)
        if any(row[0] < 0 for row in rows):
            raise RuntimeError("this batch cannot be computed")
        return [[float(row[0])] for row in rows]


def _batcher(
    model: _GatedModel, listener: _Listener, cap: int, wait_ms: int = 0, limit: int = 8
) -> Batcher:
    return Batcher(model.classify, BatchingPolicy(cap, wait_ms), limit, listener)


async def _until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def _finish(batcher: Batcher, task: asyncio.Task[None]) -> None:
    batcher.close()
    await asyncio.wait_for(task, 10)


def test_all_that_waits_is_taken_up_to_the_cap_in_order() -> None:
    """Row 0 runs alone; 1..6 come meanwhile; a cap of 4 makes batches of 1, 4 and 2."""

    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        batcher = _batcher(model, listener, cap=4)
        task = asyncio.create_task(batcher.run())
        answers = batcher.submit([[0]])
        await _until(model.entered)
        for number in range(1, 7):
            answers += batcher.submit([[number]])
        model.gate.set()
        scores = await asyncio.gather(*answers)
        assert scores == [[float(number)] for number in range(7)]
        assert listener.sizes == [1, 4, 2]
        assert max(listener.lengths) == 6
        await _finish(batcher, task)

    asyncio.run(story())


def test_a_full_queue_refuses_and_a_request_is_queued_wholly_or_not_at_all() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        batcher = _batcher(model, listener, cap=1, limit=3)
        task = asyncio.create_task(batcher.run())
        running = batcher.submit([[0]])
        await _until(model.entered)
        waiting = batcher.submit([[1], [2]])
        with pytest.raises(QueueFullError):
            batcher.submit([[3], [4]])
        waiting += batcher.submit([[5]])
        model.gate.set()
        assert await asyncio.gather(*running, *waiting) == [[0.0], [1.0], [2.0], [5.0]]
        await _finish(batcher, task)

    asyncio.run(story())


def test_a_batch_wait_holds_back_until_the_batch_is_full() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        model.gate.set()
        batcher = _batcher(model, listener, cap=3, wait_ms=10_000)
        task = asyncio.create_task(batcher.run())
        first = batcher.submit([[1]])
        await asyncio.sleep(0.05)
        assert not first[0].done()
        rest = batcher.submit([[2], [3]])
        await asyncio.wait_for(asyncio.gather(*first, *rest), 5)
        assert listener.sizes == [3]
        await _finish(batcher, task)

    asyncio.run(story())


def test_a_batch_wait_ends_for_a_batch_that_stays_small() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        model.gate.set()
        batcher = _batcher(model, listener, cap=3, wait_ms=80)
        task = asyncio.create_task(batcher.run())
        loop = asyncio.get_running_loop()
        started = loop.time()
        (answer,) = batcher.submit([[1]])
        await asyncio.wait_for(answer, 5)
        assert loop.time() - started >= 0.079
        await _finish(batcher, task)

    asyncio.run(story())


def test_a_new_policy_reaches_a_batch_that_is_being_held_back() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        model.gate.set()
        batcher = _batcher(model, listener, cap=8, wait_ms=10_000)
        task = asyncio.create_task(batcher.run())
        (answer,) = batcher.submit([[1]])
        await asyncio.sleep(0.02)
        batcher.change_policy(BatchingPolicy(max_batch_size=8, batch_wait_ms=0))
        assert await asyncio.wait_for(answer, 5) == [1.0]
        await _finish(batcher, task)

    asyncio.run(story())


def test_closing_answers_what_waits_and_takes_nothing_new() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        batcher = _batcher(model, listener, cap=2)
        task = asyncio.create_task(batcher.run())
        answers = batcher.submit([[1]])
        await _until(model.entered)
        answers += batcher.submit([[2], [3]])
        batcher.close()
        with pytest.raises(QueueFullError):
            batcher.submit([[4]])
        model.gate.set()
        await asyncio.wait_for(task, 10)
        assert [answer.result() for answer in answers] == [[1.0], [2.0], [3.0]]

    asyncio.run(story())


def test_a_failed_batch_fails_its_own_rows_only() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        model.gate.set()
        batcher = _batcher(model, listener, cap=1)
        task = asyncio.create_task(batcher.run())
        bad, good = batcher.submit([[-1], [7]])
        with pytest.raises(ModelFailedError, match="cannot be computed"):
            await bad
        assert await good == [7.0]
        assert listener.sizes == [1]
        await _finish(batcher, task)

    asyncio.run(story())


def test_a_row_whose_caller_went_away_costs_no_model_run() -> None:
    async def story() -> None:
        model, listener = _GatedModel(), _Listener()
        batcher = _batcher(model, listener, cap=4)
        task = asyncio.create_task(batcher.run())
        (first,) = batcher.submit([[1]])
        await _until(model.entered)
        gone, stays = batcher.submit([[2], [3]])
        gone.cancel()
        model.gate.set()
        assert [await first, await stays] == [[1.0], [3.0]]
        assert listener.sizes == [1, 1]
        await _finish(batcher, task)

    asyncio.run(story())
