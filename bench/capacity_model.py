"""What a load needs of workers, brokers and disks, from the measured parts.

Pure arithmetic: nothing here measures or prints. Invariant: every figure is a sum or product of the
coefficients and the demand, so that each can be checked on paper; nothing is fitted but the line through one
and twenty events a record. It extrapolates from one worker on one small machine: docs/scaling.md says what is
left out.
"""

from math import ceil

from msgspec import Struct


class PerEvent(Struct, frozen=True):
    """A cost of which a part comes once a record, given by its values at 1 and at 20 events a record."""

    at_1: float
    at_20: float

    def at(self, events_per_record: float) -> float:
        """An event's share at so many events a record: exact at 1 and 20, a line in 1/n between."""
        once_a_record = (self.at_1 - self.at_20) / (1 - 1 / 20)
        return self.at_1 - once_a_record * (1 - 1 / events_per_record)


class Coefficients(Struct, frozen=True, kw_only=True):
    """Measured values. CPU in microseconds or milliseconds, sizes in bytes; ``packed`` as zstd leaves them.

    ``cold_us``: what a record costs more whose device is not in memory. ``repartition_us``: what an event
    costs more that goes to another partition first. ``transaction_*``: one with few partitions in it.
    ``broker_us``: a single node's, without replication. ``commit_ms``: how much later than due the next
    draft begins. ``*_packed_bytes``: of the topic's log files, an event. ``store_bytes`` and
    ``changelog_device_bytes``: of a device, on disk and as its changelog records are packed. ``restore_us``:
    worker's CPU, a device. ``process_mb``: of a worker, beside ``state.memory_mb``.
    """

    worker_us: PerEvent
    cold_us: float
    repartition_us: PerEvent
    broker_us: PerEvent
    transaction_worker_ms: float
    transaction_broker_ms: float
    commit_ms: float
    raw_bytes: PerEvent
    raw_packed_bytes: PerEvent
    enriched_packed_bytes: PerEvent
    sessions_packed_bytes: PerEvent
    identities_packed_bytes: PerEvent
    changelog_packed_bytes: PerEvent
    store_bytes: float
    changelog_device_bytes: float
    restore_us: float
    process_mb: float


class Demand(Struct, frozen=True, kw_only=True):
    """What is asked for. ``repartitioned``: share of events whose records are not keyed by their device.

    ``cold``: share of records whose device is not in memory. ``busy``: how much of a core a worker may use in
    the long run; the rest is for catching up. ``partitions``: 0 takes two for each worker that the events
    alone need. ``readers``: groups that read the enriched topic. ``raw_packed``: whether producers pack the
    raw topic.
    """

    events_per_second: float
    events_per_record: float = 20.0
    devices: int = 1_000_000
    repartitioned: float = 0.0
    cold: float = 1.0
    busy: float = 0.6
    partitions: int = 0
    replication: int = 3
    readers: int = 1
    raw_packed: bool = True
    commit_interval_ms: float = 100.0
    memory_mb: float = 256.0


class Plan(Struct, frozen=True, kw_only=True):
    """What it needs. Cores are of the measured kind; rates are bytes a second of all brokers together."""

    event_cores: float
    cold_cores: float
    repartition_cores: float
    transaction_cores: float
    workers: int
    partitions: int
    memory_mb: float
    transactions_per_second: float
    broker_event_cores: float
    broker_transaction_cores: float
    appended_bytes: float
    replicated_bytes: float
    fetched_bytes: float
    enriched_day_bytes: float
    state_bytes: float
    state_bytes_worker: float
    changelog_bytes: float
    restore_s_worker: float


def plan(demand: Demand, known: Coefficients) -> Plan:
    """The plan for a demand. Never raises for a positive demand."""
    rate, size = demand.events_per_second, demand.events_per_record
    event_cores = rate * known.worker_us.at(size) / 1e6
    cold_cores = rate / size * demand.cold * known.cold_us / 1e6
    repartition_cores = rate * demand.repartitioned * known.repartition_us.at(size) / 1e6
    alone = ceil((event_cores + cold_cores + repartition_cores) / demand.busy)
    partitions = demand.partitions or 2 * alone
    # A draft is due so long after its first record; the next begins with the next record after the commit.
    # A partition without a record in that time has no transaction.
    records = rate / size
    most = partitions * 1000 / (demand.commit_interval_ms + known.commit_ms)
    transactions = min(records, most)
    transaction_cores = transactions * known.transaction_worker_ms / 1000
    cores = event_cores + cold_cores + repartition_cores + transaction_cores
    workers = min(partitions, ceil(cores / demand.busy))

    raw = (known.raw_packed_bytes if demand.raw_packed else known.raw_bytes).at(size)
    enriched = known.enriched_packed_bytes.at(size)
    # Repartitioned events are packed as outputs are, and nearly as they came in.
    repartitioned = demand.repartitioned * known.raw_packed_bytes.at(size)
    outputs = enriched + known.sessions_packed_bytes.at(size) + known.identities_packed_bytes.at(size)
    appended = rate * (raw + repartitioned + outputs + known.changelog_packed_bytes.at(size))
    state_bytes = demand.devices * known.store_bytes
    return Plan(
        event_cores=event_cores,
        cold_cores=cold_cores,
        repartition_cores=repartition_cores,
        transaction_cores=transaction_cores,
        workers=workers,
        partitions=partitions,
        memory_mb=workers * (known.process_mb + demand.memory_mb),
        transactions_per_second=transactions,
        broker_event_cores=rate * known.broker_us.at(size) / 1e6,
        broker_transaction_cores=transactions * known.transaction_broker_ms / 1000,
        appended_bytes=appended,
        replicated_bytes=appended * (demand.replication - 1),
        fetched_bytes=rate * (raw + repartitioned + demand.readers * enriched),
        enriched_day_bytes=86_400 * rate * enriched * demand.replication,
        state_bytes=state_bytes,
        state_bytes_worker=state_bytes / workers,
        changelog_bytes=demand.devices * known.changelog_device_bytes * demand.replication,
        restore_s_worker=demand.devices / workers * known.restore_us / 1e6,
    )
