"""Writes docs/log_events.md from the catalogue of log events: ``python docs/generate_log_events.py``.

The docstring of an event's struct is its documentation. A paragraph that begins with "Alert:" says when to
alert, one that begins with "Remedy:" what to do.
"""

import inspect
import types
import typing
from pathlib import Path

from msgspec import structs

from worker.telemetry import CATALOGUE, LogEvent

DOCUMENT = Path(__file__).with_name("log_events.md")

HEAD = """\
<!-- Made by docs/generate_log_events.py from worker/telemetry: change it there, then `make docs`. -->

# Log events

Written to stdout. Each line begins with the same three fields:

    {"event": "partition.assigned", "level": "info", "timestamp": "2026-03-02T10:00:00.123456Z", ...}

| field | meaning |
|---|---|
| `event` | what happened: one of the names below, which stay the same from release to release |
| `level` | `info`, `warning` or `error` |
| `timestamp` | wall clock of the machine, UTC |
| `instance` | the worker or collector that wrote the line: `log.instance`, or host name and process id |
| `slot` | only under `--processes`: the process that wrote the line, from 0 |
| `log_lines_lost` | only after lines could not be written, as on a full disk: how many |

With `log.format = "json"` (the default where stdout is no terminal) each is one JSON object a line. The
program's own lines are written per transaction or interval, never per event or request. They hold no event
data, no ids of people or devices, no addresses of clients and no secrets. What libraries log, from `warning`
on, becomes `library.warning`: once a minute for each cause.
"""

LABELS = ("Alert", "Remedy")

WORDS = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}


def document() -> str:
    """The whole page."""
    rows = [
        f"| [`{kind.NAME}`](#{kind.NAME.replace('.', '')}) | {kind.LEVEL} | {part_of(kind, 'Alert')} |"
        for kind in CATALOGUE
    ]
    overview = ["| event | level | alert |", "|---|---|---|", *rows]
    return "\n\n".join([HEAD.strip(), "\n".join(overview), *(section(kind) for kind in CATALOGUE)]) + "\n"


def section(kind: type[LogEvent]) -> str:
    """One event: meaning, alert, remedy, fields."""
    lines = [f"## {kind.NAME}", *meaning(kind)]
    lines += [f"**{label}:** {part_of(kind, label)}" for label in LABELS if part_of(kind, label)]
    hints = typing.get_type_hints(kind)
    rows = [f"| `{field.name}` | {in_words(hints[field.name])} |" for field in structs.fields(kind)]
    if rows:
        lines.append("\n".join(["| field | value |", "|---|---|", *rows]))
    return "\n\n".join(lines)


def meaning(kind: type[LogEvent]) -> list[str]:
    """The paragraphs of the docstring that have no label."""
    return [text for text in paragraphs(kind) if not text.startswith(tuple(f"{label}:" for label in LABELS))]


def part_of(kind: type[LogEvent], label: str) -> str:
    """The paragraph with the label, without it; empty where there is none."""
    marked = (text for text in paragraphs(kind) if text.startswith(f"{label}:"))
    return next(marked, "").removeprefix(f"{label}:").strip()


def paragraphs(kind: type[LogEvent]) -> list[str]:
    """The docstring's paragraphs, each on one line, in Markdown."""
    text = inspect.getdoc(kind) or ""
    return [" ".join(paragraph.split()).replace("``", "`") for paragraph in text.split("\n\n")]


def in_words(hint: object) -> str:
    """A field's type as a reader of JSON sees it."""
    if isinstance(hint, type) and hint in WORDS:
        return WORDS[hint]
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return " or ".join(in_words(argument) for argument in arguments)
    if typing.get_origin(hint) is dict and typing.get_origin(arguments[1]) is dict:
        return f"object of objects: {in_words(typing.get_args(arguments[1])[1])} by name by name"
    if typing.get_origin(hint) is dict:
        return f"object: {in_words(arguments[1])} by name"
    if typing.get_origin(hint) is list:
        return f"list of {in_words(arguments[0])}"
    raise TypeError(f"a log event's field of type {hint}: say it in words here")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
