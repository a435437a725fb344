"""``python -m bench.capacity``: what a load needs, as a table.

Decides how the plan of ``bench.capacity_model`` is printed, and holds the coefficients as last measured.
docs/scaling.md has the program that measures each, and the machine.
"""

import argparse
from collections.abc import Callable, Sequence
from math import inf

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

DEFAULTS = Demand(events_per_second=1.0)
OPTIONS: dict[str, tuple[float, float, str]] = {
    "events_per_second": (1, inf, "the peak to be kept up with"),
    "events_per_record": (1, inf, "events of one device a record"),
    "devices": (1, inf, "devices whose state is kept"),
    "repartitioned": (0, 1, "share of events not keyed by their device"),
    "cold": (0, 1, "share of records whose device is not in memory"),
    "busy": (0.1, 1, "how much of a core a worker may use at the peak"),
    "partitions": (0, inf, "0: two for each worker that the events alone need"),
    "replication": (1, inf, "copies of each topic"),
    "readers": (0, inf, "groups that read the enriched topic"),
    "commit_interval_ms": (1, inf, "as kafka.commit_interval_ms"),
}
"""Field of ``Demand`` -> least, most, and what it is."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.capacity",
        description="Say what a load needs of workers, brokers and disks; docs/scaling.md says from what.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, (least, most, text) in OPTIONS.items():
        default, required = getattr(DEFAULTS, name), name == "events_per_second"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=within(int if isinstance(default, int) else float, least, most),
            default=argparse.SUPPRESS if required else default,
            required=required,
            help=text,
        )
    demand = Demand(**vars(parser.parse_args(arguments)))
    Console(width=110).print(table(plan(demand, MEASURED)))


def within(number: type[float], least: float, most: float) -> Callable[[str], float]:
    """Reads a number of that type, and refuses what is outside the bounds."""

    def read(text: str) -> float:
        value = number(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least:g} and {most:g}")
        return value

    return read


def table(needed: Plan) -> Table:
    """The plan, one need a row."""
    result = Table(box=box.MARKDOWN)
    result.add_column("what", no_wrap=True)
    result.add_column("needed", justify="right", no_wrap=True)
    for what, figure, written in rows(needed):
        result.add_row(what, written(figure))
    return result


def rows(needed: Plan) -> list[tuple[str, float, Callable[[float], str]]]:
    """The rows of the table: name, value, how the value is written."""
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
    main()
