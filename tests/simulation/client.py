"""The client of one process: its requests to the broker, and its clock. All its fake ports use it.

Decides what a caller gets when a request is lost, late or delivered twice; what the request does is decided
by the broker. Invariant: a killed process does nothing any more, so each port asks its ``Client`` first.
"""

from collections.abc import Callable

from tests.simulation.world import Request, RequestOutcome, World, until
from worker.errors import TransactionLost

REQUEST_TIMEOUT_S = 0.5


class KilledError(BaseException):
    """The process was killed: raised in its coroutines, and by every port that they still call."""


class Client:
    """One process and its requests to the broker."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.killed = False
        self.answered: list[str] = []  # kinds of requests, in the order of their answers

    def check(self) -> None:
        """Raise KilledError where the process was killed."""
        if self.killed:
            raise KilledError

    async def pause(self) -> None:
        """Let others run once."""
        self.check()
        await until(lambda: True)

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least that long."""
        self.check()
        instant = self.world.now + seconds
        self.world.wake_at(instant)
        await until(lambda: self.world.now >= instant)

    async def call(self, kind: str, effect: Callable[[], object]) -> RequestOutcome:
        """Send one request and wait for its answer; returns its outcome where that is no failure."""
        self.check()
        outcome = self.world.outcome_of(kind)
        if outcome in (RequestOutcome.REQUEST_LOST, RequestOutcome.LATE):
            if outcome is RequestOutcome.LATE:
                self.world.send(effect, delay_s=self.world.random.random() * 4)
            await self.sleep(REQUEST_TIMEOUT_S)
            raise TransactionLost(f"{kind}: timed out")
        if outcome is RequestOutcome.SENT_TWICE:
            self.world.send(effect, delay_s=self.world.random.random() * 4)
        await self.answer(kind, self.world.send(effect))
        if outcome is RequestOutcome.ANSWER_LOST:
            raise TransactionLost(f"{kind}: connection reset")
        return outcome

    async def answer(self, kind: str, request: Request) -> None:
        """Wait for the broker's answer."""
        await until(lambda: request.delivered)
        self.answered.append(kind)
        if request.fenced is not None:
            raise TransactionLost(f"{kind}: {request.fenced}") from request.fenced


class FakeClock:
    """Virtual time."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def monotonic(self) -> float:
        return self._client.world.now

    def wall_ms(self) -> int:
        return self._client.world.wall_ms()

    async def sleep(self, seconds: float) -> None:
        await self._client.sleep(seconds)
