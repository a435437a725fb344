"""Whatever senders and operators write: keys, addresses and context are found or refused, without errors."""

import json
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.collect.client_address import ClientAddresses, IpAddress
from worker.collect.event_context import MOST_BYTES, EventContext
from worker.collect.write_keys import key_of_request
from worker.config.key_entries import from_file, from_pairs, origin_of
from worker.config.options import Collect

few = settings(max_examples=500)  # texts of little structure
names = st.sampled_from(
    [b"authorization", b"x-write-key", b"origin", b"user-agent", b"x-forwarded-for", b"accept"]
)
values = st.binary(max_size=80) | st.sampled_from(
    [b"Bearer ", b"Basic ", b"Basic Og==", b"10.0.0.1", b"[::1]:1, 10.0.0.2", b"https://a.example"]
)
header_lists = st.lists(st.tuples(names, values), max_size=8)
addresses = st.ip_addresses().map(str) | st.text(max_size=20) | st.none()


@few
@given(header_lists, st.binary(max_size=60) | st.just(b"write_key=%zz&write_key"))
def test_a_key_is_bytes_or_there_is_none(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    key = key_of_request(headers, query)
    assert key is None or isinstance(key, bytes)


@few
@given(header_lists, addresses)
def test_the_context_is_one_json_object_in_utf_8(
    headers: list[tuple[bytes, bytes]], peer: str | None
) -> None:
    context = EventContext(
        Collect(context=("ip", "ip_truncated", "user_agent", "origin"), trusted_proxies=("0.0.0.0/0", "::/0"))
    )
    found = context.of(peer, headers)
    assert found is not None
    assert len(found) <= MOST_BYTES
    assert isinstance(json.loads(found.decode("utf-8")), dict)


@few
@given(st.ip_addresses(), st.lists(st.ip_addresses(), max_size=5), st.lists(st.ip_addresses(), max_size=5))
def test_what_a_client_puts_in_front_changes_nothing(
    client: IpAddress, proxies: list[IpAddress], forged: list[IpAddress]
) -> None:
    def as_ipv4(address: IpAddress) -> IpAddress:
        return getattr(address, "ipv4_mapped", None) or address

    trusted = [str(proxy) for proxy in proxies if as_ipv4(proxy) != as_ipv4(client)]
    chain = [str(client), *trusted]
    finder = ClientAddresses([*trusted, "192.0.2.1"])
    truth = finder.of("192.0.2.1", [", ".join(chain).encode()])
    assert finder.of("192.0.2.1", [", ".join([*map(str, forged), *chain]).encode()]) == truth


documents = st.dictionaries(
    st.sampled_from(["name", "sha256", "origins", "requests_per_s", "disabled", "key", "other"]),
    st.sampled_from(
        ['"shop"', '"' + "a" * 64 + '"', "1", "true", '["https://a.example"]', '"*"', "[]", "1.5"]
    ),
)


@few
@given(st.lists(documents, max_size=4))
def test_entries_are_all_right_or_there_are_faults(entries: list[dict[str, str]]) -> None:
    text = "".join(
        "[[keys]]\n" + "".join(f"{name} = {value}\n" for name, value in entry.items()) for entry in entries
    )
    found = from_file(text.encode())
    assert bool(found.keys) != bool(found.faults)
    if found.keys:
        assert len(found.keys) == len(tomllib.loads(text)["keys"])


@few
@given(st.binary(max_size=200))
def test_any_bytes_are_a_keys_file_or_a_fault(content: bytes) -> None:
    found = from_file(content)
    assert bool(found.keys) != bool(found.faults)


@few
@given(st.text(max_size=200))
def test_any_text_is_pairs_or_a_fault_and_an_origin_or_none(text: str) -> None:
    found = from_pairs(text)
    assert bool(found.keys) != bool(found.faults)
    origin = origin_of(text)
    assert origin is None or origin_of(origin) == origin
