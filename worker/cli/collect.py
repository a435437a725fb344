"""``sessionizer collect``: the HTTPS API, and its write keys."""

import typer

from worker.cli.collect_keys import keys

collect = typer.Typer(help="The HTTPS API.", no_args_is_help=True)
collect.add_typer(keys, name="keys")
