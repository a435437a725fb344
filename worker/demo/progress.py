"""How far the demo is, while it runs: bars on a terminal, a few plain lines anywhere else.

It decides how progress looks. It is told numbers and asks nobody.
"""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_CLOSED = "sessions closed"


class ProgressView:
    """Counts on their way to their totals: batches sent, events that have met their fate; and, because nobody
    knows their number before, how many sessions have closed.
    """

    def __init__(self, console: Console, *, batches: int, events: int) -> None:
        self._console = console
        self._totals = {"batches sent": batches, "events settled": events}
        self._told = dict.fromkeys(self._totals, 0)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        if console.is_terminal:
            self._bars = Progress(
                TextColumn("  {task.description:<16}"),
                BarColumn(32),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
            )
            self._tasks = {
                name: self._bars.add_task(name, total=total) for name, total in self._totals.items()
            }
            self._tasks[_CLOSED] = self._bars.add_task(_CLOSED, total=None)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def sent(self, batches: int) -> None:
        """So many batches stand in the raw topic."""
        self._show("batches sent", batches)

    def settled(self, events: int) -> None:
        """So many events are enriched or dead-lettered."""
        self._show("events settled", events)

    def closed(self, sessions: int) -> None:
        """So many sessions have been published as closed."""
        if self._bars is not None:
            self._bars.update(self._tasks[_CLOSED], completed=sessions)

    def _show(self, name: str, number: int) -> None:
        total = self._totals[name]
        if self._bars is not None:
            self._bars.update(self._tasks[name], completed=min(number, total))
        elif number * 4 // total > self._told[name]:  # a line a quarter
            self._told[name] = number * 4 // total
            self._console.print(f"  {name}: {number:,} of {total:,}")
