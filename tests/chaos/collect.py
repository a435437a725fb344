"""``python -m tests.chaos.collect``: faults on the HTTPS API, then an account that never asks the collector.

``make chaos-collect DURATION=1200 SEED=1``. The report, the log of faults and the senders' journals are left
in the directory of ``--report``.
"""

import argparse
import asyncio
import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from testing.kafka import discovery
from testing.scratch import scratch_directory
from tests.chaos.collect_faults import collect_schedule
from tests.chaos.collect_run import READY_AGAIN_S, CollectOutcome, CollectPlan, run_collect_chaos
from tests.chaos.journal import Journal

FAULTS = (
    *("collector kill", "collector stop", "collector pause", "process kill"),
    *("broker kill", "broker pause", "outage"),
    *("leader moved", "cut", "reset", "silence", "request lost", "answer lost", "answer eaten"),
)


def report(plan: CollectPlan, outcome: CollectOutcome, journal: Journal) -> str:
    """What was done and found, as Markdown; broken promises first."""
    return "\n".join(_lines(plan, outcome, journal)) + "\n"


def _lines(plan: CollectPlan, outcome: CollectOutcome, journal: Journal) -> Iterator[str]:
    counts = outcome.account.counts
    of = f" of {plan.processes} processes" if plan.processes > 1 else ""
    yield f"# HTTPS API{of}: {outcome.faults_s / 60:.1f} minutes of faults, seed {plan.seed}"
    yield ""
    yield "**Broken:**" if outcome.broken else "**All promises held.**"
    yield from ("", *(f"- {line[:1000]}" for line in outcome.broken), "") if outcome.broken else ("",)
    for promise, times in outcome.account.breaches.items():
        yield f"- {promise}: broken {times} times"
    yield from ("| what | times |", "|---|--:|")
    yield from (f"| {what} | {counts[what]:,} |" for what in sorted(counts))
    ready = "never" if outcome.ready_again_s is None else f"{outcome.ready_again_s:.1f} s"
    yield f"| from the last fault until ready (at most {READY_AGAIN_S:.0f} s) | {ready} |"
    yield f"| longest wait for an answer | {outcome.account.longest_wait_s:.1f} s |"
    yield f"| memory of the collector at its end | {outcome.rss_mb:.0f} MB |"
    yield from ("", "| fault | times |", "|---|--:|")
    struck, missed = journal.counts(), _missed(journal)
    for kind in FAULTS:
        if struck[kind]:
            yield f"| {kind} | {struck[kind] - missed.get(kind, 0)} |"
    yield ""
    named = ", ".join(f"`{name}` {times}" for name, times in outcome.log.most_common())
    yield f"Warnings and errors in the collector's log: {named or 'none'}."


def _missed(journal: Journal) -> dict[str, int]:
    """Of the faults that wait for a request: how often none came in time."""
    missed: dict[str, int] = {}
    for line in journal.lines:
        if line.get("happened") is False:
            missed[line["what"]] = missed.get(line["what"], 0) + 1
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.collect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--duration", type=float, default=120.0, help="seconds of faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests-per-second", type=float, default=200.0, help="less what waiting takes")
    parser.add_argument("--senders", type=int, default=32, help="a quarter of them rude")
    parser.add_argument("--processes", type=int, default=1, help="of the collector (--processes N)")
    parser.add_argument("--report", type=Path, default=Path("chaos-report"), help="a directory")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away half the time
    plan = CollectPlan(
        duration_s=options.duration,
        lanes=collect_schedule(options.seed, options.duration, options.processes),
        processes=options.processes,
        seed=options.seed,
        fair=options.senders - options.senders // 4,
        rude=options.senders // 4,
        requests_a_second=options.requests_per_second,
    )
    journal = Journal(options.report / "collect-faults.ndjson")
    with contextlib.closing(journal), scratch_directory("chaos") as directory:
        outcome = asyncio.run(run_collect_chaos(discovery.jars(), directory, plan, journal))
        shutil.copytree(directory / "journals", options.report / "journals", dirs_exist_ok=True)
        shutil.copy(directory / "collector.log", options.report / "collector.log")
    page = options.report / "collect.md"
    page.write_text(report(plan, outcome, journal))
    print(page.read_text())
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
