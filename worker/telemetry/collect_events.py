"""The log events of the collector, the process of the HTTPS API: its start and end, brokers, keys, figures.

The invariants of the package hold, and more: no key, address of a client, query string or request line. A key
appears by its name. Nothing is written for a single request.
"""

from worker.telemetry.log_event import LogEvent


class CollectStarted(LogEvent, frozen=True, kw_only=True):
    """The collector listens. ``listen`` and ``admin_listen`` are the addresses in effect (``admin_listen`` is
    null where there is none). ``native``: the native library is used (``engine.implementation``). It answers
    503 until the brokers have named the raw topic.

    Alert: several a minute from one collector.

    Remedy: it restarts in a loop; the ``collect.failed`` before each start says why.
    """

    NAME = "collect.started"
    version: str
    listen: str
    admin_listen: str | None
    tls: bool
    raw_topic: str
    native: bool


class CollectStatus(LogEvent, frozen=True, kw_only=True):
    """Every ``log.stats_interval_s``: what happened since the line before.

    ``answers`` counts the answers by their status. ``events_accepted`` are acknowledged by Kafka;
    ``events_refused`` are broken (``collect.refused`` says how). ``ack_p50_ms`` and ``ack_p99_ms``: from
    handing records to Kafka to its acknowledgement, within an eighth; null where nothing was acknowledged. Of
    the moment: ``pending_bytes`` of requests that are being read or wait, open ``connections``,
    ``stalled_partitions``, and ``ready``: whether ``/readyz`` answers 200.

    Alert: no such line for three intervals; ``ready`` is false for minutes; 503 among ``answers`` for
    minutes.

    Remedy: 503 with ``stalled_partitions`` above 0: look at the brokers. 503 without: ``collect.pending_mb``
    or another process are too little for what comes in.
    """

    NAME = "collect.status"
    requests: int
    answers: dict[str, int]
    events_accepted: int
    events_refused: int
    ack_p50_ms: float | None
    ack_p99_ms: float | None
    pending_bytes: int
    connections: int
    stalled_partitions: int
    ready: bool
    memory_mb: float
    uptime_s: float


class CollectRefused(LogEvent, frozen=True, kw_only=True):
    """Events were refused since the last ``collect.status``: counted by the name of the write key they came
    with (``anonymous`` without one) and by reason. The senders have the index and the detail of each.

    Alert: a jump of one reason.

    Remedy: whoever uses that key sends broken events. ``collect.refused = "forward"`` keeps them, as dead
    letters.
    """

    NAME = "collect.refused"
    LEVEL = "warning"
    by_key_name: dict[str, dict[str, int]]


class CollectInternalError(LogEvent, frozen=True, kw_only=True):
    """A request was answered 500. ``trace`` names places in the code and the kind of the error, no data of
    the request. The first since the last ``collect.status`` is written at once; that line counts all of them.

    Alert: always.

    Remedy: a bug: please report it with ``trace``.
    """

    NAME = "collect.internal_error"
    LEVEL = "error"
    trace: str


class CollectKafkaAway(LogEvent, frozen=True, kw_only=True):
    """Nothing can be stored: brokers have not named the raw topic yet, or no partition of it acknowledges.
    Requests are answered 503 and ``/readyz`` is 503. Senders keep their events and send them again.

    Alert: no ``collect.kafka_back`` follows within a minute.

    Remedy: check the brokers, and the network to them; ``reason`` says what is missing.
    """

    NAME = "collect.kafka_away"
    LEVEL = "warning"
    reason: str


class CollectKafkaBack(LogEvent, frozen=True, kw_only=True):
    """Requests are stored again, after ``away_s``."""

    NAME = "collect.kafka_back"
    away_s: float


class CollectKeysLoaded(LogEvent, frozen=True, kw_only=True):
    """The write keys were read, at the start or because they changed. ``enabled`` can be used; ``disabled``
    are refused as if they did not exist.
    """

    NAME = "collect.keys_loaded"
    enabled: int
    disabled: int


class CollectKeysInvalid(LogEvent, frozen=True, kw_only=True):
    """The file of write keys, or the certificate, has changed and cannot be used. The collector goes on with
    what it had, and looks again. Normal while a file is being written.

    Alert: a minute later still.

    Remedy: ``reason`` names the file, and what is wrong with it.
    """

    NAME = "collect.keys_invalid"
    LEVEL = "warning"
    reason: str


class CollectDraining(LogEvent, frozen=True, kw_only=True):
    """The collector was asked to stop. ``/readyz`` is 503 from now on, and each answer closes its connection.
    New requests are served for ``delay_s``; then those that are being read or wait are finished.
    """

    NAME = "collect.draining"
    delay_s: float
    connections: int


class CollectStopped(LogEvent, frozen=True, kw_only=True):
    """The collector has ended with exit code 0: every request that it began to read was answered."""

    NAME = "collect.stopped"
    uptime_s: float


class CollectFailed(LogEvent, frozen=True, kw_only=True):
    """The collector ends with exit code 1: it cannot start, or what it could not answer was cut off.

    Alert: always.

    Remedy: in ``reason``.
    """

    NAME = "collect.failed"
    LEVEL = "error"
    reason: str
