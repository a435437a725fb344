"""Ends a process that is stuck, with a dump of every thread's stack.

Health is progress, not a living process: a loop that does not turn for ``limit_s`` will not recover by
itself, while a restarted worker goes on where this one was. The dump (faulthandler's) shows code lines, never
variables: those hold people's data. Written from outside the event loop, by C code that works also when
Python does not.
"""

import asyncio
import faulthandler


async def watch(limit_s: float = 60.0, beat_s: float = 5.0) -> None:
    """Push the end of the process ahead for as long as the event loop turns. Runs until cancelled."""
    try:
        while True:
            faulthandler.dump_traceback_later(limit_s, exit=True)
            await asyncio.sleep(beat_s)
    finally:
        faulthandler.cancel_dump_traceback_later()
