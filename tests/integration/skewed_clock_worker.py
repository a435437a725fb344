"""``sessionizer`` on a machine whose wall clock is a day ahead. Run it as a module."""

from worker.adapters.system_clock import SystemClock
from worker.cli.main import main

AHEAD_MS = 86_400_000

if __name__ == "__main__":
    right = SystemClock.wall_ms
    SystemClock.wall_ms = lambda self: right(self) + AHEAD_MS  # type: ignore[method-assign]
    main()
