"""A server that keeps the heads of requests gets the same answers as any other, with each of them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.collect_api import Api, array, event
from worker.config.key_entries import WriteKey, digest_of

KEY = WriteKey(name="shop", sha256=digest_of(b"wk_1"), origins=("https://shop.example",))
BEARER = ("authorization", "Bearer wk_1")
BODY = array(event())


def head(path: str, method: str, headers: list[tuple[str, str]]) -> Any:
    """As the server of ``sessionizer collect`` keeps it."""
    raw_path, _, query = path.partition("?")
    kept = [(name.encode(), value.encode()) for name, value in headers]
    return SimpleNamespace(
        method=method, raw_path=raw_path.encode(), query=query.encode(), headers=kept, note=None
    )


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/v1/events", "POST", [BEARER]),
        ("/v1/events", "POST", [BEARER, ("x-request-id", "r-1")]),
        ("/v1/events", "POST", [BEARER, ("x-request-id", "no id")]),
        ("/v1/events", "POST", [BEARER, ("origin", "https://shop.example")]),
        ("/v1/events", "POST", [BEARER, ("origin", "https://other.example")]),
        ("/v1/events", "POST", [BEARER, ("content-type", "text/xml")]),
        ("/v1/events", "POST", [BEARER, ("content-encoding", "br")]),
        ("/v1/events", "POST", [BEARER, ("content-encoding", "gzip")]),
        ("/v1/events", "POST", [BEARER, ("idempotency-key", "x" * 65)]),
        ("/v1/events?write_key=wk_1", "POST", []),
        ("/v1/events", "POST", [("x-write-key", "wk_2")]),
        ("/v1/events", "POST", []),
        ("/v1/events", "GET", [BEARER]),
        ("/v1/events", "OPTIONS", []),
        ("/v1/other", "POST", [BEARER]),
        ("/healthz", "HEAD", []),
    ],
)
def test_every_request_with_a_head_is_answered_as_its_first(
    path: str, method: str, headers: list[tuple[str, str]]
) -> None:
    api, kept = Api(keys=[KEY]), head(path, method, headers)
    plain = api.ask(path, BODY, method=method, headers=headers)
    for _ in range(3):
        answer, request_id = asyncio.run(_answered(api, kept, BODY))
        own = {"x-request-id": request_id.decode()}
        found = {name.decode(): value.decode() for name, value in answer.headers} | own
        expected = {name: value for name, value in plain.headers.items() if name != "content-length"}
        if ("x-request-id", "r-1") not in headers:
            expected["x-request-id"] = found["x-request-id"]
        assert (answer.status, found) == (plain.status, expected)
        if answer.status != 200:
            assert answer.body == plain.body


def test_a_key_that_is_taken_away_admits_no_head_that_it_admitted_before() -> None:
    api, kept = Api(keys=[KEY]), head("/v1/events", "POST", [BEARER])
    assert asyncio.run(_answered(api, kept, BODY))[0].status == 200
    api.keys.replace([])
    assert asyncio.run(_answered(api, kept, BODY))[0].status == 401
    api.keys.replace([KEY])
    assert asyncio.run(_answered(api, kept, BODY))[0].status == 200


def test_the_key_of_an_envelope_is_looked_up_for_each_request() -> None:
    api, kept = Api(keys=[KEY]), head("/v1/events", "POST", [])
    with_key, without = (
        b'{"write_key":"%b","events":%b}' % (b"wk_1", BODY),
        b'{"write_key":"%b","events":%b}' % (b"wk_2", BODY),
    )
    for body, status in ((with_key, 200), (without, 401), (BODY, 401), (with_key, 200)):
        assert asyncio.run(_answered(api, kept, body))[0].status == status


async def _answered(api: Api, kept: Any, body: bytes) -> Any:
    return await api.application.respond(kept, body, "127.0.0.1")
