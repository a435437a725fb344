"""The option ``--processes``, which ``run`` and ``collect`` share."""

from typing import Annotated

import typer


def number_of(text: str) -> int:
    """The number of processes. Raises BadParameter, exit code 2."""
    from worker.processes.slots import cores

    if text == "auto":
        return cores()
    if not text.isascii() or not text.isdigit() or not int(text):
        raise typer.BadParameter("expected a whole number from 1 on, or auto: one for each core")
    return int(text)


Slot = Annotated[int | None, typer.Option(hidden=True, help="Set by the supervisor only.")]


def own_command() -> tuple[str, ...]:
    """The program as it was started, so that `ps` shows which supervisor a process belongs to."""
    import sys

    return (sys.executable, *sys.orig_argv[1:])
