"""What the collector adds to events, if it is asked to: docs/collect.md, Privacy."""

import json

import pytest

from worker.collect.event_context import MOST_BYTES, MOST_CHARACTERS, EventContext
from worker.config.options import Collect, ContextField

HEADERS = [
    (b"user-agent", b"Mozilla/5.0 (X11)"),
    (b"origin", b"https://shop.example"),
    (b"x-forwarded-for", b"198.51.100.77"),
    (b"cookie", b"secret"),
]


def added(
    *fields: ContextField, peer: str | None = "203.0.113.9", headers: list[tuple[bytes, bytes]] = HEADERS
) -> object:
    json_bytes = EventContext(Collect(context=fields, trusted_proxies=("10.0.0.0/8",))).of(peer, headers)
    return None if json_bytes is None else json.loads(json_bytes)


def test_by_default_nothing_is_added() -> None:
    assert added() is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ip", "203.0.113.9"),
        ("ip_truncated", "203.0.113.0"),
        ("user_agent", "Mozilla/5.0 (X11)"),
        ("origin", "https://shop.example"),
    ],
)
def test_only_what_was_asked_for_is_added(field: ContextField, value: str) -> None:
    assert added(field) == {field: value}


def test_all_of_it_in_the_order_of_the_option() -> None:
    assert list(added("origin", "ip", "user_agent", "ip_truncated").items()) == [  # type: ignore[attr-defined]
        ("origin", "https://shop.example"),
        ("ip", "203.0.113.9"),
        ("user_agent", "Mozilla/5.0 (X11)"),
        ("ip_truncated", "203.0.113.0"),
    ]


@pytest.mark.parametrize(
    ("peer", "truncated"),
    [
        ("203.0.113.255", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.9", "203.0.113.0"),
        ("10.0.0.1", "198.51.100.0"),
    ],
)
def test_a_truncated_address_is_its_network(peer: str, truncated: str) -> None:
    assert added("ip_truncated", peer=peer) == {"ip_truncated": truncated}


def test_what_is_not_known_is_left_out() -> None:
    assert added("ip", "ip_truncated", "user_agent", "origin", peer=None, headers=[]) == {}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b'"}],\\', '"}],\\'),
        (b"\x00\x1f\x7f", "\x00\x1f\x7f"),
        ("\u00e9\U0001f600\u2028".encode(), "\u00e9\U0001f600\u2028"),
        (b"\xff\xed\xa0\x80", "\ufffd\ufffd\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_a_header_is_always_a_text_of_json(header: bytes, text: str) -> None:
    assert added("user_agent", headers=[(b"user-agent", header)]) == {"user_agent": text}


@pytest.mark.parametrize(
    "character", [b"x", b"\x01", b'"', "\u20ac".encode(), "\U0001f600".encode(), b"\xff"]
)
def test_long_headers_are_cut_so_that_an_event_grows_only_so_far(character: bytes) -> None:
    headers = [(b"user-agent", character * 8_000), (b"origin", character * 8_000)]
    context = Collect(context=("ip", "ip_truncated", "user_agent", "origin"))
    found = EventContext(context).of("2001:db8:1111:2222:3333:4444:5555:6666", headers)
    assert found is not None
    assert len(found) <= MOST_BYTES
    assert json.loads(found)["user_agent"] == character.decode("utf-8", "replace") * MOST_CHARACTERS


def test_of_two_headers_the_first_counts() -> None:
    assert added("origin", headers=[(b"origin", b"a"), (b"origin", b"b")]) == {"origin": "a"}
