"""What reading a value costs, natively and by the readable form: ``python -m bench.reading_cost``.

Measures the events of the load as a worker meets them, 20 and 1 a record: CPU of this process, us an event,
the least of several passes in turns. Both make objects of Python of what they read; *engine alone* is the
native reading without them, as an engine that goes on natively has it.
"""

import argparse
import time
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from bench.worst_inputs import native_decoder
from testing.events import Shape, records
from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules
from worker.native.value_decoder import ValueDecoder

Work = Callable[[Sequence[bytes]], object]


def ways(native: ValueDecoder) -> dict[str, Work]:
    """Name of a way to read -> what reads all values so."""
    readable = Decoder(InputRules(), IdentityRules())
    return {
        "readable, values together": readable.decode_many,
        "readable, one by one": lambda values: [readable.decode(value) for value in values],
        "native": lambda values: [native.decode(value) for value in values],
        "native, engine alone": native.count,
    }


def least_us(
    values: Sequence[bytes], events: int, passes: int, measured: dict[str, Work]
) -> dict[str, float]:
    """Microseconds of CPU an event, by way; the least of the passes."""
    least = dict.fromkeys(measured, float("inf"))
    for _ in range(passes):
        for name, work in measured.items():
            began = time.process_time()
            work(values)
            least[name] = min(least[name], 1e6 * (time.process_time() - began) / events)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.reading_cost", description="Measure reading alone."
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=7)
    options = parser.parse_args()
    measured = ways(native_decoder())
    costs = {}
    for size in (20, 1):
        shape = Shape(events=options.events, events_per_record=size, devices=options.events // 8)
        values = [record.value for record in records(shape) if record.value is not None]
        costs[f"{size} a record"] = least_us(values, options.events, options.passes, measured)
    table = Table("us CPU an event", *costs, box=box.MARKDOWN)
    for name in measured:
        table.add_row(name, *(f"{cost[name]:.2f}" for cost in costs.values()))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
