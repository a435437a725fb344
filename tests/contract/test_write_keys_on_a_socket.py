"""Write keys as senders meet them: requests on a real socket, keys from a file that changes.

The topic is in memory; everything before it is the collector's own.
"""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testing.wait import wait_until
from tests.contract.http_peer import CLOSE, Answer, Running, get, lifespan, post, served
from tests.memory_producer import MemoryProducer
from worker.adapters.key_file import KeyFile
from worker.adapters.system_clock import SystemClock
from worker.collect.answers import protocol_refusal
from worker.collect.application import Application
from worker.collect.write_keys import WriteKeys
from worker.config.options import Collect, Config

EVENTS = b'[{"id":"e1","type":"view","device_id":"d1","timestamp":1764453600000}]'
SHOP, SERVER, OLD = "wk_shop-0123456789", "wk_server-0123456789", "wk_old-0123456789"
PAGE = "https://shop.example"


def entry(name: str, key: str, *lines: str) -> str:
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    return "\n".join(["[[keys]]", f'name = "{name}"', f'sha256 = "{sha256}"', *lines, ""])


KEYS = (
    entry("shop", SHOP, f'origins = ["{PAGE}", "http://localhost:3000"]')
    + entry("server", SERVER)
    + entry("old", OLD, "disabled = true")
)


class Uncounted:
    """An observer to whom only failures matter."""

    def __init__(self) -> None:
        self.traces: list[str] = []

    def answered(self, status: int, seconds: float) -> None: ...

    def events(self, outcome: str, reason: object, count: int, key_name: str) -> None: ...

    def acknowledged(self, seconds: float) -> None: ...

    def failed(self, trace: str) -> None:
        self.traces.append(trace)


@dataclass
class Collector:
    running: Running
    producer: MemoryProducer
    path: Path
    invalid: list[str]

    def send(self, *headers: str, body: bytes = EVENTS, query: str = "") -> Answer:
        path = f"/v1/events{'?' if query else ''}{query}"
        (answer,) = self.running.ask(post(body, CLOSE, *headers, path=path))
        assert answer.headers["access-control-allow-origin"] == "*"
        return answer

    def status(self, *headers: str, **more: Any) -> int:
        return self.send(*headers, **more).status

    def with_key(self, key: str, *headers: str) -> int:
        return self.status(f"X-Write-Key: {key}", *headers)


@contextlib.contextmanager
def collector(path: Path, keys: str = KEYS, **options: Any) -> Iterator[Collector]:
    path.write_text(keys)
    collect = Collect(keys_file=str(path) if keys else "", **options)
    known, producer, observer, invalid = WriteKeys(), MemoryProducer(), Uncounted(), list[str]()
    file = KeyFile(collect, known.replace, invalid.append)
    file.load()
    application = Application(Config(collect=collect), producer, known, SystemClock(), observer)
    watching: list[asyncio.Task[None]] = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await application(scope, receive, send)
            return
        watching.append(asyncio.create_task(file.watch()))
        await lifespan(receive, send)
        watching[0].cancel()

    with served(asgi, refusal=protocol_refusal) as running:
        yield Collector(running, producer, path, invalid)
    assert observer.traces == []


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Collector]:
    with collector(tmp_path / "keys.toml") as found:
        yield found


def basic(text: str) -> str:
    return f"Authorization: Basic {base64.b64encode(text.encode()).decode()}"


# --- which key counts --------------------------------------------------------------------------------------


def envelope(key: str) -> bytes:
    return b'{"write_key":"%b","events":%b}' % (key.encode(), EVENTS)


@pytest.mark.parametrize(
    ("header", "more"),
    [
        (f"Authorization: Bearer {SERVER}", {}),
        (basic(f"{SERVER}:"), {}),
        (f"X-Write-Key: {SERVER}", {}),
        ("Accept: */*", {"query": f"write_key={SERVER}"}),
        ("Accept: */*", {"body": envelope(SERVER)}),
    ],
)
def test_a_key_may_be_in_each_of_five_places(api: Collector, header: str, more: dict[str, Any]) -> None:
    assert api.status(header, **more) == 200
    (record,) = api.producer.records
    assert ("collect-key", b"server") in record.headers
    assert SERVER not in str(record)


PLACES = [f"Authorization: Bearer {SERVER}", f"X-Write-Key: {SERVER}", f"write_key={SERVER}", SERVER]


@pytest.mark.parametrize("first", range(4))
def test_the_first_that_is_there_counts(api: Collector, first: int) -> None:
    places = ["", "", "a=b", "unknown"]
    places[first:] = [place.replace(SERVER, "unknown-0123456789") for place in PLACES[first:]]
    wrong = places[first]
    for right in (False, True):
        places[first] = PLACES[first] if right else wrong
        headers = [place for place in places[:2] if place]
        assert api.status(*headers, query=places[2], body=envelope(places[3])) == (200 if right else 401)


def test_missing_unknown_and_disabled_are_the_same_401(api: Collector) -> None:
    answers = [
        api.send(),
        api.send("X-Write-Key: unknown-0123456789"),
        api.send(f"X-Write-Key: {OLD}"),
        api.send("Authorization: Basic ***"),
        api.send("X-Write-Key: server"),
        api.send(f"X-Write-Key: {hashlib.sha256(SERVER.encode()).hexdigest()}"),
    ]
    for answer in answers:
        assert answer.headers.pop("x-request-id")
        answer.headers.pop("date")
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0].status, answers[0].json) == (401, {"error": "unauthorized"})
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert api.producer.records == []


def test_an_image_has_its_key_in_the_query(api: Collector) -> None:
    def status(key: str) -> int:
        path = f"/v1/pixel.gif?write_key={key}&type=view&device_id=d1"
        return api.running.ask(get(path, CLOSE))[0].status

    assert [status(key) for key in (SHOP, OLD, "")] == [200, 401, 401]


def test_who_may_send_without_a_key_may_not_send_with_a_wrong_one(tmp_path: Path) -> None:
    with collector(tmp_path / "keys.toml", keys="", anonymous=True) as api:
        assert api.status() == 200
        assert api.status(f"Origin: {PAGE}") == 200
        assert api.with_key(SHOP) == 401
        assert {header for record in api.producer.records for header in record.headers} >= {
            ("collect-key", b"anonymous")
        }


# --- pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "origin", "status"),
    [
        (SHOP, PAGE, 200),
        (SHOP, "http://localhost:3000", 200),
        (SHOP, "http://localhost:3001", 403),
        (SHOP, "http://shop.example", 403),
        (SHOP, "https://shop.example.evil.example", 403),
        (SHOP, "null", 403),
        (SERVER, PAGE, 403),
        (OLD, PAGE, 401),
    ],
)
def test_a_page_may_use_the_keys_that_list_it(api: Collector, key: str, origin: str, status: int) -> None:
    answer = api.send(f"X-Write-Key: {key}", f"Origin: {origin}")
    assert answer.status == status
    if status == 403:
        assert answer.json == {"error": "origin_not_allowed"}
    assert len(api.producer.records) == (status == 200)
    assert "access-control-allow-credentials" not in answer.headers


def test_without_an_origin_every_key_may_be_used(api: Collector) -> None:
    assert [api.with_key(SHOP), api.with_key(SERVER)] == [200, 200]


# --- rates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["requests_per_s = 1", "events_per_s = 1", "bytes_per_s = 60"])
def test_who_sends_too_much_is_asked_to_wait_and_served_then(tmp_path: Path, rate: str) -> None:
    keys = entry("shop", SHOP, rate) + entry("server", SERVER)
    with collector(tmp_path / "keys.toml", keys) as api:
        answers = [api.send(f"X-Write-Key: {SHOP}") for _ in range(20)]
        refused = [answer for answer in answers if answer.status != 200]
        assert {answer.status for answer in refused} == {429}
        assert all(answer.json == {"error": "rate_limited"} for answer in refused)
        assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
        assert len(api.producer.records) == len(answers) - len(refused)
        assert api.with_key(SERVER) == 200
        wait_until(lambda: api.with_key(SHOP) == 200, what="it may send again", every_s=0.2)


def test_a_compressed_body_counts_as_what_it_holds(tmp_path: Path) -> None:
    body = gzip.compress(EVENTS + b" " * 500_000)
    with collector(tmp_path / "keys.toml", entry("shop", SHOP, f"bytes_per_s = {2 * len(body)}")) as api:
        headers = (f"X-Write-Key: {SHOP}", "Content-Encoding: gzip")
        assert api.status(*headers, body=body) == 200
        answer = api.send(*headers, body=body)
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 100


# --- changes -----------------------------------------------------------------------------------------------


def test_keys_change_while_requests_are_served(api: Collector) -> None:
    new = "wk_new-0123456789"
    assert [api.with_key(key) for key in (SERVER, new)] == [200, 401]
    api.path.write_text(KEYS + entry("new", new))
    wait_until(lambda: api.with_key(new) == 200, what="the new key counts")
    assert api.with_key(SERVER) == 200
    api.path.write_text(entry("server", SERVER, "disabled = true") + entry("new", new))
    wait_until(lambda: api.with_key(SERVER) == 401, what="the old key is refused")
    assert [api.with_key(key) for key in (new, SHOP)] == [200, 401]


def test_a_broken_file_changes_no_key(api: Collector) -> None:
    api.path.write_text("[[keys]\n")
    wait_until(lambda: api.invalid, what="the fault is reported")
    assert [api.with_key(SERVER), api.with_key(OLD)] == [200, 401]
    api.path.unlink()
    wait_until(lambda: len(api.invalid) == 2, what="the missing file is reported")
    assert api.with_key(SERVER) == 200


# --- context -----------------------------------------------------------------------------------------------


def test_context_is_what_the_connection_and_trusted_proxies_say(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "context": ("ip", "ip_truncated", "user_agent", "origin"),
        "trusted_proxies": ("127.0.0.1",),
    }
    forged = EVENTS.replace(b"}", b',"collector":{"ip":"1.1.1.1"}}')
    with collector(tmp_path / "keys.toml", **options) as api:
        forwarded = "X-Forwarded-For: 6.6.6.6, 198.51.100.7"
        headers = (f"X-Write-Key: {SHOP}", f"Origin: {PAGE}", forwarded, 'User-Agent: "}],\\')
        assert api.status(*headers, body=forged) == 200
    (event,) = json.loads(api.producer.records[0].value)
    assert event["collector"] == {
        "ip": "198.51.100.7",
        "ip_truncated": "198.51.100.0",
        "user_agent": '"}],\\',
        "origin": PAGE,
    }


def test_without_trusted_proxies_the_peer_counts(tmp_path: Path) -> None:
    with collector(tmp_path / "keys.toml", context=("ip",)) as api:
        assert api.status(f"X-Write-Key: {SERVER}", "X-Forwarded-For: 198.51.100.7") == 200
    (event,) = json.loads(api.producer.records[0].value)
    assert event["collector"] == {"ip": "127.0.0.1"}
