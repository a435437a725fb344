"""Where tables are printed."""

from rich.console import Console

PIPED_WIDTH = 160
"""Columns of a table that goes into a file or a pipe: there is no screen to fit."""


def console() -> Console:
    """Standard output, as wide as the terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPED_WIDTH)
