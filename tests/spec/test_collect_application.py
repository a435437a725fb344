"""Answers of the HTTPS API by form, key and path, without sockets and brokers."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.asgi_client import Answered, ask
from tests.memory_producer import MemoryProducer
from worker.adapters.system_clock import SystemClock
from worker.collect.application import Application
from worker.collect.observer import EventOutcome
from worker.collect.write_keys import WriteKeys
from worker.config.options import Collect, Config
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


def event(event_id: str, device_id: str = "d1") -> bytes:
    return b'{"id":"%b","type":"view","device_id":"%b","timestamp":%d}' % (
        event_id.encode(),
        device_id.encode(),
        TIME_MS,
    )


def array(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


class Api:
    """An application over a topic in memory, open to everyone."""

    def __init__(self, **options: Any) -> None:
        self.producer = MemoryProducer()
        self.reports = Reports()
        config = Config(collect=Collect(**{"anonymous": True, **options}))
        self.application = Application(config, self.producer, WriteKeys(), SystemClock(), self.reports)

    def ask(self, *request: Any, **more: Any) -> Answered:
        return asyncio.run(ask(self.application, *request, **more))

    def stored(self) -> list[bytes]:
        return [record.value for record in self.producer.records]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(event("e1"), id="one object"),
        pytest.param(array(event("e1")), id="array"),
        pytest.param(b'{"events":' + array(event("e1")) + b"}", id="envelope"),
        pytest.param(b'{"sentAt":"now","batch":' + array(event("e1")) + b"}", id="batch"),
    ],
)
def test_each_form_of_a_body_is_stored(body: bytes) -> None:
    api = Api()
    answer = api.ask("/v1/events", body)
    assert (answer.status, answer.json["accepted"], answer.json["refused"]) == (200, 1, [])
    (record,) = api.producer.records
    assert record.key == b"d1"
    assert record.timestamp_ms == answer.json["received_at"]


def test_what_one_device_sent_whole_is_stored_as_it_is() -> None:
    body = b" [ " + event("e1") + b" ,\n" + event("e2") + b"] "
    api = Api()
    api.ask("/v1/events", body)
    assert api.stored() == [body]


def test_one_record_a_device_with_its_own_bytes_in_order() -> None:
    api = Api()
    elements: Sequence[bytes] = [event("e1", "a"), event("e2", "b"), b"5", event("e3", "a")]
    answer = api.ask("/v1/events", array(*elements))
    assert answer.json["accepted"] == 3
    assert [each["index"] for each in answer.json["refused"]] == [2]
    assert api.stored() == [array(elements[0], elements[3]), array(elements[1])]
    assert api.reports.counts == [
        ("accepted", None, 3, "anonymous"),
        ("refused", "not_an_object", 1, "anonymous"),
    ]
