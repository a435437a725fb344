"""``python -m bench.capacity``: what a load needs, as a table.

Decides how the plan of ``bench.capacity_model`` is told, and holds the coefficients as last measured, each
with the program that measures it (docs/scaling.md says on what).
"""

from collections.abc import Callable
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bench.capacity_model import Coefficients, Demand, PerEvent, Plan, plan

MEASURED = Coefficients(
    worker_us=PerEvent(at_1=28.1, at_20=13.7),
    cold_us=24.0,
    repartition_us=PerEvent(at_1=85.0, at_20=13.0),
    broker_us=PerEvent(at_1=4.5, at_20=3.3),
    transaction_worker_ms=1.7,
    transaction_broker_ms=2.6,
    commit_ms=10.0,
    raw_bytes=PerEvent(at_1=318.0, at_20=295.0),
    raw_packed_bytes=PerEvent(at_1=55.0, at_20=42.0),
    enriched_packed_bytes=PerEvent(at_1=77.0, at_20=59.0),
    sessions_packed_bytes=PerEvent(at_1=16.5, at_20=11.4),
    identities_packed_bytes=PerEvent(at_1=1.2, at_20=1.0),
    changelog_packed_bytes=PerEvent(at_1=62.0, at_20=19.2),
    store_bytes=600.0,
    changelog_device_bytes=280.0,
    restore_us=16.0,
    process_mb=134.0,
)
"""2 cores, CPython 3.11.7, Kafka 4.3.1; the dates and programs are in docs/scaling.md."""


def main(
    events_per_second: Annotated[float, typer.Option(min=1.0, help="The peak to be kept up with.")],
    events_per_record: Annotated[float, typer.Option(min=1.0, help="Events of one device a record.")] = 20.0,
    devices: Annotated[int, typer.Option(min=1, help="Devices that are remembered.")] = 1_000_000,
    repartitioned: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of events not keyed by their device.")
    ] = 0.0,
    cold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of records whose device is not in memory.")
    ] = 1.0,
    busy: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="How much of a core a worker may use at the peak.")
    ] = 0.6,
    partitions: Annotated[
        int, typer.Option(min=0, help="0: two for each worker that the events alone need.")
    ] = 0,
    replication: Annotated[int, typer.Option(min=1, help="Copies of each topic.")] = 3,
    readers: Annotated[int, typer.Option(min=0, help="Groups that read the enriched topic.")] = 1,
    commit_interval_ms: Annotated[float, typer.Option(min=1.0, help="As kafka.commit_interval_ms.")] = 100.0,
) -> None:
    """Tell what a load needs of workers, brokers and disks. Extrapolated: docs/scaling.md says from what."""
    demand = Demand(
        events_per_second=events_per_second,
        events_per_record=events_per_record,
        devices=devices,
        repartitioned=repartitioned,
        cold=cold,
        busy=busy,
        partitions=partitions,
        replication=replication,
        readers=readers,
        commit_interval_ms=commit_interval_ms,
    )
    Console(width=110).print(table(plan(demand, MEASURED)))


def table(needed: Plan) -> Table:
    """The plan, one need a row."""
    result = Table(box=box.MARKDOWN)
    result.add_column("what", no_wrap=True)
    result.add_column("needed", justify="right", no_wrap=True)
    for what, figure, tell in rows(needed):
        result.add_row(what, tell(figure))
    return result


def rows(needed: Plan) -> list[tuple[str, float, Callable[[float], str]]]:
    """What is told, in order: name, value, how it is written."""
    return [
        ("workers, one core each", needed.workers, whole),
        ("cores busy: events", needed.event_cores, tenths),
        ("cores busy: devices not in memory", needed.cold_cores, tenths),
        ("cores busy: repartitioning", needed.repartition_cores, tenths),
        ("cores busy: transactions", needed.transaction_cores, tenths),
        ("partitions", needed.partitions, whole),
        ("workers' memory", needed.memory_mb * 1e6, size),
        ("transactions a second", needed.transactions_per_second, whole),
        ("brokers' cores: events", needed.broker_event_cores, tenths),
        ("brokers' cores: transactions", needed.broker_transaction_cores, tenths),
        ("appended at the brokers, a second", needed.appended_bytes, size),
        ("replicated between brokers, a second", needed.replicated_bytes, size),
        ("fetched from the brokers, a second", needed.fetched_bytes, size),
        ("enriched events on the brokers' disks, a day", needed.enriched_day_bytes, size),
        ("changelog on the brokers' disks", needed.changelog_bytes, size),
        ("state on the workers' disks", needed.state_bytes, size),
        ("state on one worker's disk", needed.state_bytes_worker, size),
        ("restore of one worker's state, seconds", needed.restore_s_worker, whole),
    ]


def coefficient_lines(known: Coefficients = MEASURED) -> list[str]:
    """The coefficients as rows of docs/scaling.md: name, at 20 events a record, at 1."""
    lines = []
    for name in known.__struct_fields__:
        value = getattr(known, name)
        one, twenty = (value.at_1, value.at_20) if isinstance(value, PerEvent) else (value, value)
        lines.append(f"| `{name}` | {twenty:g} | {one:g} |")
    return lines


def whole(figure: float) -> str:
    return f"{figure:,.0f}"


def tenths(figure: float) -> str:
    return f"{figure:,.1f}"


def size(figure: float) -> str:
    """Decimal units, three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if figure < 1000:
            return f"{figure:.3g} {unit}"
        figure /= 1000
    return f"{figure:,.3g} TB"


if __name__ == "__main__":
    typer.run(main)
