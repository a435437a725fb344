"""The file of write keys: read at the start, looked at every two seconds, and at once when asked to.

Decides when what is in the file counts: a change is taken when two readings agree, so that a file is not
taken half written. Knows no request and no log: who composes the process says what happens with keys and
with faults. Invariants: a file that cannot be used changes no key; each change is reported once.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.config.key_entries import (
    KeyEntries,
    WriteKey,
    content_of,
    from_file,
    from_pairs,
    merged,
    why_unreadable,
)
from worker.config.options import Collect
from worker.errors import Fatal

LOOK_S = 2.0
_SETTLE_S = 0.1

_Reading = bytes | str
"""What was read: the content, or why there is none."""


class KeyFile:
    """The keys of ``collect.keys_file``, as they change, together with those of ``collect.keys``."""

    def __init__(
        self,
        collect: Collect,
        on_loaded: Callable[[Sequence[WriteKey]], None],
        on_invalid: Callable[[str], None],
    ) -> None:
        """``on_loaded`` gets all keys, ``on_invalid`` one line, which quotes no key."""
        self._path = Path(collect.keys_file) if collect.keys_file else None
        self._of_option = from_pairs(collect.keys.reveal()) if collect.keys else KeyEntries()
        self._on_loaded = on_loaded
        self._on_invalid = on_invalid
        self._taken: _Reading | None = None
        self._asked = asyncio.Event()

    def load(self) -> None:
        """Read the keys for the first time. Raises Fatal where they cannot be used."""
        if self._path is None:
            entries = self._of_option
        else:
            self._taken = _read(self._path)
            entries = self._entries(self._taken)
        if entries.faults:
            raise Fatal(self._line(entries))
        self._on_loaded(entries.keys)

    def reread(self) -> None:
        """Let ``watch`` read the file at once, and report it even if it has not changed."""
        self._asked.set()

    async def watch(self) -> None:
        """Read the file for ever, and report each change. Returns at once where there is none."""
        while self._path is not None:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._asked.wait()
            except TimeoutError:
                pass
            asked = self._asked.is_set()
            self._asked.clear()
            await self._look(self._path, asked=asked)

    async def _look(self, path: Path, *, asked: bool) -> None:
        reading = await asyncio.to_thread(_read, path)
        if reading == self._taken and not asked:
            return
        while True:  # until two readings agree
            await asyncio.sleep(_SETTLE_S)
            before, reading = reading, await asyncio.to_thread(_read, path)
            if reading == before:
                break
        if reading != self._taken or asked:
            self._taken = reading
            entries = self._entries(reading)
            if entries.faults:
                self._on_invalid(self._line(entries))
            else:
                self._on_loaded(entries.keys)

    def _entries(self, reading: _Reading) -> KeyEntries:
        of_file = from_file(reading) if isinstance(reading, bytes) else KeyEntries(faults=(reading,))
        return merged(self._of_option, of_file)

    def _line(self, entries: KeyEntries) -> str:
        first, *others = entries.faults
        more = f" (and {len(others)} more)" if others else ""
        option = f"collect.keys_file: {self._path}" if self._path else "collect.keys"
        return f"{option}: {first}{more}"


def _read(path: Path) -> _Reading:
    try:
        return content_of(path)
    except OSError as error:
        return why_unreadable(error)
