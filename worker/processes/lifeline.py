"""The pipe by which a worker process notices that its supervisor has ended. It runs in the worker process.

The supervisor holds one end and never writes. However it ends, the system closes that end, and the process
ends at once, as by SIGKILL: nothing is lost or repeated, and its directory and member id are free for the
next start. The invariant: no process outlives its supervisor, on any system, whatever its event loop does.
"""

import os
import threading


def end_with_supervisor(descriptor: int) -> None:
    """End this process, with exit code 1, as soon as the other end of ``descriptor`` is closed."""
    threading.Thread(target=_wait, args=(descriptor,), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(1)
