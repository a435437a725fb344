"""Fuzzing of the native reading: ``make fuzz``.

Reads changed values with both engines and prints what differs, with the seed that has it. Decides how many
are tried and how they are shared among processes; must not know how they are made. Ends with 1 where any
differed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.native.comparison import SMALL, Comparison
from tests.native.mutations import VALUES_A_SEED, values
from worker.model.rules import InputRules

_SEEDS_AT_A_TIME = 50
_MOST_SHOWN = 20


def differences(seeds: Sequence[int]) -> list[str]:
    """What differs among the values of these seeds."""
    compared = (Comparison(SMALL), Comparison(InputRules()))
    found = []
    for seed in seeds:
        for place, value in enumerate(values(seed)):
            difference = compared[place % 2].difference(value)
            if difference is not None:
                found.append(f"seed {seed}: {difference.shown()}")
    return found


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.native.fuzz", description="Compare both readings.")
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    last = options.first + options.values // VALUES_A_SEED
    began, count, found = time.monotonic(), 0, 0
    with ProcessPoolExecutor(options.processes) as pool:
        runs = {
            pool.submit(differences, range(start, min(start + _SEEDS_AT_A_TIME, last))): start
            for start in range(options.first, last, _SEEDS_AT_A_TIME)
        }
        for run in as_completed(runs):
            count += _SEEDS_AT_A_TIME * VALUES_A_SEED
            for difference in run.result():
                found += 1
                if found <= _MOST_SHOWN:
                    print(difference, flush=True)
            if count % 1_000_000 == 0:
                print(f"{count:,} values in {time.monotonic() - began:.0f} s, {found} differ", flush=True)
    print(f"seeds {options.first} to {last - 1}: {found} values differ")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
