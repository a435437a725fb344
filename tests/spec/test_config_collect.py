"""The options of the HTTPS API: what contradicts, what names nothing, and what only the collector needs."""

from pathlib import Path

import pytest

from tests.configurations import faults
from worker.config import ConfigError, load, warnings
from worker.config.address import Address, address_of

KEYS = {"SESSIONIZER_COLLECT_KEYS": "shop:wk_0123456789abcdef"}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:65535", "::1", 65535),
        ("collector.internal:443", "collector.internal", 443),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    address = address_of(text)
    assert address == Address(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "host", "host:", "::1:80", "http://host:80", "host:65536", "a b:1", "host:-1"],
)
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    assert address_of(text) is None
    assert faults(COLLECT_LISTEN=text) == [
        f'SESSIONIZER_COLLECT_LISTEN = "{text}": expected host:port, e.g. 127.0.0.1:8080 or [::1]:8080'
    ]


def test_no_admin_address_is_allowed_and_no_other_address_may_be_missing() -> None:
    assert load(None, {"SESSIONIZER_COLLECT_ADMIN_LISTEN": ""}).collect.admin_listen == ""
    (line,) = faults(LIVE_LISTEN="")
    assert line.startswith("SESSIONIZER_LIVE_LISTEN")
    (line,) = faults(COLLECT_ADMIN_LISTEN="here")
    assert line.endswith(", or nothing")


@pytest.mark.parametrize(
    ("listen", "admin"),
    [("127.0.0.1:8080", "127.0.0.1:8080"), ("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:80", "[::1]:80")],
)
def test_figures_are_never_on_the_public_address(listen: str, admin: str) -> None:
    (line,) = faults(COLLECT_LISTEN=listen, COLLECT_ADMIN_LISTEN=admin)
    assert "must be another address than collect.listen" in line


def test_ports_that_the_system_chooses_are_different_ones() -> None:
    load(None, {"SESSIONIZER_COLLECT_LISTEN": "[::1]:0", "SESSIONIZER_COLLECT_ADMIN_LISTEN": "[::1]:0"})


@pytest.mark.parametrize("path", ["e", "/", "/a?b", "/a#b", "/%65", "/a b", "/ä", "/" + "a" * 200])
def test_a_path_that_no_request_can_have_is_refused(path: str) -> None:
    (line,) = faults(COLLECT_PATHS=path)
    assert "expected paths that begin with '/'" in line


def test_a_path_has_one_meaning() -> None:
    (line,) = faults(COLLECT_PATHS="/e,/readyz")
    assert line.endswith(": /readyz has a meaning already: choose another path")
    (line,) = faults(COLLECT_PATHS="/e,/e")
    assert line.endswith(": a path is there twice")
    assert load(None, {"SESSIONIZER_COLLECT_PATHS": "/e,/t/1"}).collect.paths == ("/e", "/t/1")


@pytest.mark.parametrize("proxies", ["proxy", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8,x"])
def test_a_proxy_is_a_network(proxies: str) -> None:
    (line,) = faults(COLLECT_TRUSTED_PROXIES=proxies)
    assert "expected networks or addresses, e.g. 10.0.0.0/8" in line
    load(None, {"SESSIONIZER_COLLECT_TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.1, fd00::/8"})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"COLLECT_PENDING_MB": "1"},
            "collect.pending_mb|SESSIONIZER_COLLECT_PENDING_MB = 1: must hold twice",
        ),
        ({"COLLECT_ACK_TIMEOUT_MS": "1500"}, "must be below collect.ack_timeout_ms = 1500"),
        ({"COLLECT_STALL_MS": "2"}, "must be below collect.stall_ms = 2"),
        ({"COLLECT_TLS_CERTFILE": "/c.pem"}, 'is needed with collect.tls_certfile = "/c.pem"'),
        ({"COLLECT_TLS_KEYFILE": "/k.pem"}, 'is needed with collect.tls_keyfile = "/k.pem"'),
    ],
)
def test_options_that_contradict_are_one_line(variables: dict[str, str], expected: str) -> None:
    (line,) = faults(**variables)
    assert any(part in line for part in expected.split("|"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"INPUT_MAX_EVENTS": "7"}, "must not be above input.max_events = 7"),
        (
            {"INPUT_MAX_VALUE_BYTES": "500000", "INPUT_MAX_OBJECT_BYTES": "500000"},
            "must not be above input.max_value_bytes = 500000",
        ),
        (
            {"COLLECT_TLS_CERTFILE": __file__, "COLLECT_TLS_KEYFILE": "/not/there.pem"},
            'SESSIONIZER_COLLECT_TLS_KEYFILE = "/not/there.pem": cannot be read: No such file or directory',
        ),
    ],
)
def test_what_only_the_collector_needs_is_checked_only_for_it(
    variables: dict[str, str], expected: str
) -> None:
    named = {f"SESSIONIZER_{name}": value for name, value in variables.items()}
    load(None, named)
    with pytest.raises(ConfigError) as refused:
        load(None, named | KEYS, collects=True)
    (line,) = refused.value.lines
    assert expected in line


@pytest.mark.parametrize(
    ("listen", "more", "warned"),
    [
        ("127.0.0.1:80", {}, False),
        ("[::1]:80", {}, False),
        ("localhost:80", {}, False),
        ("10.1.2.3:80", {}, False),
        ("0.0.0.0:80", {}, True),
        ("[::]:80", {}, True),
        ("93.184.216.34:80", {}, True),
        ("collect.example:80", {}, True),
        ("0.0.0.0:80", {"COLLECT_TRUSTED_PROXIES": "10.0.0.0/8"}, False),
        ("0.0.0.0:443", {"COLLECT_TLS_CERTFILE": __file__, "COLLECT_TLS_KEYFILE": __file__}, False),
    ],
)
def test_plaintext_in_public_is_warned_of(listen: str, more: dict[str, str], warned: bool) -> None:
    variables = {"COLLECT_LISTEN": listen, **more}
    config = load(None, {f"SESSIONIZER_{name}": value for name, value in variables.items()})
    lines = warnings(config, None)
    assert [("without TLS" in line) for line in lines] == [True] * warned


def test_seconds_by_mistake_are_warned_of() -> None:
    variables = {"COLLECT_ACK_TIMEOUT_MS": "10", "COLLECT_STALL_MS": "3"}
    config = load(None, {f"SESSIONIZER_{name}": value for name, value in variables.items()})
    assert len(warnings(config, None)) == 2


def test_the_files_of_the_project_pass_what_the_collector_needs() -> None:
    for path in sorted((Path(__file__).parents[2] / "config").rglob("*.toml")):
        load(path, KEYS, collects=True)
