"""The clock of the machine, with asyncio's waiting."""

import asyncio
import time


class SystemClock:
    """Implements ``ports.Clock``."""

    def monotonic(self) -> float:
        """Seconds since some instant; never goes back."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Ms since the epoch, as this machine believes."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least that long."""
        await asyncio.sleep(seconds)
