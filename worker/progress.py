"""How far a command is: bars on a terminal, a line for each quarter anywhere else.

Decides how progress looks. Knows nothing of the work: it is given numbers.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

_LINES = 4


class ProgressView:
    """Counts and their totals, by name. Without a total (None) a count is shown on a terminal only.

    ``unit`` is that of all counts. Use it as a context manager: the bars are there within the block.
    """

    def __init__(
        self, console: Console, totals: Mapping[str, int | None], *, unit: Literal["", "bytes"] = ""
    ) -> None:
        self._console = console
        self._totals = totals
        self._unit = unit
        self._printed = dict.fromkeys(totals, 0)
        self._bars: Progress | None = None
        if console.is_terminal:
            self._bars = Progress(
                TextColumn("  {task.description:<16}"),
                BarColumn(32),
                DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                console=console,
            )
            self._tasks = {name: self._bars.add_task(name, total=total) for name, total in totals.items()}

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def reached(self, name: str, count: int) -> None:
        """Show that the count is at ``count`` now."""
        total = self._totals[name]
        if total is not None:
            count = min(count, total)
        if self._bars is not None:
            self._bars.update(self._tasks[name], completed=count)
        elif total and (quarters := count * _LINES // total) > self._printed[name]:
            self._printed[name] = quarters
            percent = quarters * 100 // _LINES
            self._console.print(f"  {name}: {percent} % of {total:,} {self._unit}".rstrip())
