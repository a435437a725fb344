"""Ends a process whose event loop is blocked, with a dump of every thread's stack.

Decides how long is too long. Knows nothing of what blocks the loop. A loop that does not run for ``limit_s``
will not recover by itself, while a restarted worker goes on where this one was. The invariant: the dump
(faulthandler's, written by C code that needs no event loop) shows code lines, never variables: those may be
people's data.
"""

import asyncio
import faulthandler


async def watch(limit_s: float = 60.0, beat_s: float = 5.0) -> None:
    """End the process where the event loop does not run for ``limit_s``. Runs until cancelled."""
    try:
        while True:
            faulthandler.dump_traceback_later(limit_s, exit=True)
            await asyncio.sleep(beat_s)
    finally:
        faulthandler.cancel_dump_traceback_later()
