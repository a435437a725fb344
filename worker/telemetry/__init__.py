"""The log events of worker and collector: one typed struct each, and ``emit``, which writes one.

``docs/log_events.md`` is made from the docstrings of the structs: what happened, when to alert (``Alert:``),
what to do (``Remedy:``). Invariants: an event holds no event data, no ids of people or devices and no
secrets; it is written per transaction or interval, never per event of the raw topic. A field that says why is
called ``reason``.
"""

from worker.telemetry.collect_events import CollectDraining as CollectDraining
from worker.telemetry.collect_events import CollectFailed as CollectFailed
from worker.telemetry.collect_events import CollectInternalError as CollectInternalError
from worker.telemetry.collect_events import CollectKafkaAway as CollectKafkaAway
from worker.telemetry.collect_events import CollectKafkaBack as CollectKafkaBack
from worker.telemetry.collect_events import CollectKeysInvalid as CollectKeysInvalid
from worker.telemetry.collect_events import CollectKeysLoaded as CollectKeysLoaded
from worker.telemetry.collect_events import CollectRefused as CollectRefused
from worker.telemetry.collect_events import CollectStarted as CollectStarted
from worker.telemetry.collect_events import CollectStatus as CollectStatus
from worker.telemetry.collect_events import CollectStopped as CollectStopped
from worker.telemetry.live_events import LiveFailed as LiveFailed
from worker.telemetry.live_events import LiveInternalError as LiveInternalError
from worker.telemetry.live_events import LiveStarted as LiveStarted
from worker.telemetry.live_events import LiveStopped as LiveStopped
from worker.telemetry.log_event import LogEvent as LogEvent
from worker.telemetry.log_event import emit as emit
from worker.telemetry.partition_events import InputGapSkipped as InputGapSkipped
from worker.telemetry.partition_events import PartitionAssigned as PartitionAssigned
from worker.telemetry.partition_events import PartitionInitialized as PartitionInitialized
from worker.telemetry.partition_events import PartitionRestored as PartitionRestored
from worker.telemetry.partition_events import PartitionRevoked as PartitionRevoked
from worker.telemetry.partition_events import PartitionStuck as PartitionStuck
from worker.telemetry.partition_events import StateRemoved as StateRemoved
from worker.telemetry.partition_events import StateWiped as StateWiped
from worker.telemetry.partition_events import TransactionLost as TransactionLost
from worker.telemetry.partition_events import WatermarkAhead as WatermarkAhead
from worker.telemetry.worker_events import AssignmentNotSticky as AssignmentNotSticky
from worker.telemetry.worker_events import AuthenticationFailed as AuthenticationFailed
from worker.telemetry.worker_events import ClockSkew as ClockSkew
from worker.telemetry.worker_events import ConfigWarning as ConfigWarning
from worker.telemetry.worker_events import CredentialsReloaded as CredentialsReloaded
from worker.telemetry.worker_events import CredentialsUnusable as CredentialsUnusable
from worker.telemetry.worker_events import DeadLettersWritten as DeadLettersWritten
from worker.telemetry.worker_events import EngineFailed as EngineFailed
from worker.telemetry.worker_events import EngineNotUsed as EngineNotUsed
from worker.telemetry.worker_events import EventsWithoutSession as EventsWithoutSession
from worker.telemetry.worker_events import LibraryWarning as LibraryWarning
from worker.telemetry.worker_events import LogLinesLost as LogLinesLost
from worker.telemetry.worker_events import PartitionerMismatch as PartitionerMismatch
from worker.telemetry.worker_events import ProcessExited as ProcessExited
from worker.telemetry.worker_events import ProcessStarted as ProcessStarted
from worker.telemetry.worker_events import RequestFailed as RequestFailed
from worker.telemetry.worker_events import SignalReceived as SignalReceived
from worker.telemetry.worker_events import TopicWarning as TopicWarning
from worker.telemetry.worker_events import WorkerFailed as WorkerFailed
from worker.telemetry.worker_events import WorkerIdle as WorkerIdle
from worker.telemetry.worker_events import WorkerStarted as WorkerStarted
from worker.telemetry.worker_events import WorkerStatus as WorkerStatus
from worker.telemetry.worker_events import WorkerStopped as WorkerStopped

CATALOGUE: tuple[type[LogEvent], ...] = tuple(
    sorted(LogEvent.__subclasses__(), key=lambda kind: kind.__module__, reverse=True)
)
"""Every log event, in the order of the page: those of the worker, of a partition, and of the collector."""
