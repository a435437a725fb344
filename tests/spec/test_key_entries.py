"""How write keys are configured, and what each mistake in them is called: docs/collect.md, Write keys."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.configurations import File
from worker.config import ConfigError, load
from worker.config.key_entries import (
    MOST_BYTES,
    NO_KEYS,
    WriteKey,
    from_file,
    from_pairs,
    merged,
    origin_of,
    read,
)

SHOP, SERVER = "wk_shop-0123456789abcdef", "wk_server-0123456789abcdef"


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def entry(*lines: str, name: str = "shop", key: str = SHOP) -> str:
    return "\n".join(["[[keys]]", f'name = "{name}"', f'sha256 = "{sha256(key)}"', *lines, ""])


# --- the file ----------------------------------------------------------------------------------------------


def test_an_entry_has_a_name_a_hash_origins_and_rates() -> None:
    text = entry(
        'origins = ["https://shop.example", "http://localhost:3000"]',
        "requests_per_s = 10",
        "events_per_s = 20",
        "bytes_per_s = 30",
        "disabled = true",
    )
    assert from_file(text.encode()).keys == (
        WriteKey(
            name="shop",
            sha256=hashlib.sha256(SHOP.encode()).digest(),
            origins=("https://shop.example", "http://localhost:3000"),
            requests_per_s=10,
            events_per_s=20,
            bytes_per_s=30,
            disabled=True,
        ),
    )


def test_without_more_than_name_and_hash_it_is_a_servers_key_without_limits() -> None:
    (key,) = from_file(entry().encode()).keys
    assert (key.origins, key.requests_per_s, key.events_per_s, key.bytes_per_s) == ((), 0, 0, 0)
    assert not key.disabled


def test_hash_in_capitals_and_a_byte_order_mark_are_fine() -> None:
    text = "\ufeff" + entry().replace(sha256(SHOP), sha256(SHOP).upper())
    assert from_file(text.encode()).keys == from_file(entry().encode()).keys


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", NO_KEYS),
        (b"# nothing yet\n", NO_KEYS),
        (b"\xff", "is not UTF-8 text"),
        (b"x" * (MOST_BYTES + 1), f"is larger than {MOST_BYTES} bytes"),
        (b"[[keys]]\nname = wk_secret-0123456789", "is not TOML: at line 2, column 8"),
        (b'"wk_secret-0123456789" = 1\n"wk_secret-0123456789" = 2', "is not TOML: at"),
        (b"a = " + b"[" * 100_000, "is not TOML: it is nested too deeply"),
        (b"a = " + b"1" * 10_000, "is not TOML: a number is too long"),
        (b"[kyes]\n", "expected nothing but [[keys]] entries"),
        (b"keys = 1", "keys: expected entries that begin with [[keys]]"),
        (b"keys = [1]", "keys: expected entries that begin with [[keys]]"),
        (b"[keys.shop]\n", "keys: expected entries that begin with [[keys]]"),
    ],
)
def test_a_file_that_cannot_be_used_has_one_fault(content: bytes, fault: str) -> None:
    entries = from_file(content)
    assert entries.keys == ()
    assert entries.faults[0].startswith(fault)
    assert "secret" not in str(entries)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('origin = "https://shop.example"', "has an unknown field: did you mean origins?"),
        ("wk_something = 1", "has an unknown field"),
        (f'key = "{SHOP}"', "holds a key: write sha256, the SHA-256 of the key in hexadecimal"),
        ("origins = []", "origins: expected 1 to 1000; a server's key has no such field"),
        ('origins = "https://shop.example"', "origins: expected origins such as"),
        ('origins = ["shop.example"]', "origins: expected origins such as"),
        ('origins = ["https://shop.example/"]', "origins: expected origins such as"),
        ('origins = ["https://*.shop.example"]', "origins: expected origins such as"),
        ('origins = ["https://shop.example:0"]', "origins: expected origins such as"),
        ('origins = ["https://shop.example:65536"]', "origins: expected origins such as"),
        ('origins = ["https://user@shop.example"]', "origins: expected origins such as"),
        ("origins = [1]", "origins: expected origins such as"),
        ("requests_per_s = 0", "requests_per_s: expected a whole number from 1 to 2147483647"),
        ("events_per_s = 1.5", "events_per_s: expected a whole number"),
        ("bytes_per_s = true", "bytes_per_s: expected a whole number"),
        ('disabled = "yes"', "disabled: expected true or false"),
    ],
)
def test_a_wrong_field_is_named_with_its_entry(line: str, fault: str) -> None:
    entries = from_file(f"{entry(name='first', key=SERVER)}\n{entry(line)}".encode())
    (found,) = entries.faults
    assert found.startswith(f"[[keys]] 2, shop: {fault}")
    assert entries.keys == ()
    assert SHOP not in found


@pytest.mark.parametrize(
    "name", ["", "a b", "-a", "a" * 65, "wk_0123456789abcdef", "anonymous", "a\u00e9", "a:b"]
)
def test_a_name_that_may_not_be_is_not_shown(name: str) -> None:
    (fault,) = from_file(entry(name=name).encode()).faults
    assert fault.startswith("[[keys]] 1: name: expected a name of at most 64")


@pytest.mark.parametrize("name", ["a", "7", "a" * 64, "shop.2026-11_b"])
def test_a_name_is_what_suits_logs_and_metrics(name: str) -> None:
    assert from_file(entry(name=name).encode()).keys[0].name == name


def test_name_and_hash_are_needed() -> None:
    one, other = from_file(b"[[keys]]\n").faults
    assert one.startswith("[[keys]] 1: name: ")
    assert other == "[[keys]] 1: sha256: expected 64 hexadecimal digits, the SHA-256 of the key"


def test_names_and_keys_are_there_once() -> None:
    twice = f"{entry()}{entry()}{entry(name='other')}"
    assert from_file(twice.encode()).faults == (
        "shop: is the name of 2 keys",
        "shop and other: have the same key",
    )


# --- origins -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Shop.Example", "https://shop.example"),
        ("HTTPS://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("null", "null"),
        ("*", "*"),
        ("https://b\u00fccher.example", None),
        ("https://shop.example?x", None),
        ("https://", None),
        ("https:///", None),
        ("javascript:1", None),
        ("https://shop.example\n", None),
        ("http://127.0.0.1:08080", "http://127.0.0.1:8080"),
    ],
)
def test_an_origin_is_what_browsers_send(text: str, origin: str | None) -> None:
    assert origin_of(text) == origin


def test_origins_that_are_the_same_count_once() -> None:
    line = 'origins = ["https://shop.example", "https://SHOP.example:443"]'
    assert from_file(entry(line).encode()).keys[0].origins == ("https://shop.example",)


# --- pairs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [f"shop:{SHOP},server:{SERVER}", f" shop:{SHOP} ,\n server:{SERVER}\n,"])
def test_pairs_are_servers_keys_separated_by_commas_or_white_space(text: str) -> None:
    entries = from_pairs(text)
    assert [(key.name, key.sha256.hex()) for key in entries.keys] == [
        ("shop", sha256(SHOP)),
        ("server", sha256(SERVER)),
    ]
    assert not any(key.origins for key in entries.keys)
    assert from_file(text.encode()) == entries


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", NO_KEYS),
        (" , ", NO_KEYS),
        (SHOP, "entry 1: expected name:key"),
        (f"{SHOP}:shop", "entry 1: before the colon, expected a name"),
        (f":{SHOP}", "entry 1: before the colon, expected a name"),
        ("shop:short", "entry 1, shop: expected a key of 16 to 256"),
        ("shop:" + "x" * 257, "entry 1, shop: expected a key of 16 to 256"),
        (f"server:{SERVER},shop:se:cret0123456789", "entry 2, shop: expected a key"),
        (f"shop:{SHOP},shop:{SERVER}", "shop: is the name of 2 keys"),
        (f"shop:{SHOP},other:{SHOP}", "shop and other: have the same key"),
    ],
)
def test_a_wrong_pair_is_named_by_its_place_and_not_shown(text: str, fault: str) -> None:
    entries = from_pairs(text)
    assert entries.keys == ()
    assert entries.faults[0].startswith(fault)
    assert not any(secret in str(entries) for secret in (SHOP, SERVER, "cret", "short,"))


def test_both_sources_together_must_differ() -> None:
    file, option = from_file(entry().encode()), from_pairs(f"shop:{SERVER}")
    assert merged(option, from_pairs(f"other:{SHOP}")).faults == ()
    assert merged(option, file).faults == ("shop: is the name of 2 keys",)


def test_a_file_that_is_none_is_read_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe").faults == (NO_KEYS,)
    assert read(tmp_path).faults == ("cannot be read: Is a directory",)
    assert read(tmp_path / "none").faults == ("does not exist: sessionizer collect keys add NAME makes it",)


# --- what a collector needs --------------------------------------------------------------------------------


def refused(**variables: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(None, {f"SESSIONIZER_COLLECT_{name}": value for name, value in variables.items()}, collects=True)
    return error.value.lines


def accepted(**variables: str) -> None:
    load(None, {f"SESSIONIZER_COLLECT_{name}": value for name, value in variables.items()}, collects=True)


def test_without_keys_no_collector_starts() -> None:
    (line,) = refused()
    assert line.startswith('default: collect.keys_file = "": is needed, or collect.keys')


def test_the_worker_needs_no_keys() -> None:
    load(None, {})
    load(None, {"SESSIONIZER_COLLECT_KEYS": "x", "SESSIONIZER_COLLECT_KEYS_FILE": "/not/there"})


@pytest.mark.parametrize("listen", ["127.0.0.1:8080", "127.8.8.8:8080", "[::1]:8080", "localhost:0"])
def test_without_keys_everybody_on_this_machine_may_send_where_that_is_wanted(listen: str) -> None:
    accepted(ANONYMOUS="true", LISTEN=listen)


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080", "collector:8080"])
@pytest.mark.parametrize("keys", [{}, {"KEYS": f"shop:{SHOP}"}])
def test_nobody_else_may_send_without_a_key(listen: str, keys: dict[str, str]) -> None:
    (line,) = refused(ANONYMOUS="true", LISTEN=listen, **keys)
    assert line == (
        "SESSIONIZER_COLLECT_ANONYMOUS = true: is for loopback addresses only: with collect.listen = "
        f'"{listen}" (SESSIONIZER_COLLECT_LISTEN) everybody there may write events'
    )


def test_each_fault_of_the_keys_is_a_line_with_its_option(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.with_text(entry("disable = true", 'origins = ["{x}"]') + entry("origins = [1]", name="other"))
    monkeypatch.chdir(file.path.parent)  # a line cuts long paths
    path = file.path.name
    lines = refused(KEYS_FILE=path, KEYS=f"{SHOP},other:{SHOP}")
    place = f'SESSIONIZER_COLLECT_KEYS_FILE = "{path}": [[keys]]'
    assert [line[: len(place) + 10] for line in lines] == [
        f"{place} 1, shop: ",
        f"{place} 1, shop: ",
        f"{place} 2, other:",
        "SESSIONIZER_COLLECT_KEYS = ***: entry 1: expected name:key"[: len(place) + 10],
    ]
    assert SHOP not in "\n".join(lines)


def test_a_keys_file_that_is_missing_is_one_line() -> None:
    (line,) = refused(KEYS_FILE="/not/there.toml")
    assert line.startswith('SESSIONIZER_COLLECT_KEYS_FILE = "/not/there.toml": does not exist: ')
    assert line.endswith("sessionizer collect keys add NAME makes it")


def test_keys_may_come_from_file_and_option_if_they_differ(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.with_text(entry())
    monkeypatch.chdir(file.path.parent)  # a line cuts long paths
    path = file.path.name
    accepted(KEYS_FILE=path, KEYS=f"server:{SERVER}")
    assert refused(KEYS_FILE=path, KEYS=f"shop:{SERVER}") == [
        (
            f'SESSIONIZER_COLLECT_KEYS = ***: together with collect.keys_file = "{path}" '
            "(SESSIONIZER_COLLECT_KEYS_FILE): shop: is the name of 2 keys"
        )
    ]


def test_a_file_of_pairs_is_the_secret_from_a_file(file: File) -> None:
    accepted(KEYS_FILE=str(file.with_text(f"shop:{SHOP}\n")))


def test_a_file_whose_keys_are_all_disabled_is_right(file: File) -> None:
    accepted(KEYS_FILE=str(file.with_text(entry("disabled = true"))))
