"""Whose address counts behind proxies: docs/collect.md, Privacy."""

import pytest

from worker.collect.client_address import ClientAddresses

TRUSTED = ("10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7")


def client(peer: str | None, *forwarded_for: bytes, trusted: tuple[str, ...] = TRUSTED) -> str | None:
    address = ClientAddresses(trusted).of(peer, forwarded_for)
    return None if address is None else str(address)


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8:2::1"])
def test_who_is_no_trusted_proxy_is_the_client_whatever_it_says(peer: str) -> None:
    assert client(peer, b"198.51.100.1") == peer
    assert client(peer, b"198.51.100.1", trusted=()) == peer


@pytest.mark.parametrize("peer", ["10.1.2.3", "192.0.2.7", "2001:db8:1::9", "::ffff:10.1.2.3"])
def test_a_trusted_proxy_says_who_the_client_is(peer: str) -> None:
    assert client(peer, b"198.51.100.1") == "198.51.100.1"


@pytest.mark.parametrize("proxies", ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3", "::/0"])
@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_ipv4_in_ipv6_is_ipv4_also_in_the_list_of_proxies(proxies: str, peer: str) -> None:
    is_trusted = proxies != "::/0"
    assert client(peer, b"198.51.100.1", trusted=(proxies,)) == ("198.51.100.1" if is_trusted else "10.1.2.3")


def test_what_a_client_writes_itself_stands_left_of_what_is_taken() -> None:
    assert client("10.0.0.1", b"6.6.6.6, 10.0.0.9, 198.51.100.1") == "198.51.100.1"
    assert client("10.0.0.1", b"6.6.6.6", b"198.51.100.1, 10.0.0.2") == "198.51.100.1"


def test_if_all_are_proxies_it_is_the_first() -> None:
    assert client("10.0.0.1", b"10.0.0.3, 10.0.0.2") == "10.0.0.3"


def test_a_proxy_that_says_nothing_is_the_client() -> None:
    assert client("10.0.0.1") == "10.0.0.1"
    assert client("10.0.0.1", b"") == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        (b"198.51.100.1:4711", "198.51.100.1"),
        (b"[2001:db8:2::1]:4711", "2001:db8:2::1"),
        (b"[2001:db8:2::1]", "2001:db8:2::1"),
        (b"2001:DB8:2:0::1", "2001:db8:2::1"),
        (b' "198.51.100.1" ', "198.51.100.1"),
        (b"::ffff:198.51.100.1", "198.51.100.1"),
        (b"fe80::1%eth0", "fe80::1"),
        (b"198.51.100.1,", "10.0.0.1"),
        (b"unknown", "10.0.0.1"),
        (b"_hidden, 10.0.0.2", "10.0.0.2"),
        (b"198.51.100.1, \xff\x00", "10.0.0.1"),
        (b"198.51.100.999", "10.0.0.1"),
        (b"198.51.100.1:port", "10.0.0.1"),
        (b"0x7f000001", "10.0.0.1"),
        (b"2130706433", "10.0.0.1"),
        (b"198.51.100.01", "10.0.0.1"),
        (b"1" * 10_000, "10.0.0.1"),
        (b",".join([b"10.0.0.2"] * 10_000), "10.0.0.2"),
    ],
)
def test_every_form_of_an_address_is_read_and_nothing_else(forwarded_for: bytes, address: str) -> None:
    assert client("10.0.0.1", forwarded_for) == address


def test_a_connection_without_an_address_has_no_client() -> None:
    assert client(None, b"198.51.100.1") is None
    assert client("", b"198.51.100.1") is None
