"""Bodies of the HTTPS API: their forms, what is stored of them, and what is refused."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

import cramjam
import pytest

from tests.collect_api import Api, array, event
from worker.collect.answers import MOST_LISTED
from worker.config.key_entries import WriteKey, digest_of
from worker.core.partitioner import Partitioning

KEY = "wk_0123456789abcdef"
SERVER = WriteKey(name="server", sha256=digest_of(KEY.encode()))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(event(), id="one object"),
        pytest.param(array(event()), id="array"),
        pytest.param(b"\xef\xbb\xbf" + array(event()), id="byte order mark"),
        pytest.param(b'{"events":' + array(event()) + b"}", id="envelope"),
        pytest.param(b'{"events":' + event() + b"}", id="envelope of one event"),
        pytest.param(b' {"sentAt":"now","batch":' + array(event()) + b"} ", id="batch"),
        pytest.param(b'{"sent_at":1,"batch":[' + event() + b',{"a":}],"context":{}}', id="broken envelope"),
        pytest.param(b'{"events":[' + event() + b',{"id":', id="envelope that is cut off"),
    ],
)
def test_each_form_of_a_body_is_stored(body: bytes) -> None:
    api = Api()
    answer = api.ask(body=body)
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    (record,) = api.producer.records
    assert record.key == b"d1"
    assert record.partition == Partitioning(partitions=8).partition_of("d1")
    assert record.timestamp_ms == answer.json["received_at"]


def test_an_event_with_a_property_called_events_is_an_event() -> None:
    body = event()[:-1] + b',"events":[1]}'
    api = Api()
    assert api.ask(body=body).json["accepted"] == 1
    assert api.stored() == [body]


@pytest.mark.parametrize("body", [b"[]", b'{"events":[]}', b" [ ] "])
def test_an_array_of_nothing_is_stored_at_once(body: bytes) -> None:
    api = Api()
    api.producer.count = None
    assert api.ask(body=body).json["accepted"] == 0


def test_what_one_device_sent_whole_is_stored_as_it_is() -> None:
    body = b" [ " + event("e1") + b" ,\n" + event("e2") + b"] "
    api = Api()
    api.ask(body=body)
    assert api.stored() == [body]


def test_one_record_a_device_with_its_own_bytes_in_order() -> None:
    api = Api()
    elements = [event("e1", "a"), event("e2", "b"), b"5", event("e3", "a")]
    answer = api.ask(body=array(*elements))
    assert answer.json["accepted"] == 3
    assert answer.json["refused"] == [
        {"index": 2, "reason": "not_an_object", "detail": "expected an event object, got an integer"}
    ]
    assert api.stored() == [array(elements[0], elements[3]), array(elements[1])]
    assert api.reports.counts == [
        ("accepted", None, 3, "anonymous"),
        ("refused", "not_an_object", 1, "anonymous"),
    ]


def test_records_say_which_request_and_key_and_the_senders_clock() -> None:
    api = Api(keys=[SERVER])
    body = b'{"write_key":"%b","sent_at":"2026-01-01","events":[%b]}' % (KEY.encode(), event())
    api.ask(body=body, headers=[("x-request-id", "req-1")])
    (record,) = api.producer.records
    assert list(record.headers) == [
        ("collect-request", b"req-1"),
        ("collect-key", b"server"),
        ("collect-sent-at", b"2026-01-01"),
    ]


def test_one_hundred_refused_elements_are_listed() -> None:
    answer = Api().ask(body=array(event(), *[b"1"] * 150))
    assert (len(answer.json["refused"]), answer.json["refused_total"]) == (MOST_LISTED, 150)


@pytest.mark.parametrize(
    ("body", "reason", "index"),
    [
        (b"", "empty_value", None),
        (b" \n", "empty_value", None),
        (b"5", "not_an_event_array", None),
        (b"[{]", "malformed_json", None),
        (b"\xff", "not_utf8", None),
        (b"[1]", "not_an_object", 0),
        (b'{"events":{}}', "missing_field", 0),
        (b'{"events":5}', "not_an_event_array", None),
        (b"[" * 70 + b"]" * 70, "too_deep", 0),
    ],
)
def test_a_request_without_a_good_event_is_refused_with_the_workers_reason(
    body: bytes, reason: str, index: int | None
) -> None:
    api = Api()
    answer = api.ask(body=body)
    assert (answer.status, answer.json["error"], answer.json["accepted"]) == (400, "none_accepted", 0)
    assert [(each["reason"], each["index"]) for each in answer.json["refused"]] == [(reason, index)]
    assert not api.stored()


def test_refused_bytes_are_forwarded_without_a_key() -> None:
    api = Api(refused="forward")
    assert api.ask(body=array(b"1", event(), b"2")).json["accepted"] == 1
    good, bad = api.producer.records
    assert (good.key, good.value) == (b"d1", array(event()))
    assert (bad.key, bad.value) == (None, b"[   1,2]")
    assert api.ask(body=b"nonsense").status == 400
    assert api.stored()[2] == b"nonsense"


def test_a_refusal_that_could_not_be_forwarded_is_sent_again() -> None:
    api = Api(refused="forward")
    api.producer.deliveries = dict.fromkeys(range(8), "not_sent")
    assert api.ask(body=b"nonsense").json == {"error": "unavailable"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "error"),
    [
        ({"content-type": "text/xml"}, event(), 415, "unsupported_media_type"),
        ({"content-type": "application/json; charset=utf-16"}, event(), 415, "unsupported_media_type"),
        ({"content-type": "multipart/form-data; boundary=x"}, event(), 415, "unsupported_media_type"),
        ({"content-encoding": "br"}, event(), 415, "unsupported_encoding"),
        ({"content-encoding": "gzip, gzip"}, event(), 415, "unsupported_encoding"),
        ({"content-encoding": "gzip"}, b"", 400, "malformed_encoding"),
        ({"content-encoding": "gzip"}, event(), 400, "malformed_encoding"),
        ({"content-encoding": "gzip"}, gzip.compress(event(), mtime=0)[:-1], 400, "malformed_encoding"),
        ({"content-encoding": "gzip"}, gzip.compress(event(), mtime=0) + b"x", 400, "malformed_encoding"),
        ({"content-encoding": "zstd"}, bytes(cramjam.zstd.compress(event()))[:-1], 400, "malformed_encoding"),
        ({"content-encoding": "gzip"}, gzip.compress(bytes(2_000_000), mtime=0), 413, "too_large"),
        ({"content-encoding": "zstd"}, bytes(cramjam.zstd.compress(bytes(2_000_000))), 413, "too_large"),
        ({}, b"[" + b" " * 1_000_000, 413, "too_large"),
        ({}, array(*[event()] * 501), 413, "too_many_events"),
        ({"idempotency-key": "k" * 65}, event(), 400, "bad_request"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    headers: Mapping[str, str], body: bytes, status: int, error: str
) -> None:
    api = Api()
    answer = api.ask(body=body, headers=list(headers.items()))
    assert (answer.status, answer.json["error"]) == (status, error)
    assert not api.stored()
    if error == "unsupported_encoding":
        assert answer.headers["accept-encoding"] == "gzip, zstd"
    if status == 413:
        assert answer.json["limit"] == (500 if error == "too_many_events" else 1_000_000)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; Charset=UTF-8",
        'text/plain;charset="utf-8"',
        "application/x-www-form-urlencoded",
        "application/cloudevents+json",
        "",
    ],
)
@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd", ""])
def test_a_body_is_json_whatever_it_is_called(content_type: str, encoding: str) -> None:
    compress = {"gzip": gzip.compress, "zstd": lambda body: bytes(cramjam.zstd.compress(body))}
    body = compress.get(encoding, bytes)(event())
    api = Api()
    headers = [("content-type", content_type), ("content-encoding", encoding)]
    assert api.ask(body=body, headers=headers).status == 200
    assert api.stored() == [event()]


def test_a_body_in_pieces_is_one_body() -> None:
    api = Api()
    assert api.ask(body=[event()[:10], event()[10:]]).status == 200
    assert api.stored() == [event()]


def test_a_body_in_pieces_is_read_no_further_than_its_limit() -> None:
    answer = Api().ask(body=[b" " * 600_000] * 3)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_a_client_that_goes_before_the_end_of_its_body_stores_nothing() -> None:
    api = Api()

    async def hang_up() -> None:
        messages = iter([{"type": "http.request", "body": event(), "more_body": True}])

        async def receive() -> Any:
            return next(messages, {"type": "http.disconnect"})

        async def send(_: Any) -> None:
            raise AssertionError("there is nobody to answer")

        scope = {"type": "http", "method": "POST", "path": "/v1/events", "headers": [], "query_string": b""}
        await api.application(scope, receive, send)

    asyncio.run(hang_up())
    assert not api.stored()
