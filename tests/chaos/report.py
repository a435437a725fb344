"""Writes what a run did and found, for people: Markdown beside the picture and the log of faults.

Knows an outcome; decides what is reported. The verdict comes first, whatever it is.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.chart import FAULTS, draw
from tests.chaos.run import LIVENESS_S, Outcome, Plan


def write_report(directory: Path, plan: Plan, outcome: Outcome, lines: Sequence[dict[str, Any]]) -> Path:
    """Write ``report.md`` and ``report.svg`` into the directory; where the first one is."""
    title = (
        f"Chaos: {outcome.faults_s / 60:.1f} minutes of faults, seed {plan.seed}, {plan.workers} workers, "
        f"{plan.partitions} partitions, 3 brokers"
    )
    if outcome.samples:
        (directory / "report.svg").write_text(draw(outcome.samples, lines, title))
    report = directory / "report.md"
    report.write_text("\n".join([f"# {title}", "", *_body(plan, outcome, lines)]) + "\n")
    return report


def _body(plan: Plan, outcome: Outcome, lines: Sequence[dict[str, Any]]) -> list[str]:
    verdict = outcome.verdict
    if verdict.broken:
        facts = ["**Broken:**", "", *(f"- {line[:1500]}" for line in verdict.broken)]
    else:
        facts = ["**All promises held.**"]
    settled = "never" if outcome.settled_s is None else f"{outcome.settled_s:.0f} s"
    before, after = outcome.before, outcome.after
    counts = Counter(line["what"] for line in lines)
    return [
        *facts,
        "",
        "![events, lag and faults over time](report.svg)",
        "",
        "| what | figure |",
        "|---|---|",
        f"| raw records | {outcome.samples[-1].raw if outcome.samples else 0:,} |",
        f"| events, each with one outcome | {verdict.events:,} |",
        f"| of these enriched / dead letters | {verdict.enriched:,} / {verdict.dead_letters:,} |",
        f"| devices / sessions | {verdict.devices:,} / {verdict.sessions:,} |",
        f"| wanted pace | {plan.events_a_second:,.0f} events/s |",
        f"| from the last fault until all was read (at most {LIVENESS_S:.0f} s) | {settled} |",
        f"| longest stand of a last stable offset, all brokers there | {outcome.longest_hang_s:.0f} s |",
        *(
            f"| the worker that nobody kills: {name} at the beginning / the end | "
            f"{getattr(before, name, '-')} / {getattr(after, name, '-')} |"
            for name in ("partitions", "sockets", "files", "threads", "rss_mb")
        ),
        "",
        "## Faults",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {kind} | {counts[kind]} |" for kind in FAULTS if counts[kind]),
        "",
        *_details(lines),
        "Warnings and errors in the workers' logs: "
        + (", ".join(f"`{name}` {times}" for name, times in outcome.warnings.most_common()) or "none")
        + ".",
        "",
        "## Ends of workers that no fault caused",
        "",
        *([f"- {times} times: {reason}" for reason, times in outcome.ends.items()] or ["None."]),
    ]


def _details(lines: Sequence[dict[str, Any]]) -> list[str]:
    """What came of those that need a chance to happen."""
    crashes = Counter(line["detail"] for line in lines if line["what"] == "crash" and line["reached"])
    damages = Counter(line["detail"] for line in lines if line["what"] == "damage")
    rights = Counter(line["detail"] for line in lines if line["what"] == "rights")
    happened = Counter(line["what"] for line in lines if line.get("happened"))
    missed = Counter(line["what"] for line in lines if line.get("happened") is False)
    facts = []
    if crashes:
        points = ", ".join(f"{point} {times}" for point, times in sorted(crashes.items()))
        facts.append(f"Crash points reached: {points}")
    if damages:
        facts.append("Damage to local state: " + ", ".join(f"{d} {n}" for d, n in sorted(damages.items())))
    if rights:
        facts.append(
            "Rights taken away for a while: " + ", ".join(f"{r} {n}" for r, n in sorted(rights.items()))
        )
    if happened or missed:
        facts.append(
            "Requests that a fault hit, and logs that were emptied (or none in time): "
            + ", ".join(f"{kind} {happened[kind]} ({missed[kind]})" for kind in sorted(happened | missed))
        )
    return [line for text in facts for line in (text + ".", "")]
