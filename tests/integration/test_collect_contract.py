"""Each row of the contract of ``POST /v1/events`` on a real socket, over a real broker.

What was stored is read from the topic, never asked of the collector.
"""

import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cramjam
import pytest
import requests

from testing.kafka.broker import LocalBroker
from testing.wait import wait_until
from tests.collect_api import array, event
from tests.conftest import Kafka
from tests.integration.collect_place import KEY, CollectPlace, collecting
from worker.collect.answers import PIXEL
from worker.core.partitioner import Partitioning

JSON = "application/json"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectPlace]:
    options = {"COLLECT_ANONYMOUS": "false", "COLLECT_MAX_BODY_BYTES": "50000", "COLLECT_PATHS": '["/e"]'}
    with collecting(kafka.bootstrap_servers, tmp_path_factory.mktemp("contract"), options) as place:
        yield place


@dataclass(frozen=True)
class Row:
    """A request, and the answer of the contract. ``error`` is that of its body, None for a stored request."""

    status: int
    error: str | None = None
    body: bytes = event()
    path: str = "/v1/events"
    method: str = "POST"
    headers: Mapping[str, str] | None = None
    with_key: bool = True
    answered: Mapping[str, str] | None = None


ROWS = {
    "array": Row(200, body=array(event())),
    "object": Row(200),
    "envelope": Row(200, body=b'{"events":' + array(event()) + b',"sent_at":"now"}'),
    "batch": Row(200, body=b'{"batch":' + array(event()) + b"}"),
    "empty array": Row(200, body=b"[]"),
    "form type": Row(200, headers={"content-type": "application/x-www-form-urlencoded"}),
    "text": Row(200, headers={"content-type": "text/plain; charset=UTF-8"}),
    "gzip": Row(200, body=gzip.compress(event()), headers={"content-encoding": "gzip"}),
    "zstd": Row(200, body=bytes(cramjam.zstd.compress(event())), headers={"content-encoding": "zstd"}),
    "bearer": Row(200, with_key=False, headers={"authorization": f"Bearer {KEY}"}),
    "query key": Row(200, with_key=False, path=f"/v1/events?write_key={KEY}"),
    "envelope key": Row(200, with_key=False, body=b'{"write_key":"%b","events":[]}' % KEY.encode()),
    "other path": Row(200, path="/e"),
    "one bad event": Row(200, body=array(event(), b"5")),
    "empty body": Row(400, "none_accepted", body=b""),
    "no JSON": Row(400, "none_accepted", body=b"{"),
    "no event": Row(400, "none_accepted", body=b"[5]"),
    "no gzip": Row(400, "malformed_encoding", headers={"content-encoding": "gzip"}),
    "two bytes behind gzip": Row(
        400,
        "malformed_encoding",
        body=gzip.compress(event()) + b"xx",
        headers={"content-encoding": "gzip"},
    ),
    "no key": Row(401, "unauthorized", with_key=False, answered={"www-authenticate": "Bearer"}),
    "wrong key": Row(401, "unauthorized", with_key=False, headers={"x-write-key": "wk_wrong"}),
    "unknown path": Row(404, "not_found", path="/v1/event"),
    "encoded path": Row(404, "not_found", path="/v1/%65vents"),
    "method": Row(405, "method_not_allowed", method="PUT", answered={"allow": "POST, OPTIONS"}),
    "large body": Row(413, "too_large", body=b" " * 60_000),
    "inflated body": Row(
        413, "too_large", body=gzip.compress(b" " * 60_000), headers={"content-encoding": "gzip"}
    ),
    "many events": Row(413, "too_many_events", body=array(*[b"1"] * 501)),
    "long path": Row(414, "uri_too_long", path="/v1/events?x=" + "x" * 9_000),
    "type": Row(415, "unsupported_media_type", headers={"content-type": "text/xml"}),
    "charset": Row(415, "unsupported_media_type", headers={"content-type": "text/plain; charset=latin1"}),
    "encoding": Row(
        415,
        "unsupported_encoding",
        headers={"content-encoding": "br"},
        answered={"accept-encoding": "gzip, zstd"},
    ),
    "layers": Row(415, "unsupported_encoding", headers={"content-encoding": "gzip, gzip"}),
    "expectation": Row(417, "expectation_failed", headers={"expect": "200-ok"}),
    "large headers": Row(431, "headers_too_large", headers={"x-large": "x" * 17_000}),
}


def sent(place: CollectPlace, row: Row) -> requests.Response:
    headers = {"content-type": JSON, **({"x-write-key": KEY} if row.with_key else {}), **(row.headers or {})}
    request = requests.Request(row.method, place.collector.url, data=row.body, headers=headers).prepare()
    request.url = place.collector.url + row.path  # as it is: nothing is normalised
    with requests.Session() as session:
        return session.send(request, timeout=PATIENCE_S)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_contract(place: CollectPlace, name: str) -> None:
    row = ROWS[name]
    answer = sent(place, row)
    assert answer.status_code == row.status, answer.text
    found = answer.json()
    assert found.get("error") == row.error
    for header, value in (row.answered or {}).items():
        assert answer.headers[header] == value
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "retry-after, x-request-id"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    if row.error in ("too_large", "too_many_events"):
        assert found["limit"] == (50_000 if row.error == "too_large" else 500)


def test_records_are_the_senders_bytes_in_the_partition_of_their_device(place: CollectPlace) -> None:
    before = len(place.records())
    elements = [event(f"e{number}", f"device-{number % 3}") for number in range(9)]
    body = b" [" + b" , ".join([*elements, b"5"]) + b"]"
    answer = sent(place, Row(200, body=body, headers={"x-request-id": "records"}))
    found = answer.json()
    assert found["accepted"] == 9
    assert [each["index"] for each in found["refused"]] == [9]
    records = [one for one in place.records() if ("collect-request", b"records") in one.headers]
    assert len(place.records()) - before == len(records) == 3
    for record in records:
        device = record.key.decode()
        own = [element for element in elements if device.encode() in element]
        assert record.value == array(*own)
        assert record.partition == Partitioning(partitions=3).partition_of(device)
        assert record.timestamp == found["received_at"]
        assert record.headers == (("collect-request", b"records"), ("collect-key", b"example"))


def test_a_preflight_and_a_pixel(place: CollectPlace) -> None:
    preflight = requests.options(f"{place.collector.url}/v1/events", timeout=PATIENCE_S)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-methods"] == "POST, GET"
    query = {"write_key": KEY, "type": "mail", "device_id": "pixel-1", "d.a": "b c"}
    pixel = requests.get(f"{place.collector.url}/v1/pixel.gif", params=query, timeout=PATIENCE_S)
    assert (pixel.status_code, pixel.content, pixel.headers["content-type"]) == (200, PIXEL, "image/gif")
    (record,) = [one for one in place.records() if one.key == b"pixel-1"]
    assert json.loads(record.value)["data"] == {"a": "b c"}


def test_a_repetition_is_answered_as_the_first_and_stored_once(place: CollectPlace) -> None:
    row = Row(200, body=event("once", "repeated"), headers={"idempotency-key": "contract-1"})
    assert sent(place, row).content == sent(place, row).content
    assert len([one for one in place.records() if one.key == b"repeated"]) == 1
    other = Row(409, body=event("twice", "repeated"), headers={"idempotency-key": "contract-1"})
    answer = sent(place, other)
    assert (answer.status_code, answer.json()) == (409, {"error": "idempotency_conflict"})


def test_a_body_that_stalls_is_answered_408_and_nothing_is_stored(place: CollectPlace) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Write-Key: {KEY}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", place.collector.port), timeout=PATIENCE_S) as peer:
        peer.sendall(head.encode() + event("half", "stalled"))
        answer = b"".join(iter(lambda: peer.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"error":"request_timeout"}')
    assert not [one for one in place.records() if one.key == b"stalled"]


def test_brokers_that_stand_still_are_answered_503_and_later_200(
    local_broker: LocalBroker, tmp_path: Path
) -> None:
    options = {"COLLECT_ACK_TIMEOUT_MS": "3000", "COLLECT_STALL_MS": "1000"}
    with collecting(local_broker.bootstrap_servers, tmp_path, options) as place:
        assert sent(place, Row(200)).status_code == 200
        local_broker.pause()
        first: dict[str, Any] = sent(place, Row(503, body=event("late", "d1"))).json()
        second = sent(place, Row(503, body=event("never", "d1")))
        local_broker.resume()
        assert (first["error"], first["retry"]) == ("not_acknowledged", [0])
        assert (second.status_code, second.json()) == (503, {"error": "unavailable"})
        assert 1 <= int(second.headers["retry-after"]) <= 8
        again = Row(200, body=event("again", "d1"))
        wait_until(lambda: sent(place, again).status_code == 200, what="brokers are seen again")
        ids = [json.loads(record.value)["id"] for record in place.records()]
        assert "again" in ids
        assert "never" not in ids
