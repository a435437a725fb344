"""Standard input, output and error of a command, which whoever starts it may have closed.

Decides what stands in for a closed one: the system's null device. It must not know what is written. The
invariant: descriptors 0, 1 and 2 are never given to a file or a connection that is opened later. The next
thing printed, a stack trace or a library's complaint, would go into it: into a database, say.
"""

import os
import sys

_NAMES = ("stdin", "stdout", "stderr")


def open_closed_ones() -> None:
    """Open the null device in place of each stream that is closed. Call it before anything else is opened."""
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
