"""``sessionizer collect keys``: makes write keys, lists them, disables one.

Decides what a new key looks like and where it is shown: once, alone on standard output. The invariant: the
key is written nowhere else; the file has its hash.
"""

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.config_option import ConfigPath, read
from worker.config.key_entries import (
    KEY_PREFIX,
    NAME_EXPECTED,
    ORIGIN_EXPECTED,
    RATES,
    KeyEntries,
    WriteKey,
    digest_of,
    from_pairs,
    is_name,
    origin_of,
)
from worker.config.key_entries import read as read_keys
from worker.errors import Fatal

if TYPE_CHECKING:
    from worker.config.options import Collect

_RANDOM_BYTES = 24  # 32 characters
_RATE = re.compile(r"(requests|events|bytes)=([1-9][0-9]{0,8})")

keys = typer.Typer(help="The write keys of the HTTPS API.", no_args_is_help=True)


def _name(text: str) -> str:
    if not is_name(text):
        raise typer.BadParameter(NAME_EXPECTED)
    return text


def _origins(texts: list[str] | None) -> list[str]:
    origins = [origin_of(text) for text in texts or ()]
    if None in origins:
        raise typer.BadParameter(ORIGIN_EXPECTED)
    return [origin for origin in dict.fromkeys(origins) if origin]


def _rates(texts: list[str] | None) -> list[str]:
    if not all(_RATE.fullmatch(text) for text in texts or ()):
        raise typer.BadParameter("expected requests=N, events=N or bytes=N, which is for one second")
    return list(texts or ())


KeysPath = Annotated[
    Path | None,
    typer.Option("--file", metavar="PATH", help="The keys file.", show_default="collect.keys_file"),
]
NewName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", callback=_name, help="Of whom or what; logs and metrics have it.", show_default=False
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        metavar="URL",
        callback=_origins,
        help="A page that may use it, e.g. https://shop.example, or *. May be repeated.",
        show_default="a server's key",
    ),
]
Rates = Annotated[
    list[str] | None,
    typer.Option(
        "--rate",
        metavar="WHAT=N",
        callback=_rates,
        help="The most requests, events or bytes a second, e.g. events=1000. May be repeated.",
        show_default="no limit",
    ),
]


@keys.command()
def add(
    name: NewName,
    origin: Origins = None,
    rate: Rates = None,
    file: KeysPath = None,
    config: ConfigPath = None,
) -> None:
    """Make a write key and add it to the keys file, which has only its hash.

    The key is shown once, alone on standard output. With --origin it is for pages, where everybody can read
    it: it may only write. A running collector takes it within two seconds.
    """
    from worker.adapters.key_file_edit import add_key

    collect = read(config, connects=False).collect
    path = _path(collect, file)
    if any(name == other.name for other in _of_option(collect)):
        raise Fatal(f"collect.keys: has a key named {name} already: choose another name for the new one")
    text = KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    rates: dict[str, Any] = {
        f"{what}_per_s": int(most) for what, most in (each.split("=") for each in rate or ())
    }
    add_key(path, WriteKey(name=name, sha256=digest_of(text.encode()), origins=tuple(origin or ()), **rates))
    typer.echo(text)
    typer.echo(f"added {name} to {path}. This is the only time that the key is shown.", err=True)


@keys.command("list")
def list_keys(file: KeysPath = None, config: ConfigPath = None) -> None:
    """Print names, origins and rates of the keys, never a key."""
    from rich.table import Table
    from rich.text import Text

    from worker.cli.tables import console

    collect = read(config, connects=False).collect
    of_option = _of_option(collect)
    path = _path(collect, file) if file or not of_option else Path(collect.keys_file)
    entries = read_keys(path) if path.name else KeyEntries()
    if entries.faults:
        raise Fatal(f"{path}: {entries.faults[0]}")
    table = Table("name", "state", "for", "a second", "from")
    for number in (2, 4):
        table.columns[number].overflow = "fold"
    places = ((str(path), entries.keys), ("collect.keys", of_option))
    for place, key in [(place, key) for place, found in places for key in found]:
        rates = [f"{most} {rate.removesuffix('_per_s')}" for rate in RATES if (most := getattr(key, rate))]
        cells = (
            key.name,
            "disabled" if key.disabled else "enabled",
            "\n".join(key.origins) or "servers",
            ", ".join(rates) or "no limit",
            place,
        )
        table.add_row(*map(Text, cells))
    console().print(table)


@keys.command()
def disable(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    file: KeysPath = None,
    config: ConfigPath = None,
) -> None:
    """Disable a key: within two seconds it is refused as if it did not exist. Its entry stays."""
    from worker.adapters.key_file_edit import disable_key

    path = _path(read(config, connects=False).collect, file)
    was_enabled = disable_key(path, name)
    typer.echo(f"disabled {name} in {path}" if was_enabled else f"{name} in {path} was disabled already")


def _path(collect: "Collect", file: Path | None) -> Path:
    """The keys file. Raises BadParameter, exit code 2, where nothing names it."""
    if file is None and not collect.keys_file:
        raise typer.BadParameter("is needed where collect.keys_file is not set", param_hint="--file")
    return file or Path(collect.keys_file)


def _of_option(collect: "Collect") -> tuple[WriteKey, ...]:
    return from_pairs(collect.keys.reveal()).keys if collect.keys else ()
