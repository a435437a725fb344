"""Some partitions of a process start at the same time, and the others in turn."""

import asyncio

import pytest

from worker.adapters.system_clock import SystemClock
from worker.task.startup import StartQueue


class ClockByHand(SystemClock):
    """Shows the time that a test sets."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


class Starter:
    """Partitions that start when they have a turn, and run when a test says so."""

    def __init__(self, queue: StartQueue) -> None:
        self.queue = queue
        self.under_way: set[int] = set()
        self.most = 0
        self.stopping: set[int] = set()

    async def start(self, partition: int, seconds: float = 0.001) -> None:
        await self.queue.enter(partition, lambda: partition in self.stopping)
        try:
            if partition in self.stopping:
                return
            self.under_way.add(partition)
            self.most = max(self.most, len(self.under_way))
            await asyncio.sleep(seconds)
        finally:
            self.under_way.discard(partition)
            self.queue.leave(partition)


def test_no_more_start_at_once_than_there_are_places_and_all_start() -> None:
    async def scenario() -> None:
        starter = Starter(StartQueue(SystemClock(), places=16))
        async with asyncio.timeout(20):
            await asyncio.gather(*[starter.start(partition) for partition in range(500)])
        assert starter.most == 16

    asyncio.run(scenario())


def test_one_that_is_asked_to_stop_does_not_wait_for_its_turn() -> None:
    async def scenario() -> None:
        starter = Starter(StartQueue(SystemClock(), places=1, patience_s=1_000))
        first = asyncio.ensure_future(starter.start(0, seconds=1_000))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(starter.start(1))
        await asyncio.sleep(0)
        starter.stopping.add(1)
        starter.queue.wake(1)
        async with asyncio.timeout(5):
            await second
        assert starter.under_way == {0}
        first.cancel()

    asyncio.run(scenario())


def test_one_that_is_cancelled_while_it_waits_takes_no_turn_from_the_next() -> None:
    async def scenario() -> None:
        queue = StartQueue(SystemClock(), places=1, patience_s=1_000)
        await queue.enter(0, lambda: False)
        cancelled, next_one = [
            asyncio.ensure_future(queue.enter(partition, lambda: False)) for partition in (1, 2)
        ]
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        queue.leave(0)
        async with asyncio.timeout(5):
            await next_one

    asyncio.run(scenario())


def test_a_start_without_progress_blocks_no_other_for_long() -> None:
    async def scenario() -> None:
        starter = Starter(StartQueue(SystemClock(), places=1, patience_s=0.05))
        first = asyncio.ensure_future(starter.start(0, seconds=1_000))
        async with asyncio.timeout(10):
            await asyncio.gather(*[starter.start(partition) for partition in range(1, 5)])
        assert starter.under_way == {0}
        first.cancel()

    asyncio.run(scenario())


def test_a_start_with_progress_keeps_its_place() -> None:
    async def scenario() -> None:
        clock = ClockByHand()
        queue = StartQueue(clock, places=1, patience_s=5.0)
        await queue.enter(0, lambda: False)
        for now_s in (4.0, 8.0, 12.0):
            clock.now_s = now_s
            assert queue.running == 1
            queue.progressed(0)
        clock.now_s = 17.0
        assert queue.running == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("ended", [True, False])
def test_a_place_is_free_again_however_the_start_ended(ended: bool) -> None:
    async def scenario() -> None:
        queue = StartQueue(SystemClock(), places=1, patience_s=1_000)
        await queue.enter(0, lambda: ended)
        queue.leave(0)
        assert queue.running == 0

    asyncio.run(scenario())
