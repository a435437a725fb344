"""A fault of options, as every check reports it, and why a file cannot be read.

Knows no option. The invariant: a fault names the options it is about, and never their values, which may be
secrets: whoever shows it decides that.
"""

from pathlib import Path
from typing import NamedTuple


class Fault(NamedTuple):
    """Some options, and what is wrong with the first of them.

    ``{1}`` in the reason stands for the second of them with its value.
    """

    keys: tuple[str, ...]
    reason: str


def unreadable(path: Path) -> str:
    """Why the file cannot be read; empty where it can."""
    try:
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
