"""``sessionizer config show``: what is in force, and where each value came from. Never a secret."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.config_option import ConfigPath, print_warnings, read
from worker.config.options import SECTIONS, Secret
from worker.config.values import OPTIONS, show, value_of

if TYPE_CHECKING:
    from worker.config import Config

config = typer.Typer(help="The configuration.", no_args_is_help=True)


class Format(StrEnum):
    TABLE = "table"
    TOML = "toml"


@config.command("show")
def show_config(
    config: ConfigPath = None,
    form: Annotated[Format, typer.Option("--format", help="toml can be read back, without its secrets.")] = (
        Format.TABLE
    ),
) -> None:
    """Print every option in force, with the place it came from."""
    options = read(config)
    if form is Format.TOML:
        typer.echo(as_toml(options), nl=False)
    else:
        _print_table(options)
    print_warnings(options)


def as_toml(options: "Config") -> str:
    """The configuration as a file. A secret is a comment, so that the file can still be read."""
    lines: list[str] = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        lines.extend(_toml_line(options, key) for key in OPTIONS if key.startswith(f"{section}."))
        lines.append("")
    return "\n".join(lines)


def _toml_line(options: "Config", key: str) -> str:
    name, value = key.partition(".")[2], value_of(options, key)
    origin = f"  # {options.sources[key]}" if key in options.sources else ""
    if isinstance(value, Secret):
        return f"# {name} = {show(value)}{origin}"
    return f"{name} = {_toml_value(value)}{origin}"


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(name)} = {json.dumps(item)}" for name, item in value.items()) + "}"
        )
    return json.dumps(value)


def _print_table(options: "Config") -> None:
    from rich.table import Table
    from rich.text import Text

    from worker.cli.tables import console

    table = Table()
    table.add_column("option", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for key in OPTIONS:
        # Text: a value such as "[object object]" is no markup.
        value = Text(show(value_of(options, key), at_most=None))
        table.add_row(key, value, Text(options.sources.get(key, "default")))
    console().print(table)
