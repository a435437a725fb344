"""Checks across options: which values contradict each other, and which files must be readable.

Each check yields a ``Fault``; those of the HTTPS API are in ``collect_checks``. A check may open a file, and
knows no network. The invariant: it is only asked about values that have their type and are within their
bounds.
"""

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

from worker.config.collect_checks import COLLECT_CHECKS, COLLECTOR_CHECKS
from worker.config.fault import Fault, unreadable
from worker.config.key_checks import KEY_CHECKS
from worker.config.options import Config
from worker.config.values import value_of
from worker.model.topics import TOPICS

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def faults(config: Config, *, connects: bool, collects: bool = False) -> Iterator[Fault]:
    """Everything wrong with a configuration whose values are right each by itself.

    ``connects``: whether to check also what only a connection to brokers needs. ``collects``: the same of
    what only the collector needs.
    """
    checks = (*CONNECTION_CHECKS, *CHECKS) if connects else CHECKS
    for check in (*checks, *COLLECTOR_CHECKS, *KEY_CHECKS) if collects else checks:
        yield from check(config)


def _durations(config: Config) -> Iterator[Fault]:
    kafka, session, state = config.kafka, config.session, config.state
    if kafka.commit_interval_ms * 3 >= kafka.transaction_timeout_ms:
        yield Fault(
            ("kafka.commit_interval_ms", "kafka.transaction_timeout_ms"),
            "must be below a third of {1}, else transactions expire before they commit",
        )
    if kafka.heartbeat_interval_ms * 3 >= kafka.session_timeout_ms:
        yield Fault(
            ("kafka.heartbeat_interval_ms", "kafka.session_timeout_ms"),
            "must be below a third of {1}, else two lost heartbeats cost the worker its partitions",
        )
    if session.max_future_ms > session.grace_ms:
        yield Fault(
            ("session.max_future_ms", "session.grace_ms"),
            "must not be above {1}, else one device whose clock is ahead closes the sessions of all others",
        )
    if state.retention_days * 86_400_000 <= session.gap_ms + session.grace_ms:
        yield Fault(
            ("state.retention_days", "session.gap_ms", "session.grace_ms"),
            "must be longer than {1} and {2} together, else devices expire within a session",
        )


def _sizes(config: Config) -> Iterator[Fault]:
    if config.input.max_object_bytes > config.input.max_value_bytes:
        yield Fault(
            ("input.max_object_bytes", "input.max_value_bytes"),
            "must not be above {1}, the size of the whole value that holds the object",
        )


def _duplicates(config: Config) -> Iterator[Fault]:
    mode, of_device, window = "input.duplicates", "input.duplicates_remembered", "input.duplicates_ms"
    if config.input.duplicates == "keep":
        for key in (of_device, window):
            if value_of(config, key) != value_of(Config(), key):
                yield Fault((key, mode), "has no meaning with {1}: use flag or drop")
    elif config.input.duplicates_ms > config.state.retention_days * 86_400_000:
        yield Fault(
            (window, "state.retention_days"),
            "must not be longer than {1}, after which a silent device expires with its ids",
        )


def _server_list(config: Config) -> Iterator[Fault]:
    for server in config.kafka.bootstrap_servers.split(","):
        match = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", server.strip())
        if match is None or not 0 < int(match[1]) < 65_536:
            yield Fault(
                ("kafka.bootstrap_servers",),
                "expected host:port, several separated by commas, e.g. kafka-1:9092,kafka-2:9092",
            )
            return


_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_LEGAL_NAME_EXPECTED = "expected a name that Kafka allows: at most 249 letters, digits, '.', '_' and '-'"


def _is_legal(name: str) -> bool:
    return _LEGAL_NAME.fullmatch(name) is not None and name not in (".", "..")


def _names(config: Config) -> Iterator[Fault]:
    kafka = config.kafka
    if not kafka.group_id:
        yield Fault(
            ("kafka.group_id",), "must not be empty: it names the group, its transactions and its topics"
        )
    elif not _is_legal(f"{kafka.group_id}.changelog"):
        yield Fault(
            ("kafka.group_id",),
            "expected at most 239 letters, digits, '.', '_' and '-': topics are named after it",
        )
    if kafka.group_instance_id and not _is_legal(kafka.group_instance_id):
        yield Fault(("kafka.group_instance_id",), _LEGAL_NAME_EXPECTED + "; or auto, or nothing")


def _topics(config: Config) -> Iterator[Fault]:
    names = {role: config.topic_name(role) for role in TOPICS}
    for role, name in names.items():
        given: str = getattr(config.topics, role)
        if given and not _is_legal(given):
            yield Fault((f"topics.{role}",), _LEGAL_NAME_EXPECTED)
        if not name and not TOPICS[role].optional:
            yield Fault((f"topics.{role}",), "must not be empty: the worker cannot do without this topic")
    legal = [(role, name) for role, name in names.items() if _is_legal(name)]
    for (option, name), (other, other_name) in combinations(legal, 2):
        if name.replace(".", "_") == other_name.replace(".", "_"):
            yield Fault(
                (f"topics.{other}", f"topics.{option}"),
                f"{other_name} must be another topic than {{1}} (Kafka treats '.' and '_' as the same)",
            )


_BY_PASSWORD = ("kafka.sasl_username", "kafka.sasl_password")
_BY_TOKEN = (
    "kafka.sasl_oauth_token_url",
    "kafka.sasl_oauth_client_id",
    "kafka.sasl_oauth_client_secret",
    "kafka.sasl_oauth_scope",
    "kafka.sasl_oauth_cafile",
)
_NEEDED_BY_TOKEN = _BY_TOKEN[:3]


def _sasl(config: Config) -> Iterator[Fault]:
    kafka = config.kafka
    protocol, mechanism = "kafka.security_protocol", "kafka.sasl_mechanism"
    if not kafka.security_protocol.startswith("SASL_"):
        for key in (mechanism, *_BY_PASSWORD, *_BY_TOKEN):
            if value_of(config, key):
                yield Fault((key, protocol), "has no meaning with {1}: use SASL_SSL or SASL_PLAINTEXT")
        return
    by_token = kafka.sasl_mechanism == "OAUTHBEARER"
    if not kafka.sasl_mechanism:
        yield Fault((mechanism, protocol), "is needed with {1}")
    for key in _NEEDED_BY_TOKEN if by_token else _BY_PASSWORD:
        if not value_of(config, key):
            yield Fault((key, mechanism if by_token else protocol), "is needed with {1}")
    for key in _BY_PASSWORD if by_token else _BY_TOKEN:
        if value_of(config, key):
            yield Fault((key, mechanism), "has no meaning with {1}")
    if by_token:
        yield from _token_endpoint(config)


def _token_endpoint(config: Config) -> Iterator[Fault]:
    kafka = config.kafka
    if kafka.sasl_oauth_token_url and not _may_get_the_secret(kafka.sasl_oauth_token_url):
        yield Fault(
            ("kafka.sasl_oauth_token_url",),
            "expected https://host/path, without a user (http:// on localhost only: the client secret is "
            "sent there)",
        )
    elif kafka.sasl_oauth_cafile and not kafka.sasl_oauth_token_url.startswith("https:"):
        yield Fault(
            ("kafka.sasl_oauth_cafile", "kafka.sasl_oauth_token_url"), "has no meaning with {1}: use https"
        )
    if kafka.sasl_oauth_cafile and (problem := unreadable(Path(kafka.sasl_oauth_cafile))):
        yield Fault(("kafka.sasl_oauth_cafile",), problem)


def _may_get_the_secret(url: str) -> bool:
    """Whether it is an address to which the client secret may be sent: by TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError where it is no number
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _ssl(config: Config) -> Iterator[Fault]:
    kafka = config.kafka
    used = kafka.security_protocol.endswith("SSL")
    paths = (
        ("kafka.ssl_cafile", kafka.ssl_cafile),
        ("kafka.ssl_certfile", kafka.ssl_certfile),
        ("kafka.ssl_keyfile", kafka.ssl_keyfile),
    )
    for key, value in (*paths, ("kafka.ssl_password", kafka.ssl_password)):
        if value and not used:
            yield Fault((key, "kafka.security_protocol"), "has no meaning with {1}: use SSL or SASL_SSL")
    for key, path in paths:
        if path and used and (problem := unreadable(Path(path))):
            yield Fault((key,), problem)
    if kafka.ssl_keyfile and not kafka.ssl_certfile:
        yield Fault(
            ("kafka.ssl_certfile", "kafka.ssl_keyfile"), "is needed with {1}: the certificate of that key"
        )
    if kafka.ssl_password and not kafka.ssl_certfile:
        yield Fault(("kafka.ssl_certfile", "kafka.ssl_password"), "is needed with {1}, which opens its key")


def _state(config: Config) -> Iterator[Fault]:
    if not config.state.directory:
        yield Fault(("state.directory",), "must not be empty: it holds the stores and the worker's identity")


CONNECTION_CHECKS: tuple[Callable[[Config], Iterator[Fault]], ...] = (_server_list, _sasl, _ssl)
CHECKS: tuple[Callable[[Config], Iterator[Fault]], ...] = (
    _names,
    _durations,
    _sizes,
    _duplicates,
    _topics,
    _state,
    *COLLECT_CHECKS,
)
