"""Whether one process is alive, what it sends, and the time that it sees: what all its ports stand on.

Decides what a caller hears when a request is lost, late or delivered twice; what such a request does is the
broker's. Invariant: a killed process does nothing any more, so each port asks its ``Life`` first.
"""

from collections.abc import Callable

from tests.simulation.world import Fate, Request, World, until
from worker.errors import TransactionLost

REQUEST_TIMEOUT_S = 0.5


class KilledError(BaseException):
    """The process was killed: raised into its coroutines, and by every port that they still call."""


class Life:
    """One process and its requests to the broker."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.killed = False
        self.answered: list[str] = []  # kinds of requests, as their answers came

    def check(self) -> None:
        """Nothing that a dead process does has an effect."""
        if self.killed:
            raise KilledError

    async def pause(self) -> None:
        """Give way once."""
        self.check()
        await until(lambda: True)

    async def sleep(self, seconds: float) -> None:
        """Give way for at least that long."""
        self.check()
        instant = self.world.now + seconds
        self.world.wake_at(instant)
        await until(lambda: self.world.now >= instant)

    async def call(self, kind: str, effect: Callable[[], object]) -> Fate:
        """Send one request and wait for its answer; returns what became of it where that is no failure."""
        self.check()
        fate = self.world.fate_of(kind)
        if fate in (Fate.REQUEST_LOST, Fate.LATE):
            if fate is Fate.LATE:
                self.world.send(effect, delay_s=self.world.random.random() * 4)
            await self.sleep(REQUEST_TIMEOUT_S)
            raise TransactionLost(f"{kind}: timed out")
        if fate is Fate.SENT_TWICE:
            self.world.send(effect, delay_s=self.world.random.random() * 4)
        await self.answer(kind, self.world.send(effect))
        if fate is Fate.ANSWER_LOST:
            raise TransactionLost(f"{kind}: connection reset")
        return fate

    async def answer(self, kind: str, request: Request) -> None:
        """Wait for the broker's answer."""
        await until(lambda: request.delivered)
        self.answered.append(kind)
        if request.fenced is not None:
            raise TransactionLost(f"{kind}: {request.fenced}") from request.fenced


class FakeClock:
    """Virtual time."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def monotonic(self) -> float:
        return self._life.world.now

    def wall_ms(self) -> int:
        return self._life.world.wall_ms()

    async def sleep(self, seconds: float) -> None:
        await self._life.sleep(seconds)
