"""What it costs to look for duplicates: ``python -m bench.duplicates_cost``, no broker.

Decides which memories are compared: none (``keep``), and 10, 100 and 500 ids of each device, all full. The
events are those of the load, of few devices, so that each has sent more than it may remember. None is a
duplicate, so every id is searched for in vain, which costs most. Microseconds of CPU an event of the stages
that it changes, the least of several passes in turns, and the bytes of a device's hot record.
"""

import argparse

from rich import box
from rich.console import Console
from rich.table import Table

from bench.core_cost import stage_costs
from testing.events import Shape, records
from worker.core.decode import Decoder
from worker.core.pipeline import decode_records, process
from worker.core.state_codec import encode_hot
from worker.model.events import PlainRecord
from worker.model.rules import InputRules, Rules
from worker.model.state import ExpiryClock

DEVICES = 60
REMEMBERED = (10, 100, 500)
STAGES = ("step", "draft", "all")


def rules_of(remembered: int) -> Rules:
    """Duplicates dropped by so many ids; 0 looks for none."""
    if not remembered:
        return Rules()
    return Rules(input=InputRules(duplicates="drop", duplicates_remembered=remembered))


def bytes_of_a_device(rules: Rules) -> int:
    """The hot record of the load's most active device, after more events than any memory holds."""
    shape = Shape(events=DEVICES * 1_000, devices=DEVICES, events_per_record=20)
    load = [
        PlainRecord("raw", 0, offset, record.timestamp, record.key, record.value)
        for offset, record in enumerate(records(shape))
    ]
    decoded = decode_records(load, Decoder(rules.input, rules.identity))
    states = process(decoded, {}, 0, ExpiryClock(), rules).states.values()
    return len(encode_hot(max(states, key=lambda state: state.event_count)))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.duplicates_cost", description="Measure the search for duplicates."
    )
    parser.add_argument("--events", type=int, default=120_000)
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    table = Table(box=box.MARKDOWN)
    for title in (
        "ids a device",
        "bytes",
        *(f"{stage}, {size} a record" for size in (20, 1) for stage in STAGES),
    ):
        table.add_column(title, justify="right")
    every: dict[int, dict[str, float]] = {remembered: {} for remembered in (0, *REMEMBERED)}
    for _ in range(options.passes):  # in turns, so that all of them see the same machine
        for remembered, least in every.items():
            for size in (20, 1):
                costs = stage_costs(options.events, size, DEVICES, 1, rules_of(remembered))
                for stage in STAGES:
                    name = f"{stage}, {size} a record"
                    least[name] = min(costs[stage], least.get(name, costs[stage]))
    for remembered, least in every.items():
        row = [f"{least[title]:.2f}" for title in least]
        table.add_row(str(remembered or "keep"), str(bytes_of_a_device(rules_of(remembered))), *row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
