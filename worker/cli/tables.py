"""The console that tables are printed to."""

from rich.console import Console

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""


def console() -> Console:
    """Standard output, as wide as the terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPED_WIDTH)
