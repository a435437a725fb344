"""The application of the HTTPS API over a topic in memory, for tests without sockets and brokers."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.asgi_client import Answered, ask
from tests.memory_producer import MemoryProducer
from tests.native.twin_decoder import TwinDecoder
from worker.adapters.system_clock import SystemClock
from worker.collect.application import Application
from worker.collect.observer import EventOutcome
from worker.collect.storage import smaller_limits
from worker.collect.write_keys import WriteKeys
from worker.config.key_entries import WriteKey
from worker.config.options import Collect, Config, Input
from worker.model.events import Reason

TIME_MS = 1_764_453_600_000


class Reports:
    """An observer that keeps what it is given."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.counts: list[tuple[EventOutcome, Reason | None, int, str]] = []
        self.traces: list[str] = []

    def answered(self, status: int, seconds: float) -> None:
        self.statuses.append(status)

    def events(self, outcome: EventOutcome, reason: Reason | None, count: int, key_name: str) -> None:
        self.counts.append((outcome, reason, count, key_name))

    def acknowledged(self, seconds: float) -> None:
        assert seconds >= 0

    def failed(self, trace: str) -> None:
        self.traces.append(trace)


def event(event_id: str = "e1", device_id: str = "d1") -> bytes:
    return b'{"id":"%b","type":"view","device_id":"%b","timestamp":%d}' % (
        event_id.encode(),
        device_id.encode(),
        TIME_MS,
    )


def array(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


class Api:
    """An application, open to everyone unless it has ``keys``. ``options`` are those of ``[collect]``."""

    def __init__(self, *, keys: Sequence[WriteKey] = (), limits: Input | None = None, **options: Any) -> None:
        self.producer = MemoryProducer()
        self.reports = Reports()
        self.clock = SystemClock()
        config = Config(collect=Collect(**{"anonymous": not keys, **options}), input=limits or Input())
        self.keys = WriteKeys(keys)
        decoder = TwinDecoder(smaller_limits(config), config.identity)
        self.application = Application(config, self.producer, self.keys, self.clock, self.reports, decoder)

    def ask(self, path: str = "/v1/events", body: Any = b"", **request: Any) -> Answered:
        return asyncio.run(ask(self.application, path, body, **request))

    def stored(self) -> list[bytes]:
        return [record.value for record in self.producer.records]
