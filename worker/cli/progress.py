"""How far a command is, told on standard error: a bar on a terminal, a few plain lines anywhere else.

It is told numbers of bytes and asks nobody.
"""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

_PARTS = 4


class ByteProgress:
    """Bytes on their way to ``total_bytes``; nothing is shown where that is 0."""

    def __init__(self, what: str, total_bytes: int) -> None:
        self._what = what
        self._total_bytes = total_bytes
        self._told = 0
        console = Console(stderr=True, highlight=False)
        self._console = console
        self._bar: Progress | None = None
        if console.is_terminal and total_bytes:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(32),
                DownloadColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(what, total=total_bytes)

    def reached(self, position_bytes: int) -> None:
        """So much is done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=min(position_bytes, self._total_bytes))
        elif self._total_bytes:
            part = position_bytes * _PARTS // self._total_bytes
            if part > self._told:
                self._told = part
                self._console.print(f"{self._what} {part * 100 // _PARTS} % of {self._total_bytes:,} bytes")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
