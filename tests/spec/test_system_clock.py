"""Those who compute take turns: a round of the event loop never waits for all of them."""

import asyncio

from worker.adapters.system_clock import SystemClock


def test_one_of_those_who_give_way_goes_on_in_each_round() -> None:
    async def scenario() -> list[int]:
        clock = SystemClock()
        went_on: list[int] = []
        gone_on_by_round: list[int] = []

        async def compute(number: int) -> None:
            for _ in range(3):
                await clock.sleep(0)
                went_on.append(number)

        tasks = [asyncio.ensure_future(compute(number)) for number in range(5)]
        while not all(task.done() for task in tasks):
            before = len(went_on)
            await asyncio.sleep(0)
            gone_on_by_round.append(len(went_on) - before)
        assert sorted(went_on[:5]) == [0, 1, 2, 3, 4], "each has its turn before one has a second"
        return gone_on_by_round

    assert max(asyncio.run(scenario())) == 1


def test_one_who_is_cancelled_while_waiting_holds_up_nobody() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        first, second = (asyncio.ensure_future(clock.sleep(0)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        async with asyncio.timeout(5):
            await second

    asyncio.run(scenario())
