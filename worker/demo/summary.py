"""The figures of a demo, and the files with the records that they were counted from.

Decides what is counted and how the summary reads. Knows only the records that were read back from the topics:
any reader of them could find the same figures.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.text import Text

from worker.demo.audit import Audit
from worker.model.events import InputRecord
from worker.model.outputs import DeadLetter, EnrichedEvent, SessionRecord

SHOWN_IDS = 10
"""How many missing or unexpected events are printed by name."""


class Figures(Struct, frozen=True):
    """What the summary shows. ``events_per_s`` is None where the run was too short to measure."""

    audit: Audit
    batches: int
    reasons: Counter[str]
    devices: int
    sessions: int
    sessions_closed: int
    sessions_merged: int
    sessions_open: int
    devices_linked: int
    out_of_order: int
    late: int
    events_per_s: float | None


def count(
    audit: Audit,
    raw: Sequence[InputRecord],
    enriched: Sequence[EnrichedEvent],
    dead_letters: Sequence[DeadLetter],
    sessions: Sequence[SessionRecord],
    events_per_s: float | None,
) -> Figures:
    """The figures of one run. ``sessions`` has the last record of each."""
    statuses = Counter(session.status for session in sessions)
    flags = Counter(flag for event in enriched for flag in event.flags)
    return Figures(
        audit=audit,
        batches=len(raw),
        reasons=Counter(letter.reason for letter in dead_letters),
        devices=len({event.device_id for event in enriched}),
        sessions=flags["session_start"],
        sessions_closed=statuses["closed"],
        sessions_merged=statuses["merged"],
        sessions_open=statuses["open"],
        devices_linked=len({event.device_id for event in enriched if "linked" in event.flags}),
        out_of_order=flags["out_of_order"],
        late=flags["late"],
        events_per_s=events_per_s,
    )


def describe(figures: Figures) -> Text:
    """The figures as text, at most 80 columns wide."""
    audit = figures.audit
    text = Text()
    if audit.events_in == audit.events_sent:
        _line(text, "events in", audit.events_in, f"in {figures.batches:,} batches")
    else:
        _line(text, "events in", audit.events_in, f"but {audit.events_sent:,} were sent", "bold red")
    _line(text, "enriched", audit.enriched, f"on {figures.devices:,} devices")
    _line(text, "dead letters", audit.dead_letters, "each with its reason:" if figures.reasons else "")
    for reason, number in sorted(figures.reasons.items(), key=lambda item: (-item[1], item[0])):
        text.append(f"{number:>29,}     {reason}\n", "dim")
    if audit.passed:
        _line(text, "missing", 0, "every event has exactly one outcome", "bold green")
    else:
        _line(text, "missing", len(audit.missing), "neither enriched nor a dead letter", "bold red")
        _name(text, audit.missing)
        _line(text, "unexpected", len(audit.unexpected), "a second outcome, or never sent", "bold red")
        _name(text, audit.unexpected)
    text.append("\n")
    _line(
        text,
        "sessions",
        figures.sessions,
        f"opened; {figures.sessions_closed:,} closed, {figures.sessions_open:,} open, "
        f"{figures.sessions_merged:,} merged",
    )
    _line(text, "devices linked", figures.devices_linked, "to the user who logged in there")
    _line(text, "out of order", figures.out_of_order, f"events, {figures.late:,} of them late")
    if figures.events_per_s is not None:
        _line(
            text, "events a second", round(figures.events_per_s), "in one process, the demo's work included"
        )
    return text


def _line(text: Text, name: str, number: int, remark: str, style: str = "bold") -> None:
    text.append(f"  {name:<17}")
    text.append(f"{number:>10,}", style)
    text.append(f"   {remark}\n")


def _name(text: Text, events: Sequence[str]) -> None:
    for event in events[:SHOWN_IDS]:
        text.append(f"      {event}\n")
    if len(events) > SHOWN_IDS:
        text.append(f"      and {len(events) - SHOWN_IDS:,} more\n")


def write_values(path: Path, records: Iterable[InputRecord]) -> None:
    """The records' values as they are, one a line."""
    with path.open("wb") as file:
        file.writelines((record.value or b"") + b"\n" for record in records)


def write_raw(path: Path, records: Iterable[InputRecord]) -> None:
    """The raw records in order of arrival, one object a line, in the form that ``replay`` reads."""
    with path.open("wb") as file:
        for record in sorted(records, key=lambda record: record.timestamp):
            value = (record.value or b"").decode(errors="replace")
            file.write(msgspec.json.encode({"received_at": record.timestamp, "value": value}) + b"\n")
