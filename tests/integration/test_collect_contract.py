"""Each row of the contract of ``POST /v1/events`` on a real socket, over a real broker.

What was stored is read from the topic, never asked of the collector.
"""

import base64
import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cramjam
import pytest
import requests

from testing.wait import wait_until
from tests.collect_api import array, event
from tests.conftest import Kafka
from tests.integration.collect_place import KEY, CollectPlace, collecting, key_entry
from worker.collect.answers import PIXEL
from worker.core.partitioner import Partitioning

JSON = "application/json"
PATIENCE_S = 60.0
PAGE = "https://shop.example"
PAGES_KEY, SERVERS_KEY, OLD_KEY, SLOW_KEY = (
    f"wk_{name}_0123456789" for name in ("page", "server", "old", "slow")
)
KEYS = (
    key_entry("pages", PAGES_KEY, f'origins = ["{PAGE}"]')
    + key_entry("servers", SERVERS_KEY)
    + key_entry("old", OLD_KEY, "disabled = true")
    + key_entry("slow", SLOW_KEY, "bytes_per_s = 1")
)


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectPlace]:
    options = {"COLLECT_ANONYMOUS": "false", "COLLECT_MAX_BODY_BYTES": "50000", "COLLECT_PATHS": '["/e"]'}
    directory = tmp_path_factory.mktemp("contract")
    with collecting(kafka.bootstrap_servers, directory, options, more_keys=KEYS) as place:
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
    "basic": Row(
        200,
        with_key=False,
        headers={"authorization": f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}"},
    ),
    "a page's key": Row(200, with_key=False, headers={"x-write-key": PAGES_KEY, "origin": PAGE}),
    "a page's key without a page": Row(200, with_key=False, headers={"x-write-key": PAGES_KEY}),
    "a server's key": Row(200, with_key=False, headers={"x-write-key": SERVERS_KEY}),
    "id of the request": Row(200, headers={"x-request-id": "mine-1"}, answered={"x-request-id": "mine-1"}),
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
    "disabled key": Row(401, "unauthorized", with_key=False, headers={"x-write-key": OLD_KEY}),
    "another page": Row(
        403,
        "origin_not_allowed",
        with_key=False,
        headers={"x-write-key": PAGES_KEY, "origin": "http://shop.example"},
    ),
    "a server's key in a page": Row(
        403, "origin_not_allowed", with_key=False, headers={"x-write-key": SERVERS_KEY, "origin": PAGE}
    ),
    "unknown path": Row(404, "not_found", path="/v1/event"),
    "encoded path": Row(404, "not_found", path="/v1/%65vents"),
    "method": Row(405, "method_not_allowed", method="PUT", answered={"allow": "POST, OPTIONS"}),
    "large body": Row(413, "too_large", body=b" " * 60_000, answered={"connection": "close"}),
    "inflated body": Row(
        413, "too_large", body=gzip.compress(b" " * 60_000), headers={"content-encoding": "gzip"}
    ),
    "many events": Row(413, "too_many_events", body=array(*[b"1"] * 501)),
    "long path": Row(414, "uri_too_long", path="/v1/events?x=" + "x" * 9_000),
    "long key of a repetition": Row(400, "bad_request", headers={"idempotency-key": "k" * 65}),
    "many headers": Row(431, "headers_too_large", headers={f"x-{number}": "" for number in range(65)}),
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
    body = b'{"sent_at":1764453600123,"events": [' + b" , ".join([*elements, b"5"]) + b"]}"
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
        assert record.headers == (
            ("collect-request", b"records"),
            ("collect-key", b"example"),
            ("collect-sent-at", b"1764453600123"),
        )


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


def test_a_key_over_its_rate_is_answered_429_with_the_time_to_wait(place: CollectPlace) -> None:
    row = Row(200, with_key=False, headers={"x-write-key": SLOW_KEY})
    assert sent(place, row).status_code == 200  # more than a second's worth: the next ones wait the longer
    answer = sent(place, row)
    assert (answer.status_code, answer.json()) == (429, {"error": "rate_limited"})
    assert int(answer.headers["retry-after"]) > 8
    assert answer.headers["access-control-allow-origin"] == "*"


def test_of_many_refused_elements_a_hundred_are_listed(place: CollectPlace) -> None:
    found = sent(place, Row(200, body=array(event(), *[b"5"] * 150))).json()
    assert (found["accepted"], len(found["refused"]), found["refused_total"]) == (1, 100, 150)


def raw_answer(place: CollectPlace, sent: bytes) -> bytes:
    """All that the collector says to these bytes, up to its end of the connection."""
    with socket.create_connection(("127.0.0.1", place.collector.port), timeout=PATIENCE_S) as peer:
        peer.sendall(sent)
        return b"".join(iter(lambda: peer.recv(65_536), b""))


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "bad_request"),
        ("Content-Length: 60000", 413, "too_large"),
    ],
)
def test_what_the_head_says_is_answered_before_any_body(
    place: CollectPlace, headers: str, status: int, error: str
) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Write-Key: {KEY}\r\n{headers}\r\n\r\n"
    answer = raw_answer(place, head.encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in answer
    assert f'"error":"{error}"'.encode() in answer


@pytest.mark.parametrize(("missing", "stored"), [(0, 1), (1, 0)])
def test_a_client_that_leaves_is_stored_where_its_body_is_whole(
    place: CollectPlace, missing: int, stored: int
) -> None:
    device = f"left-{missing}"
    body = event("gone", device)
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Write-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", place.collector.port), timeout=PATIENCE_S) as peer:
        peer.sendall(head.encode() + body[: len(body) - missing])
    assert sent(place, Row(200, body=event("after", device))).status_code == 200
    wait_until(
        lambda: len([one for one in place.records() if one.key == device.encode()]) == stored + 1,
        what="what is whole is stored",
    )


def test_requests_of_a_connection_are_stored_in_their_order(place: CollectPlace) -> None:
    pieces = []
    for number in range(20):
        body = event(f"n{number}", "in-order")
        length = (
            f"Content-Length: {len(body)}{'' if number < 19 else chr(13) + chr(10) + 'Connection: close'}"
        )
        pieces.append(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Write-Key: {KEY}\r\n{length}\r\n\r\n".encode()
        )
        pieces.append(body)
    assert raw_answer(place, b"".join(pieces)).count(b"HTTP/1.1 200 OK\r\n") == 20
    ids = [json.loads(one.value)["id"] for one in place.records() if one.key == b"in-order"]
    assert ids == [f"n{number}" for number in range(20)]


def test_accepted_events_get_the_context_and_refused_ones_are_forwarded_as_they_came(
    kafka: Kafka, tmp_path: Path
) -> None:
    options = {
        "COLLECT_CONTEXT": '["ip_truncated", "user_agent"]',
        "COLLECT_TRUSTED_PROXIES": '["127.0.0.0/8"]',
        "COLLECT_REFUSED": "forward",
    }
    forged = event()[:-1] + b',"collector":{"ip_truncated":"6.6.6.0"}}'
    with collecting(kafka.bootstrap_servers, tmp_path, options) as place:
        headers = {"x-forwarded-for": "6.6.6.6, 192.0.2.77", "user-agent": 'a "client"'}
        assert sent(place, Row(200, body=array(forged, b'{"id":"x"}'), headers=headers)).status_code == 200
        records = {record.key: record.value for record in place.records()}
    context = b',"collector":{"ip_truncated":"192.0.2.0","user_agent":"a \\"client\\""}}'
    assert records[b"d1"] == array(forged[:-1] + context)
    assert json.loads(records[None]) == [{"id": "x"}]


HELD_ELSEWHERE = {
    "request_timeout": "test_a_body_that_stalls_is_answered_408_and_nothing_is_stored",
    "idempotency_conflict": "test_a_repetition_is_answered_as_the_first_and_stored_once",
    "rate_limited": "test_a_key_over_its_rate_is_answered_429_with_the_time_to_wait",
    "internal": "test_a_mistake_in_the_server_costs_its_own_request_only",
    "overloaded": "test_more_than_may_wait_is_overloaded_and_not_stored",
    "unavailable": "test_brokers_that_stand_still_are_answered_503_and_later_200",
    "not_acknowledged": "test_brokers_that_stand_still_are_answered_503_and_later_200",
    "draining": "test_a_body_that_ends_after_the_delay_is_answered_draining",
    "partly_stored": "test_where_one_leader_is_away_the_rest_is_stored",
}
"""Error of an answer -> the test that has it on a real socket and a real broker; others have a row above."""


def test_every_error_of_the_contract_is_held_on_a_socket() -> None:
    schemas = json.loads(files("worker.collect").joinpath("openapi.json").read_text())["components"][
        "schemas"
    ]
    named = {*schemas["Error"]["properties"]["error"]["enum"]}
    named |= {
        schemas[name]["properties"]["error"]["const"]
        for name in ("NoneAccepted", "NotAcknowledged", "PartlyStored")
    }
    assert {row.error for row in ROWS.values() if row.error} | HELD_ELSEWHERE.keys() == named
    modules = [Path(__file__), Path(__file__).with_name("test_collect_trouble.py")]
    tests = "".join(module.read_text() for module in modules)
    assert [test for test in HELD_ELSEWHERE.values() if f"def {test}(" not in tests] == []
