"""Fails where the worker's stages in memory have become more expensive, measured against the naive script's
loop.

Decides what is a regression and what is only a noisy machine. Both are measured in the same process in turns,
the least of several passes each, and only their ratio counts: at 20 events a record it lay between 1.8 on a
idle machine and 2.25 beside a whole test run (2026-11-24), and other kinds of machines may differ. The
margin of a half leaves room for that; the rules in full for each event, say, are beyond it, at 3.2. A miss is
measured twice more before it counts.
"""

import sys

from bench.core_cost import stage_costs
from worker.model.rules import Rules

TIMES_NAIVE = {20: 1.85, 1: 3.9}
"""Events a record -> what the stages of the job ``peers`` cost in loops of the naive script."""

MARGIN = 1.5
_TRIES = 3
_EVENTS, _DEVICES, _PASSES = 60_000, 12_500, 4


def times_naive(events_per_record: int) -> float:
    """The stages' cost in loops of the naive script."""
    rules = Rules(publish_sessions=False, publish_identities=False)
    costs = stage_costs(_EVENTS, events_per_record, _DEVICES, _PASSES, rules)
    return costs["all"] / costs["naive"]


def main() -> int:
    failed = 0
    for size, usual in TIMES_NAIVE.items():
        least, tries = times_naive(size), 1
        while least > usual * MARGIN and tries < _TRIES:
            least, tries = min(least, times_naive(size)), tries + 1
        slow = least > usual * MARGIN
        failed += slow
        found = f"{size} a record: {least:.2f} times the naive loop, at most {usual * MARGIN:.2f}"
        print(f"{found}: SLOWER, see python -m bench.core_cost" if slow else found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
