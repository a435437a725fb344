"""stdin, stdout and stderr of a command that was started with some of them closed (``run >&-``).

Decides what a closed one is replaced by: the null device. Knows nothing of what is written. The invariant: no
file or connection that is opened later gets descriptor 0, 1 or 2, because the next line printed would go into
it, as into a database.
"""

import os
import sys

_NAMES = ("stdin", "stdout", "stderr")


def replace_closed_streams() -> None:
    """Open the null device for each closed stream. Call this before anything else is opened."""
    for descriptor, name in enumerate(_NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            mode = "r" if descriptor == 0 else "w"
            stream = os.fdopen(descriptor, mode, encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, stream)
