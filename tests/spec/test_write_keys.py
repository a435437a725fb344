"""Which key a request has, and which pages may use it: docs/collect.md, Write keys."""

import base64

import pytest

from worker.collect.write_keys import ANONYMOUS, WriteKey, WriteKeys, key_of_request, may_use
from worker.config.key_entries import from_pairs

SHOP, SERVER = b"wk_shop-0123456789abcdef", b"wk_server-0123456789abcdef"


def basic(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


# --- lookup ------------------------------------------------------------------------------------------------


def test_a_key_is_found_by_its_hash() -> None:
    keys = WriteKeys(from_pairs(f"shop:{SHOP.decode()},server:{SERVER.decode()}").keys)
    found = keys.find(SERVER)
    assert found is not None
    assert found.name == "server"


@pytest.mark.parametrize("key", [b"", b"shop", SHOP[:-1], SHOP + b" ", SHOP.upper(), b"\xff" * 20])
def test_what_is_nearly_a_key_is_none(key: bytes) -> None:
    assert WriteKeys(from_pairs(f"shop:{SHOP.decode()}").keys).find(key) is None


def test_the_whole_hash_counts() -> None:
    (key,) = from_pairs(f"shop:{SHOP.decode()}").keys
    changed = WriteKey(name="shop", sha256=key.sha256[:-1] + bytes([key.sha256[-1] ^ 1]))
    assert WriteKeys([changed]).find(SHOP) is None
    assert WriteKeys([changed, WriteKey(name="other", sha256=key.sha256)]).find(SHOP) is not None


def test_a_disabled_key_is_as_unknown_as_any() -> None:
    (key,) = from_pairs(f"shop:{SHOP.decode()}").keys
    assert WriteKeys([WriteKey(name="shop", sha256=key.sha256, disabled=True)]).find(SHOP) is None


def test_keys_are_replaced_all_at_once() -> None:
    keys = WriteKeys(from_pairs(f"shop:{SHOP.decode()}").keys)
    keys.replace(from_pairs(f"server:{SERVER.decode()}").keys)
    assert keys.find(SHOP) is None
    assert keys.find(SERVER) is not None


# --- where a key is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (b"Bearer " + SHOP, SHOP),
        (b"bearer   " + SHOP + b" ", SHOP),
        (b"BEARER " + SHOP, SHOP),
        (basic(SHOP + b":"), SHOP),
        (basic(SHOP), SHOP),
        (basic(SHOP + b":any:password"), SHOP),
        (b"Basic *", b""),
        (b"Basic " + SHOP, b""),
    ],
)
def test_authorization_has_it_as_bearer_or_as_the_user_of_basic(authorization: bytes, key: bytes) -> None:
    headers = [(b"x-write-key", SERVER), (b"authorization", authorization)]
    assert key_of_request(headers, b"write_key=other") == key


@pytest.mark.parametrize(
    "authorization", [b"", b"Bearer", b"Bearer ", b"Basic ", basic(b":x"), b"Digest " + SHOP]
)
def test_authorization_without_a_key_leaves_it_to_the_next_place(authorization: bytes) -> None:
    assert key_of_request([(b"authorization", authorization), (b"x-write-key", SERVER)], b"") == SERVER


def test_the_header_of_its_own_comes_before_the_query() -> None:
    assert key_of_request([(b"x-write-key", b" " + SHOP + b" ")], b"write_key=other") == SHOP
    assert key_of_request([(b"x-write-key", b"")], b"write_key=" + SHOP) == SHOP


@pytest.mark.parametrize(
    "query",
    [
        b"write_key=wk_shop-0123456789abcdef",
        b"a=b&write_key=wk%5Fshop%2D0123456789abcdef&write_key=other",
        b"xwrite_key=other&write_key=&write_key=wk_shop-0123456789abcdef",
    ],
)
def test_the_query_is_the_last_place_before_the_body(query: bytes) -> None:
    assert key_of_request([], query) == SHOP


@pytest.mark.parametrize("query", [b"", b"write_key", b"write_key=", b"Write_Key=x", b"a=write_key=x"])
def test_without_a_key_the_envelopes_counts(query: bytes) -> None:
    assert key_of_request([(b"content-type", b"text/plain")], query) is None


def test_of_two_keys_in_one_place_the_first_counts() -> None:
    headers = [(b"authorization", b"Bearer " + SHOP), (b"authorization", b"Bearer " + SERVER)]
    assert key_of_request(headers, b"") == SHOP
    assert key_of_request([(b"x-write-key", SHOP), (b"x-write-key", SERVER)], b"") == SHOP


# --- pages -------------------------------------------------------------------------------------------------

PAGE = WriteKey(name="page", origins=("https://shop.example", "http://localhost:3000"))


@pytest.mark.parametrize("origin", [b"https://shop.example", b"http://localhost:3000"])
def test_a_listed_page_may_use_the_key(origin: bytes) -> None:
    assert may_use(PAGE, [origin])


@pytest.mark.parametrize(
    "origin",
    [
        b"http://shop.example",
        b"https://shop.example:8443",
        b"https://shop.example.evil.example",
        b"https://evil-shop.example",
        b"https://www.shop.example",
        b"https://shop.example/",
        b"null",
        b"",
        b"*",
        b"\xff",
    ],
)
def test_scheme_host_and_port_must_be_the_same(origin: bytes) -> None:
    assert not may_use(PAGE, [origin])


def test_a_servers_key_is_for_no_page() -> None:
    server = WriteKey(name="server")
    assert may_use(server, [])
    assert not may_use(server, [b"https://shop.example"])
    assert not may_use(server, [b"null"])


def test_a_request_without_an_origin_was_sent_by_no_page() -> None:
    assert may_use(PAGE, [])


def test_two_origins_are_none() -> None:
    assert not may_use(PAGE, [b"https://shop.example", b"https://shop.example"])


@pytest.mark.parametrize("origin", [b"https://any.example", b"null"])
def test_a_star_is_every_page(origin: bytes) -> None:
    assert may_use(WriteKey(name="open", origins=("*",)), [origin])
    assert may_use(ANONYMOUS, [origin])
