"""The catalogue of log events: one typed struct each, and the one way to emit them.

The struct's docstring says what it means and what to alert on; ``docs/log_events.md`` is made from it.
Invariants: no event data, no ids of people or devices, no secrets; per transaction batch or interval, never
per event.
"""

import structlog
from msgspec import structs

from worker.telemetry.log_event import LogEvent as LogEvent
from worker.telemetry.partition_events import InputGapPassed as InputGapPassed
from worker.telemetry.partition_events import PartitionAssigned as PartitionAssigned
from worker.telemetry.partition_events import PartitionFounded as PartitionFounded
from worker.telemetry.partition_events import PartitionReleased as PartitionReleased
from worker.telemetry.partition_events import PartitionRestored as PartitionRestored
from worker.telemetry.partition_events import PartitionStuck as PartitionStuck
from worker.telemetry.partition_events import StateRemoved as StateRemoved
from worker.telemetry.partition_events import StateWiped as StateWiped
from worker.telemetry.partition_events import TransactionLost as TransactionLost
from worker.telemetry.partition_events import WatermarkAhead as WatermarkAhead
from worker.telemetry.partition_events import WorkerIdle as WorkerIdle


class WorkerStarted(LogEvent, frozen=True, kw_only=True):
    """The process is up and about to join its consumer group. Alert: several a minute, it is restarting in a
    loop.
    """

    NAME = "worker.started"
    version: str
    group_id: str
    group_instance_id: str | None
    raw_topic: str
    state_directory: str


class WorkerStopped(LogEvent, frozen=True, kw_only=True):
    """The process ends as asked; every open transaction was finished or will be aborted by its next owner."""

    NAME = "worker.stopped"
    seconds: float


class WorkerFailed(LogEvent, frozen=True, kw_only=True):
    """The process ends with exit code 1. ``reason`` says what a human has to do. Alert: always."""

    NAME = "worker.failed"
    LEVEL = "error"
    reason: str


class SignalReceived(LogEvent, frozen=True, kw_only=True):
    """The process heard a signal. ``action``: ``stop`` (it ends in order), ``dump`` (the stacks of all
    threads are on stderr, the work goes on) or ``ignored``.
    """

    NAME = "signal.received"
    signal: str
    action: str


class ConfigWarning(LogEvent, frozen=True, kw_only=True):
    """An option has a value that is allowed and looks like a mistake; ``sessionizer check`` and
    ``config show`` say the same.
    """

    NAME = "config.warning"
    LEVEL = "warning"
    problem: str


class TopicProblem(LogEvent, frozen=True, kw_only=True):
    """A topic's settings are unwise, though the worker can start; ``sessionizer check`` shows them all."""

    NAME = "topic.problem"
    LEVEL = "warning"
    problem: str


class EventsRejected(LogEvent, frozen=True, kw_only=True):
    """Bad events went to the dead-letter topic in this interval; ``last`` is where the newest one stands in
    the raw topic.

    Alert: a jump of one reason, a producer has broken.
    """

    NAME = "events.rejected"
    LEVEL = "warning"
    by_reason: dict[str, int]
    last: str


class PartitionerMismatch(LogEvent, frozen=True, kw_only=True):
    """Keyed records lie where ``producers``' partitioner puts them, not where ``input.partitioner`` says. All
    is right, but each event goes the long way through the repartition topic.

    Alert: at once. Remedy: a new group (kafka.group_id) with ``input.partitioner`` set to ``producers``.
    """

    NAME = "partitioner.mismatch"
    LEVEL = "warning"
    partitioner: str
    producers: str


class ConsumerFailed(LogEvent, frozen=True, kw_only=True):
    """A fetch, or the first question to the brokers, failed and is tried again.

    Alert: it goes on for minutes.
    """

    NAME = "consumer.failed"
    LEVEL = "warning"
    cause: str


class LoginRefused(LogEvent, frozen=True, kw_only=True):
    """A broker is there and refuses who we are; ``reason`` names broker, user, cause and remedy.

    ``in_a_row`` counts since it last let us in; only 1, 2, 4, 8 ... are logged. It is tried again after
    ``retry_in_s``, or as soon as a file of the login has changed; after ``most`` in a row, and none accepted,
    the worker ends. Alert: always.
    """

    NAME = "login.refused"
    LEVEL = "warning"
    reason: str
    in_a_row: int
    most: int
    retry_in_s: float


class LoginChanged(LogEvent, frozen=True, kw_only=True):
    """``files`` of the login (password, certificate, key ...) have changed: new connections use them."""

    NAME = "login.changed"
    files: list[str]


class LoginFilesUnusable(LogEvent, frozen=True, kw_only=True):
    """A file of the login has changed and cannot be used. The worker goes on with what it had, and reads the
    files again at the next connection. Normal while they are being written.

    Alert: it is not followed by ``login.changed``.
    """

    NAME = "login.files_unusable"
    LEVEL = "warning"
    cause: str


class ClaimsIgnored(LogEvent, frozen=True, kw_only=True):
    """``what`` a worker holds was not regarded when the group's partitions were assigned, so more of them may
    have moved than had to. Normal while two releases run side by side.

    Alert: it comes although all workers are of one release.
    """

    NAME = "claims.ignored"
    LEVEL = "warning"
    what: str
    cause: str


class LibraryWarning(LogEvent, frozen=True, kw_only=True):
    """A library, most often the Kafka client, logged ``cause`` as a warning or an error. Each cause is
    written at once and then once a minute at most; ``passed_over`` lines like it, but for their numbers, were
    not written since the last one. It was logged ``seconds_ago``: the last line of a minute is written at its
    end, when its cause may be over. ``raised_at`` is where an exception came from, innermost last.

    Alert: it goes on for minutes. The worker's own lines say what it means for the work.
    """

    NAME = "library.warning"
    LEVEL = "warning"
    logger: str
    cause: str
    passed_over: int
    seconds_ago: float
    raised_at: list[str]


class ClockSkew(LogEvent, frozen=True, kw_only=True):
    """This machine's wall clock is ``seconds`` ahead (below 0: behind): of itself (``against`` ``itself``: it
    was set, or the machine slept), of the ``brokers``' clocks by a minute or more, or of what ``producers``
    write into records that arrive just now by more than ``session.gap_ms`` + ``grace_ms``, as they do also
    where old records are put in. Logged once for each change, and of brokers and producers again when they
    agree. Sessions of devices that have nothing to say close by the wall clock, or by the brokers' where that
    is earlier; users, ids and memberships never depend on a clock.

    Alert: always, ``producers`` aside. Remedy: NTP.
    """

    NAME = "clock.skew"
    LEVEL = "warning"
    against: str
    seconds: float


class WorkerStatus(LogEvent, frozen=True, kw_only=True):
    """What the worker did in the last interval, and in total since its start ``uptime_s`` ago (``..._total``:
    all partitions together, also those that went elsewhere). Alert: ``lag`` grows while ``events_per_s`` does
    not, or it stays away.

    Lag in records by partition, null where nobody knows it: ``lag_unknown`` counts those by reason. Behind
    the first open transaction of a producer nobody may read: ``in_open_transactions`` counts those offsets by
    partition, where there are some, and ``lag`` does not. ``events_repartitioned`` went to the partition of
    their device, where they count among the events; ``watermark_age_s`` is wall clock minus the oldest
    partition's watermark; ``commit_...`` are the times that transactions took; ``delay_...`` goes from the
    timestamp of the first record of a transaction to its commit, by the wall clock: from the receipt where
    raw has ``LogAppendTime``, else from what the producer says, and below 0 where its clock is ahead;
    ``rss_mb`` is resident memory.
    """

    NAME = "worker.status"
    uptime_s: float
    events_per_s: float
    records_per_s: float
    events_repartitioned: int
    transactions: int
    transactions_lost: int
    lag: dict[str, int | None]
    lag_unknown: dict[str, int]
    in_open_transactions: dict[str, int]
    partitions_running: int
    partitions_restoring: int
    watermark_age_s: float | None
    commit_p50_ms: float | None
    commit_p99_ms: float | None
    delay_p50_ms: float | None
    delay_p99_ms: float | None
    sessions_opened: int
    sessions_closed: int
    devices_linked: int
    dead_letters: dict[str, int]
    events_total: int
    records_total: int
    transactions_total: int
    transactions_lost_total: int
    dead_letters_total: int
    rss_mb: float


class ProcessStarted(LogEvent, frozen=True, kw_only=True):
    """``run --processes``: the worker of this slot was started, with the number its own lines bear."""

    NAME = "process.started"
    slot: int
    pid: int


class ProcessExited(LogEvent, frozen=True, kw_only=True):
    """The worker of a slot ended without being asked to, or not as it was asked. It is started again after
    ``restart_in_s``; null: it is not. An ``exit_code`` below 0 is the signal that ended it.

    Alert: again and again; the slot's own lines before it say why.
    """

    NAME = "process.exited"
    LEVEL = "warning"
    slot: int
    exit_code: int
    seconds: float
    restart_in_s: float | None


class LogLinesLost(LogEvent, frozen=True, kw_only=True):
    """``run --processes``: so many lines of the workers could not be written, most often because the disk was
    full; this one could. A worker alone says so as ``log_lines_lost`` in its next line.
    """

    NAME = "log.lines_lost"
    LEVEL = "warning"
    lines: int


CATALOGUE: tuple[type[LogEvent], ...] = (
    WorkerStarted,
    WorkerStopped,
    WorkerFailed,
    SignalReceived,
    ConfigWarning,
    TopicProblem,
    PartitionAssigned,
    WorkerIdle,
    PartitionReleased,
    PartitionRestored,
    PartitionFounded,
    InputGapPassed,
    PartitionStuck,
    WatermarkAhead,
    StateWiped,
    StateRemoved,
    TransactionLost,
    EventsRejected,
    PartitionerMismatch,
    ConsumerFailed,
    LoginRefused,
    LoginChanged,
    LoginFilesUnusable,
    ClaimsIgnored,
    ClockSkew,
    LibraryWarning,
    WorkerStatus,
    ProcessStarted,
    ProcessExited,
    LogLinesLost,
)


def emit(event: LogEvent) -> None:
    """Write one event to the log."""
    getattr(structlog.get_logger(), event.LEVEL)(event.NAME, **structs.asdict(event))
