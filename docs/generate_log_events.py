"""Writes docs/log_events.md from the catalogue of log events: ``python docs/generate_log_events.py``.

The docstring of an event's struct is its documentation; what follows "Alert:" in a paragraph says when to
wake somebody.
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

One JSON object a line on stdout (`log.format = "console"` is for people). Each begins with the same three:

    {"event": "partition.assigned", "level": "info", "timestamp": "2026-03-02T10:00:00.123456Z", ...}

| field | meaning |
|---|---|
| `event` | what happened: one of the names below, which stay the same from release to release |
| `level` | `info`, `warning` or `error` |
| `timestamp` | wall clock of the machine, UTC |
| `instance` | which worker wrote the line: `log.instance`, or host name and process id |
| `slot` | only under `run --processes`: which of the processes wrote the line, from 0 |
| `log_lines_lost` | only after lines could not be written, on a full disk say: how many |

Lines are written per transaction or interval, never per event of the raw topic, and hold no event data, no
ids of people or devices and no secrets. What libraries log, from `warning` on, becomes `library.warning`.
"""

WORDS = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}


def document() -> str:
    """The whole page."""
    rows = [
        f"| [`{kind.NAME}`](#{kind.NAME.replace('.', '')}) | {kind.LEVEL} | {alert(kind)} |"
        for kind in CATALOGUE
    ]
    overview = ["| event | level | alert |", "|---|---|---|", *rows]
    return "\n\n".join([HEAD.strip(), "\n".join(overview), *(section(kind) for kind in CATALOGUE)]) + "\n"


def section(kind: type[LogEvent]) -> str:
    """One event: meaning, alert, fields."""
    lines = [f"## {kind.NAME}", *meaning(kind)]
    if alert(kind):
        lines.append(f"**Alert:** {alert(kind)}")
    hints = typing.get_type_hints(kind)
    rows = [f"| `{field.name}` | {in_words(hints[field.name])} |" for field in structs.fields(kind)]
    lines.append("\n".join(["| field | value |", "|---|---|", *rows]))
    return "\n\n".join(lines)


def meaning(kind: type[LogEvent]) -> list[str]:
    """The paragraphs of the docstring without what is to be alerted on."""
    texts = [paragraph.partition("Alert:")[0].strip() for paragraph in paragraphs(kind)]
    return [text for text in texts if text]


def alert(kind: type[LogEvent]) -> str:
    """When to wake somebody; empty for never."""
    return " ".join(paragraph.partition("Alert:")[2].strip() for paragraph in paragraphs(kind)).strip()


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
    if typing.get_origin(hint) is dict:
        return f"object: {in_words(arguments[1])} by name"
    if typing.get_origin(hint) is list:
        return f"list of {in_words(arguments[0])}"
    raise TypeError(f"a log event's field of type {hint}: say it in words here")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
