"""Waiting for a condition, never for a time: the only two places where tests sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable


def wait_until(
    condition: Callable[[], object], *, what: str, timeout_s: float = 30.0, every_s: float = 0.02
) -> None:
    """Return as soon as ``condition()`` is true. After ``timeout_s``: TimeoutError, naming ``what``.

    ``every_s``: the pause between two looks, longer where a look costs what is being measured.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain until {what}")
        time.sleep(every_s)


async def eventually(
    condition: Callable[[], Awaitable[object]], *, what: str, timeout_s: float = 30.0
) -> None:
    """The same for a condition that must be awaited, inside an event loop."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain until {what}")
        await asyncio.sleep(0.02)
