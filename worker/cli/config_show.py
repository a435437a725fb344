"""``sessionizer config show``: every option's value and where it came from. Secrets are hidden."""

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
    form: Annotated[
        Format, typer.Option("--format", help="toml: a file that can be read again. Secrets are left out.")
    ] = Format.TABLE,
) -> None:
    """Print every option with its value and where the value came from."""
    options = read(config)
    if form is Format.TOML:
        typer.echo(as_toml(options), nl=False)
    else:
        _print_table(options)
    print_warnings(options)


def as_toml(options: "Config") -> str:
    """The configuration as a TOML file. Secrets are comments."""
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
        # Text, because rich would read a value such as "[object object]" as markup.
        value = Text(show(value_of(options, key), at_most=None))
        table.add_row(key, value, Text(options.sources.get(key, "default")))
    console().print(table)
