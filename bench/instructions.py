"""Instructions an event of the worker's stages in memory: the same on a noisy machine as on a quiet one.

Decides what is counted: ``bench.core_cost``'s passes of the job ``peers``, under valgrind, once over the
first half of a load and once over all of it; the difference is the second half's. Two trees are compared by
running it in each. Knows nothing of time: what waits for memory costs more than its instructions say.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

from bench.core_cost import TOPIC, Pass
from testing.events import Shape, records
from worker.model.events import PlainRecord
from worker.model.rules import Rules

EVENTS, DEVICES = 20_000, 2_500


def run_pass(events_per_record: int, *, half: bool) -> None:
    """What is counted: a pass over the load, or over its first half."""
    shape = Shape(events=EVENTS, events_per_record=events_per_record, devices=DEVICES)
    load = [
        PlainRecord(TOPIC, 0, offset, record.timestamp, record.key, record.value)
        for offset, record in enumerate(records(shape))
    ]
    rules = Rules(publish_sessions=False, publish_identities=False)
    Pass(rules).run(load[: len(load) // 2] if half else load)


def instructions(events_per_record: int, half: str) -> int:
    """The instructions of a process that makes that pass."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "bench.instructions", "--pass", str(events_per_record), half]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    found = re.search(r"I +refs: +([\d,]+)", shown)
    assert found is not None, shown
    return int(found[1].replace(",", ""))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description="Count instructions.")
    parser.add_argument("--pass", dest="of_pass", nargs=2, help="a record's events, and half or whole")
    options = parser.parse_args()
    if options.of_pass:
        run_pass(int(options.of_pass[0]), half=options.of_pass[1] == "half")
        return
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed (Debian's package valgrind)")
    for events_per_record in (20, 1):
        counted = instructions(events_per_record, "whole") - instructions(events_per_record, "half")
        print(f"{events_per_record} a record: {counted / (EVENTS // 2):,.0f} instructions an event")


if __name__ == "__main__":
    main()
