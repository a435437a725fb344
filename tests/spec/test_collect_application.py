"""Who may send to the HTTPS API, its paths and methods, and the headers of its answers."""

import re
from collections.abc import Mapping

import pytest

from tests.collect_api import TIME_MS, Api, event
from worker.collect.answers import PIXEL
from worker.config.key_entries import WriteKey, digest_of

KEY = "wk_0123456789abcdef"
SERVER = WriteKey(name="server", sha256=digest_of(KEY.encode()))
PAGE = WriteKey(name="page", sha256=digest_of(b"wk_page0123456789"), origins=("https://shop.example",))


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/events", {"authorization": f"Bearer {KEY}"}),
        ("/v1/events", {"authorization": "Basic d2tfMDEyMzQ1Njc4OWFiY2RlZjo="}),
        ("/v1/events", {"x-write-key": KEY}),
        (f"/v1/events?write_key={KEY}", {}),
    ],
)
def test_a_key_is_found_wherever_it_may_be(path: str, headers: Mapping[str, str]) -> None:
    assert Api(keys=[SERVER]).ask(path, event(), headers=list(headers.items())).status == 200


def test_a_key_is_needed_and_must_be_known() -> None:
    api = Api(keys=[SERVER])
    for path, body in [
        ("/v1/events", event()),
        ("/v1/events?write_key=wk_wrong", event()),
        ("/v1/events", b'{"write_key":5,"events":[]}'),
    ]:
        answer = api.ask(path, body)
        assert (answer.status, answer.json) == (401, {"error": "unauthorized"})
        assert answer.headers["www-authenticate"] == "Bearer"
    assert not api.stored()


def test_a_key_counts_before_the_body_is_read() -> None:
    headers = [("x-write-key", "wk_wrong"), ("content-encoding", "gzip")]
    assert Api(keys=[SERVER]).ask(body=b"no gzip", headers=headers).status == 401


@pytest.mark.parametrize(
    ("key", "origin", "status"),
    [
        ("wk_page0123456789", "https://shop.example", 200),
        ("wk_page0123456789", "https://other.example", 403),
        ("wk_page0123456789", None, 200),
        (KEY, "https://shop.example", 403),
        (KEY, None, 200),
    ],
)
def test_an_origin_must_be_one_of_the_keys(key: str, origin: str | None, status: int) -> None:
    headers = [("x-write-key", key), *([("origin", origin)] if origin else [])]
    answer = Api(keys=[SERVER, PAGE]).ask(body=event(), headers=headers)
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == "*"
    if status == 403:
        assert answer.json == {"error": "origin_not_allowed"}


def test_a_key_over_its_rate_is_asked_to_wait() -> None:
    key = WriteKey(name="slow", sha256=digest_of(KEY.encode()), requests_per_s=1)
    api = Api(keys=[key])
    headers = [("x-write-key", KEY)]
    assert api.ask(body=event(), headers=headers).status == 200
    answer = api.ask(body=event(), headers=headers)
    assert (answer.status, answer.json) == (429, {"error": "rate_limited"})
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/events", 405, "POST, OPTIONS"),
        ("PUT", "/v1/events", 405, "POST, OPTIONS"),
        ("POST", "/v1/pixel.gif", 405, "GET, OPTIONS"),
        ("POST", "/healthz", 405, "GET, HEAD"),
        ("POST", "/v1/events/", 404, None),
        ("POST", "/v1/%65vents", 404, None),
        ("POST", "/v1//events", 404, None),
        ("GET", "/../s.js", 404, None),
        ("OPTIONS", "/v1/nothing", 404, None),
        ("GET", "/healthz", 200, None),
        ("HEAD", "/healthz", 200, None),
        ("GET", "/readyz", 200, None),
        ("GET", "/s.js", 200, None),
        ("GET", "/openapi.json", 200, None),
    ],
)
def test_a_path_and_its_methods_are_exact(method: str, path: str, status: int, allow: str | None) -> None:
    answer = Api().ask(path, method=method)
    assert (answer.status, answer.headers.get("allow")) == (status, allow)
    if status == 404:
        assert answer.json == {"error": "not_found"}
    if method == "HEAD":
        assert not answer.body
        assert int(answer.headers["content-length"]) > 0


def test_other_paths_take_events_and_images() -> None:
    api = Api(paths=("/e",))
    assert api.ask("/e", event()).status == 200
    assert api.ask("/e?type=view&device_id=d1", method="GET").body == PIXEL
    assert api.ask("/e", method="OPTIONS").status == 204


def test_a_preflight_needs_no_key() -> None:
    answer = Api(keys=[SERVER]).ask(method="OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "POST, GET"
    assert answer.headers["access-control-max-age"] == "86400"
    assert "content-encoding" in answer.headers["access-control-allow-headers"]
    assert "x-request-id" in answer.headers["access-control-allow-headers"]
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("body", [event(), b"5"])
def test_every_answer_may_be_read_and_is_not_kept(body: bytes) -> None:
    headers = Api().ask(body=body).headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-expose-headers"] == "retry-after, x-request-id"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-DEF_123", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False), ("ü", False)],
)
def test_a_request_id_is_echoed_or_made(sent: str, kept: bool) -> None:
    api = Api()
    echoed = api.ask(body=event(), headers=[("x-request-id", sent)]).headers["x-request-id"]
    assert (echoed == sent) == kept
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", echoed)
    assert api.producer.records[0].headers[0] == ("collect-request", echoed.encode())


def test_made_request_ids_differ() -> None:
    api = Api()
    assert len({api.ask(body=event()).headers["x-request-id"] for _ in range(5)}) == 5


def test_a_pixel_is_an_event() -> None:
    api = Api()
    answer = api.ask("/v1/pixel.gif?type=mail&device_id=d1&d.campaign=may+%C3%A9&user_id=7", method="GET")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PIXEL, "image/gif")
    assert len(PIXEL) == 43
    (value,) = api.stored()
    assert b'"data":{"campaign":"may \xc3\xa9"}' in value
    assert b'"user_id":"7"' in value
    given = api.ask(f"/v1/pixel.gif?type=mail&device_id=d1&id=e1&timestamp={TIME_MS}", method="GET")
    assert given.status == 200
    assert api.stored()[1] == b'{"type":"mail","device_id":"d1","id":"e1","timestamp":%d}' % TIME_MS


@pytest.mark.parametrize(
    "query", ["type=mail", "type=mail&device_id=%FF", "type=mail&device_id=d1&timestamp=x"]
)
def test_a_pixel_that_is_no_event_is_an_image_with_the_status_of_it(query: str) -> None:
    answer = Api().ask(f"/v1/pixel.gif?{query}", method="GET")
    assert (answer.status, answer.body) == (400, PIXEL)
