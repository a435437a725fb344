"""Every option of the worker: its section, type, default and bounds.

One struct for each section, one field for each option. ``config/worker.toml`` says what each is for, and a
test compares the two. Knows nothing of files, of the environment or of how faults are shown. The invariant:
each option is one field here, and each field an option. Options that the core needs are in
``worker.model.rules``; a section with further options extends the struct there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from worker.model.rules import IdentityRules, InputRules, Rules, SessionRules
from worker.model.topics import TOPICS, Role

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
ContextField = Literal["ip", "ip_truncated", "user_agent", "origin"]


class Secret:
    """Text that is shown as ``***`` everywhere. Only ``reveal()`` returns it.

    ``file`` is the file it was read from, if any: each login reads it again.
    """

    __slots__ = ("_text", "file")

    def __init__(self, text: str = "", file: Path | None = None) -> None:
        self._text = text
        self.file = file

    @classmethod
    def read(cls, file: Path) -> "Secret":
        """The file's text without its last line end. Raises OSError, or UnicodeDecodeError for no UTF-8."""
        return cls(file.read_bytes().decode().rstrip("\r\n"), file)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***" if self._text else '""'

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (other._text, other.file) == (self._text, self.file)

    def __hash__(self) -> int:
        return hash(self._text)


class Kafka(Struct, frozen=True, kw_only=True):
    """Addresses of the brokers, group, login and timeouts. Times in ms."""

    bootstrap_servers: str = "localhost:9092"
    group_id: str = "sessionizer"
    group_instance_id: str = "auto"
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = ""
    sasl_username: str = ""
    sasl_password: Secret = Secret()
    sasl_oauth_token_url: str = ""
    sasl_oauth_client_id: str = ""
    sasl_oauth_client_secret: Secret = Secret()
    sasl_oauth_scope: str = ""
    sasl_oauth_cafile: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_password: Secret = Secret()
    session_timeout_ms: int = 15_000
    heartbeat_interval_ms: int = 1_000
    transaction_timeout_ms: int = 20_000
    commit_interval_ms: int = 100
    start_from: Literal["earliest", "latest"] = "earliest"
    compression: Compression = "zstd"


class Topics(Struct, frozen=True, kw_only=True):
    """Names of topics, by their role in ``model.topics``, which says what an empty name means."""

    raw: str = "events.raw"
    enriched: str = "events.enriched"
    sessions: str = "events.sessions"
    identities: str = "events.identities"
    dead_letters: str = "events.dead-letters"
    changelog: str = ""
    repartition: str = ""


class Input(InputRules, frozen=True, kw_only=True):
    """The limits of events, and how they get to the partition of their device."""

    repartition: Literal["auto", "never"] = "auto"
    partitioner: Literal["murmur2", "crc32"] = "murmur2"


class State(Struct, frozen=True, kw_only=True):
    """Where the devices' state is stored, how much memory it may use, and for how long it is kept."""

    store: Literal["rocksdb", "memory"] = "rocksdb"
    directory: str = "state"
    memory_mb: int = 256
    retention_days: int = 396


class Engine(Struct, frozen=True, kw_only=True):
    """Who does what has two implementations: ``auto``: the native library where it is installed."""

    implementation: Literal["auto", "native", "python"] = "auto"


class Log(Struct, frozen=True, kw_only=True):
    """How the log is written. ``format`` ``auto``: ``console`` on a terminal, else ``json``.

    ``instance`` is in every line; empty: host name and process id.
    """

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    stats_interval_s: int = 10
    instance: str = ""


class Health(Struct, frozen=True, kw_only=True):
    """``file`` is touched while the worker makes progress: "auto" for one in ``state.directory``, empty for
    none.
    """

    file: str = "auto"


class Collect(Struct, frozen=True, kw_only=True):
    """The HTTPS API: addresses, write keys, what is done with refused events, and limits.

    Limits of connections and of bytes are those of one process. Source: docs/collect.md.
    """

    listen: str = "127.0.0.1:8080"
    admin_listen: str = "127.0.0.1:8081"
    keys_file: str = ""
    keys: Secret = Secret()
    anonymous: bool = False
    refused: Literal["answer", "forward"] = "answer"
    context: tuple[ContextField, ...] = ()
    paths: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    max_body_bytes: int = 1_000_000
    max_events: int = 500
    max_connections: int = 10_000
    pending_mb: int = 64
    ack_timeout_ms: int = 10_000
    stall_ms: int = 1_500
    linger_ms: int = 2
    drain_delay_s: int = 5
    tls_certfile: str = ""
    tls_keyfile: str = ""


class Live(Struct, frozen=True, kw_only=True):
    """The live page: where it listens, and the token that it asks for on other addresses than loopback.

    ``collector``: where browsers reach the HTTPS API, as ``https://host``; empty: on ``collect.listen``.
    ``write_key``: the key that the page sends with; whoever may open the page can read it.
    """

    listen: str = "127.0.0.1:8700"
    token: Secret = Secret()
    collector: str = ""
    write_key: Secret = Secret()


class Config(Struct, frozen=True, kw_only=True):
    """All options, checked. ``sources``: option -> the file or variable that set it; others have their
    default.
    """

    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    input: Input = Input()
    session: SessionRules = SessionRules()
    identity: IdentityRules = IdentityRules()
    state: State = State()
    engine: Engine = Engine()
    log: Log = Log()
    health: Health = Health()
    collect: Collect = Collect()
    live: Live = Live()
    sources: Mapping[str, str] = {}

    @property
    def rules(self) -> Rules:
        """The options that the core needs."""
        return Rules(
            input=self.input,
            session=self.session,
            identity=self.identity,
            retention_ms=self.state.retention_days * 86_400_000,
            publish_sessions=bool(self.topics.sessions),
            publish_identities=bool(self.topics.identities),
        )

    def topic_name(self, role: Role) -> str:
        """The topic of that role; empty where it is turned off. Internal ones are named after the group."""
        name: str = getattr(self.topics, role)
        return name or (f"{self.kafka.group_id}.{role}" if TOPICS[role].kind == "internal" else "")

    @property
    def topic_names(self) -> dict[Role, str]:
        """The topics that are read and written, by role; without those that are turned off."""
        unused = () if self.input.repartition == "auto" else ("repartition",)
        names = {role: self.topic_name(role) for role in TOPICS if role not in unused}
        return {role: name for role, name in names.items() if name}

    @property
    def health_file(self) -> Path | None:
        """The file that is touched while the worker makes progress, if one is wanted."""
        if self.health.file == "auto":
            return Path(self.state.directory) / f"{self.kafka.group_id}.health"
        return Path(self.health.file) if self.health.file else None

    @property
    def changelog_topic(self) -> str:
        """The topic that holds the devices' state."""
        return self.topic_name("changelog")

    @property
    def repartition_topic(self) -> str:
        """The internal topic of events that are sent to their device's partition."""
        return self.topic_name("repartition")


SECTIONS: dict[str, type[Struct]] = {
    "kafka": Kafka,
    "topics": Topics,
    "input": Input,
    "session": SessionRules,
    "identity": IdentityRules,
    "state": State,
    "engine": Engine,
    "log": Log,
    "health": Health,
    "collect": Collect,
    "live": Live,
}

BOUNDS: dict[str, tuple[int, int]] = {
    "kafka.session_timeout_ms": (1_000, 1_800_000),  # the most that a broker allows by default
    "kafka.transaction_timeout_ms": (
        4_000,
        900_000,
    ),  # a busy transaction takes 1 s, a third of it; the broker's limit
    "input.max_value_bytes": (1_024, 256 * 1024 * 1024),
    "input.max_text_bytes": (16, 8_192),  # ids are keys of the state, so longer ones would fill it
    "input.max_object_bytes": (2, 16 * 1024 * 1024),
    "input.max_depth": (2, 500),  # an event has data; JSON parsers give up at about 900
    "input.duplicates_remembered": (1, 5_000),  # 70 KB of state, written whenever the device is seen
    "session.grace_ms": (0, 2**31 - 1),
    "session.max_future_ms": (0, 2**31 - 1),
    "session.max_duration_ms": (0, 2**31 - 1),
    "session.bounce_ms": (0, 2**31 - 1),
    "session.remembered": (2, 64),  # with 1 each late event would open a session of its own
    "state.memory_mb": (16, 1_048_576),
    "state.retention_days": (1, 36_500),
    "log.stats_interval_s": (1, 86_400),
    "collect.max_body_bytes": (1_024, 64 * 1024 * 1024),
    "collect.max_events": (1, 10_000),
    "collect.linger_ms": (0, 1_000),
    "collect.drain_delay_s": (0, 600),
}
"""The least and the greatest value of an integer option, both allowed. All others: ``ANY_COUNT``."""

ANY_COUNT = (1, 2**31 - 1)

EXAMPLES: dict[str, object] = {
    "session.event_types": {"logout": "unlink"},
    "identity.blocked_user_ids": ["null", "anonymous"],
    "identity.blocked_device_ids": ["null", "anonymous"],
    "collect.context": ["ip_truncated", "user_agent"],
    "collect.paths": ["/e"],
    "collect.trusted_proxies": ["10.0.0.0/8"],
}
"""A value of each option that is a table or a list, shown where a wrong one is refused."""
