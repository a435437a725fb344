"""The value of one option: from text, into its type, and into words.

Decides what an option accepts and how that is said. Knows no file, no environment and no single option. The
invariant: a secret is shown as ``***``, whatever type its value had.
"""

import json
from typing import Any, get_args

import msgspec
from msgspec.inspect import DictType, LiteralType, Type, type_info
from msgspec.structs import FieldInfo

from worker.config.options import ANY_COUNT, BOUNDS, EXAMPLES, SECTIONS, Config, Secret

OPTIONS: dict[str, FieldInfo] = {
    f"{section}.{field.name}": field
    for section, struct in SECTIONS.items()
    for field in msgspec.structs.fields(struct)
}
"""Every option by its full name, such as ``session.gap_ms``, in the order of the file."""

KINDS: dict[str, Type] = {
    key: type_info(field.type) for key, field in OPTIONS.items() if field.type != Secret
}

UNITS = {"ms": "milliseconds", "s": "seconds", "days": "days", "bytes": "bytes", "mb": "MiB"}


def is_secret(key: str) -> bool:
    """Whether an option's value is never shown."""
    return OPTIONS[key].type is Secret


def value_of(config: Config, key: str) -> object:
    """The value of an option."""
    section, name = key.split(".")
    value: object = getattr(getattr(config, section), name)
    return value


def default_of(key: str) -> object:
    """An option's default."""
    return value_of(Config(), key)


def show(value: object, *, at_most: int | None = 80) -> str:
    """A value as JSON, nearly as in a file, cut to ``at_most`` characters. A secret is ``***``."""
    if isinstance(value, Secret):
        return repr(value)
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if at_most is None or len(text) <= at_most else f"{text[: at_most - 3]}..."


def from_text(key: str, text: str) -> object:
    """A variable's text as the value that a file would hold. Where it is none it stays text: ``convert``
    refuses it.
    """
    kind = OPTIONS[key].type
    if is_secret(key) or kind is str or isinstance(KINDS[key], LiteralType):
        return text
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is int:
        try:
            return int(text)
        except ValueError:
            return text
    try:
        decoded: object = json.loads(text)
    except ValueError:
        decoded = None
    if isinstance(decoded, dict if isinstance(KINDS[key], DictType) else list):
        return decoded
    return [item.strip() for item in text.split(",") if item.strip()]


def convert(key: str, value: object) -> object:
    """The value in the option's type. Raises ``ValueError`` that says what is expected instead."""
    kind: Any = OPTIONS[key].type
    try:
        converted: object = msgspec.convert(value, str if is_secret(key) else kind)
    except msgspec.ValidationError:
        raise ValueError(_expectation(key)) from None  # the cause may quote a secret
    if is_secret(key):
        return Secret(str(converted))
    if isinstance(converted, str) and not converted.isprintable():
        raise ValueError("expected text without control characters")
    if kind is int and isinstance(converted, int):
        least, most = BOUNDS.get(key, ANY_COUNT)
        if not least <= converted <= most:
            raise ValueError(f"expected {least} to {most}{_unit(key, before=' ')}")
    return converted


def _expectation(key: str) -> str:
    """What an option accepts, in words."""
    kind = OPTIONS[key].type
    if is_secret(key) or kind is str:
        return "expected text"
    if kind is bool:
        return "expected true or false"
    if kind is int:
        return f"expected a whole number{_unit(key, before=' of ')}, e.g. {default_of(key)}"
    if isinstance(KINDS[key], LiteralType):
        return f"expected one of {', '.join(choice or '(nothing)' for choice in get_args(kind))}"
    if isinstance(KINDS[key], DictType):
        *most, last = get_args(get_args(kind)[1])
        what = f"a table with the values {', '.join(most)} or {last}"
    elif choices := get_args(get_args(kind)[0]):
        what = f"a list of {', '.join(choices)}"
    else:
        what = "a list of texts"
    return f"expected {what}, e.g. {show(EXAMPLES[key])}"


def _unit(key: str, *, before: str) -> str:
    unit = UNITS.get(key.rpartition("_")[2])
    return f"{before}{unit}" if unit else ""
