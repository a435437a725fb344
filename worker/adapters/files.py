"""Writes files of one JSON value a line, which appear whole or not at all.

Knows names and bytes; nothing of the values. Invariants: until ``complete`` no file of these names is
touched, and no other file is left behind, whatever happens; a value is one line, whatever white space it
holds.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from worker.errors import Fatal

_BUFFER_BYTES = 1024 * 1024


class LinesOut:
    """Files of these names in one directory. Use it as a context, and end it by ``complete``."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self._paths = {name: directory / name for name in names}
        self._partial = {name: directory / f".{name}.partial" for name in names}
        self._files: dict[str, BinaryIO] = {}
        self._open = ExitStack()

    def write(self, name: str, values: Iterable[bytes]) -> None:
        """Append the values, one a line. Raises Fatal where that is not possible."""
        try:
            self._files[name].writelines([_on_one_line(value) + b"\n" for value in values])
        except OSError as error:
            raise self._failure(self._paths[name], error) from error

    def complete(self) -> None:
        """Rename the files to their own names, over what was there."""
        try:
            self._open.close()
            for name, path in self._paths.items():
                self._partial[name].replace(path)
        except OSError as error:
            raise self._failure(next(iter(self._paths.values())).parent, error) from error

    def __enter__(self) -> Self:
        for name, path in self._partial.items():
            try:
                self._files[name] = self._open.enter_context(path.open("wb", _BUFFER_BYTES))
            except OSError as error:
                self._discard()
                raise self._failure(path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def _discard(self) -> None:
        try:
            self._open.close()
        except OSError:
            pass  # what cannot be written is deleted anyway
        finally:
            for path in self._partial.values():
                path.unlink(missing_ok=True)

    def _failure(self, path: Path, error: OSError) -> Fatal:
        return Fatal(f"{path}: cannot be written: {error.strerror}")


def _on_one_line(value: bytes) -> bytes:
    """The value without line breaks: JSON holds them only between tokens, where a blank means the same."""
    return value.replace(b"\n", b" ") if b"\n" in value else value
