"""The log events of a worker process: its start and end, configuration, brokers, login, clock and figures.

The invariants of the package hold: no event data, no ids of people or devices, no secrets.
"""

from worker.telemetry.log_event import LogEvent


class WorkerStarted(LogEvent, frozen=True, kw_only=True):
    """The process has started and is about to join its consumer group. ``native``: the native library is used
    (``engine.implementation``).

    Alert: several a minute from one worker.

    Remedy: the worker restarts in a loop; the ``worker.failed`` before each start says why.
    """

    NAME = "worker.started"
    version: str
    group_id: str
    group_instance_id: str | None
    raw_topic: str
    state_directory: str
    native: bool


class EngineNotUsed(LogEvent, frozen=True, kw_only=True):
    """A native library is installed, and is not used: it was built for another version, or cannot be loaded.
    Everything is done without it, with the same results.

    Remedy: install the ``sessionizer-native`` of the same version; in a checkout ``make native``.
    """

    NAME = "engine.not_used"
    LEVEL = "warning"
    reason: str


class WorkerStopped(LogEvent, frozen=True, kw_only=True):
    """The process was asked to stop and ends with exit code 0. Every transaction was finished, or its next
    owner aborts it. ``uptime_s`` is the time since its start.
    """

    NAME = "worker.stopped"
    uptime_s: float


class WorkerFailed(LogEvent, frozen=True, kw_only=True):
    """The process ends with exit code 1, because going on would lose or repeat events or can never succeed.

    Alert: always.

    Remedy: in ``reason``. docs/operations.md has a table of the common reasons.
    """

    NAME = "worker.failed"
    LEVEL = "error"
    reason: str


class WorkerIdle(LogEvent, frozen=True, kw_only=True):
    """The group has no partition for this worker: there are at least as many workers as partitions. It waits,
    and takes over when another worker stops.

    Alert: where you run fewer workers than the raw topic has partitions.
    """

    NAME = "worker.idle"


class SignalReceived(LogEvent, frozen=True, kw_only=True):
    """The process received a signal. ``action``: ``stop`` (it stops in order), ``dump`` (it writes the stacks
    of all threads to stderr and goes on), ``reload`` (the collector reads its files again) or ``ignored``.
    """

    NAME = "signal.received"
    signal: str
    action: str


class ConfigWarning(LogEvent, frozen=True, kw_only=True):
    """An option has a value that is allowed and looks like a mistake.

    Remedy: correct the option that ``problem`` names. ``sessionizer check`` and ``config show`` print the
    same.
    """

    NAME = "config.warning"
    LEVEL = "warning"
    problem: str


class TopicWarning(LogEvent, frozen=True, kw_only=True):
    """A topic has a setting that is wrong or unwise, and the worker starts in spite of it.

    Remedy: ``sessionizer check`` prints every such setting with the command that corrects it.
    """

    NAME = "topic.warning"
    LEVEL = "warning"
    problem: str


class DeadLettersWritten(LogEvent, frozen=True, kw_only=True):
    """Events were written to the dead-letter topic since the last ``worker.status``. ``by_reason`` counts
    them; ``last_position`` is the topic/partition/offset that the newest one came from.

    Alert: a jump of one reason.

    Remedy: a producer sends broken events; the dead letters hold them, with what is wrong.
    """

    NAME = "dead_letters.written"
    LEVEL = "warning"
    by_reason: dict[str, int]
    last_position: str


class EventsWithoutSession(LogEvent, frozen=True, kw_only=True):
    """More than half of the last ``events`` (1,000 or more) are in no session: ``without_session`` of them.

    They are of types with the action ``passive`` (``session.event_types``), and were near no session of their
    device. Most often page views have another name than the configuration expects, so that nothing opens a
    session. ``types`` has the 5 most frequent of those types, the first 40 characters of each. Logged the
    first, second, fourth, eighth ... time; less than a quarter begins again.

    Alert: always, unless most of your events are sent by idle clients.

    Remedy: give the types that visitors cause the action ``normal`` in ``session.event_types``. What has been
    enriched stays as it is; ``sessionizer replay`` makes sessions of it. Heartbeats of clients that nobody
    uses are in no session by intent.
    """

    NAME = "events.without_session"
    LEVEL = "warning"
    events: int
    without_session: int
    types: dict[str, int]


class PartitionerMismatch(LogEvent, frozen=True, kw_only=True):
    """Producers choose partitions by another rule (``observed``) than ``input.partitioner`` says
    (``configured``). The outputs are right, but nearly every event takes the detour through the repartition
    topic.

    Alert: always.

    Remedy: start a new group (``kafka.group_id``) with ``input.partitioner`` set to ``observed``.
    """

    NAME = "partitioner.mismatch"
    LEVEL = "warning"
    configured: str
    observed: str


class RequestFailed(LogEvent, frozen=True, kw_only=True):
    """A request to the brokers failed: a fetch, or the first question for the topics. It is tried again.
    Normal while a broker restarts.

    Alert: repeated for minutes.

    Remedy: check the brokers and the network to them.
    """

    NAME = "request.failed"
    LEVEL = "warning"
    reason: str


class EngineFailed(LogEvent, frozen=True, kw_only=True):
    """The native library failed, which is a bug in it. Until the next start Python does its work, with the
    same results, at a higher cost; with ``engine.implementation = "native"`` the process ends.

    Alert: always.

    Remedy: report it with ``reason``, which has the place in its source. Nothing is lost and nothing differs.
    """

    NAME = "engine.failed"
    LEVEL = "warning"
    reason: str


class AuthenticationFailed(LogEvent, frozen=True, kw_only=True):
    """A broker, or the token endpoint, refused the login. ``attempt`` counts since the last login that was
    accepted; only 1, 2, 4, 8 ... are logged. It is tried again after ``retry_in_s``, or as soon as a file of
    the login changes. After ``max_attempts`` without any accepted login the worker ends.

    Alert: always.

    Remedy: ``reason`` names broker, user, cause and what to change.
    """

    NAME = "authentication.failed"
    LEVEL = "warning"
    reason: str
    attempt: int
    max_attempts: int
    retry_in_s: float


class CredentialsReloaded(LogEvent, frozen=True, kw_only=True):
    """``files`` of the login (password, certificate, key ...), or the certificate of the HTTPS API, have
    changed and were read again. New connections use them; open ones stay.
    """

    NAME = "credentials.reloaded"
    files: list[str]


class CredentialsUnusable(LogEvent, frozen=True, kw_only=True):
    """A file of the login has changed and cannot be used. The worker goes on with what it had, and reads the
    files again at the next connection. Normal while they are being written.

    Alert: no ``credentials.reloaded`` follows within a minute.

    Remedy: ``reason`` names the file and what is wrong with it.
    """

    NAME = "credentials.unusable"
    LEVEL = "warning"
    reason: str


class AssignmentNotSticky(LogEvent, frozen=True, kw_only=True):
    """Partitions were assigned without regard to who had them (``problem`` says of whom), so more of them may
    have moved than had to. Normal while two releases run side by side.

    Alert: all workers are of one release.

    Remedy: none is needed for the data. Report it: ``reason`` is the error.
    """

    NAME = "assignment.not_sticky"
    LEVEL = "warning"
    problem: str
    reason: str


class ClockSkew(LogEvent, frozen=True, kw_only=True):
    """This machine's wall clock is wrong by ``skew_s`` (ahead; below 0: behind), measured against
    ``against``:

    ``itself``: it was set, or the machine slept. ``brokers``: a minute or more. ``producers``: it differs
    from the times in records that arrive just now by more than ``session.gap_ms`` + ``grace_ms``; so it does
    where old records are sent in. Logged once for each change, and of brokers and producers again when they
    agree. Sessions of silent devices close by this clock, or by the brokers' where that is earlier; users,
    ids and which events share a session never depend on a clock.

    Alert: always, but for ``producers``.

    Remedy: set the clock by NTP.
    """

    NAME = "clock.skew"
    LEVEL = "warning"
    against: str
    skew_s: float


class LibraryWarning(LogEvent, frozen=True, kw_only=True):
    """A library, most often the Kafka client, logged ``message`` as a warning or an error.

    Messages of one ``logger`` that differ in numbers only are one cause. The first of a cause is written at
    once, then one a minute at most: ``suppressed`` is how many were not written since the last line,
    ``age_s`` how long ago this one was logged (the last one of a minute is written at its end, when the cause
    may be over). ``traceback`` is where an exception was raised, innermost last.

    Alert: repeated for minutes.

    Remedy: see the worker's own lines of the same time: they say what it means for the worker.
    """

    NAME = "library.warning"
    LEVEL = "warning"
    logger: str
    message: str
    suppressed: int
    age_s: float
    traceback: list[str]


class WorkerStatus(LogEvent, frozen=True, kw_only=True):
    """What the worker did since the last such line, and in total since its start (``..._total``).

    ``lag`` is records to read, by partition; null where it is not known: ``lag_unknown`` counts those
    partitions by reason. ``in_open_transactions``: offsets, by partition, behind a producer's transaction
    that is still open; they cannot be read yet and are not in ``lag``. ``events_repartitioned`` were sent
    on to the partition of their device, where they count among the events. ``watermark_age_s`` is the wall
    clock minus the watermark of the partition that is furthest behind. ``commit_...`` is the time that
    transactions took. ``latency_...`` is from the timestamp of a transaction's first record to its commit, by
    the wall clock; it begins at the receipt where raw has ``LogAppendTime``, else at the producer's time, and
    is below 0 where the producer's clock is ahead. ``duplicates_...`` count what ``input.duplicates`` found;
    dropped ones are among the events, and have no output. ``rss_mb`` is resident memory in MiB. Totals count
    all partitions, also those that other workers have now.

    Alert: ``lag`` grows while ``events_per_s`` does not, or no status line for three intervals.

    Remedy: look for ``partition.stuck``, ``transaction.lost`` and ``request.failed``. Without them the worker
    is too slow for its load: add workers or processes (docs/scaling.md).
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
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    sessions_opened: int
    sessions_closed: int
    events_without_session: int
    devices_linked: int
    duplicates_flagged: int
    duplicates_dropped: int
    dead_letters: dict[str, int]
    events_total: int
    records_total: int
    transactions_total: int
    transactions_lost_total: int
    dead_letters_total: int
    duplicates_flagged_total: int
    duplicates_dropped_total: int
    rss_mb: float


class ProcessStarted(LogEvent, frozen=True, kw_only=True):
    """``run --processes``: the worker of this slot was started. Its own lines have the same ``slot``."""

    NAME = "process.started"
    slot: int
    pid: int


class ProcessExited(LogEvent, frozen=True, kw_only=True):
    """``run --processes``: the worker of a slot ended without being asked to, or not in order.

    ``exit_code`` below 0 is the signal that ended it, ``uptime_s`` how long it ran. It is started again after
    ``restart_in_s``; null: it is not.

    Alert: several of one slot.

    Remedy: the slot's own lines before it say why.
    """

    NAME = "process.exited"
    LEVEL = "warning"
    slot: int
    exit_code: int
    uptime_s: float
    restart_in_s: float | None


class LogLinesLost(LogEvent, frozen=True, kw_only=True):
    """``run --processes``: so many lines of the workers could not be written, most often because the disk was
    full. A single worker says the same as ``log_lines_lost`` in its next line.

    Remedy: make room where the log is written.
    """

    NAME = "log.lines_lost"
    LEVEL = "warning"
    lines: int
