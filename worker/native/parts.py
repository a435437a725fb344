"""What of the native library a process uses: all of it, or nothing.

Decides whether it is used: by the option, by what is installed, and no more after it failed. Must not know
what is done with it. Invariants: after a failure it is not used again; with ``engine.implementation =
"native"`` it is there, and its first failure ends the process.
"""

import traceback
from types import ModuleType

from worker import telemetry
from worker.errors import Fatal
from worker.native.library import REMEDY, native_library


class NativeParts:
    """The library of one process. ``must``: it is wanted, and nothing else in its place."""

    def __init__(self, library: ModuleType | None, *, must: bool = False) -> None:
        self._library = library
        self._must = must
        self._failures = 0
        self._fatal: Fatal | None = None

    @property
    def library(self) -> ModuleType | None:
        """The library; None where everything is done without it."""
        return self._library

    @property
    def failures(self) -> int:
        """How often it has failed since the process was started."""
        return self._failures

    def failed(self, error: Exception) -> None:
        """It raised this: log that once, use it no more. Raises Fatal where nothing may take its place."""
        if self._library is not None:
            reason = _reason(error, self._library)
            telemetry.emit(telemetry.EngineFailed(reason=reason))
            self._library = None
            self._failures += 1
            if self._must:
                self._fatal = Fatal(
                    f"the native library failed, which is a bug in it: {reason}. No data is damaged. Remedy: "
                    'engine.implementation = "python" (or "auto"); and report this'
                )
        self.check()

    def check(self) -> None:
        """Raise Fatal, where it has failed and nothing may take its place."""
        if self._fatal is not None:
            raise self._fatal


def native_parts(implementation: str) -> NativeParts:
    """By the option ``engine.implementation``. Raises Fatal where the library is wanted and is not there."""
    if implementation == "python":
        return NativeParts(None)
    found = native_library()
    if found.module is None and implementation == "native":
        raise Fatal(
            f'engine.implementation is "native", but there is no library: {found.missing_because}. '
            f"Remedy: {REMEDY}"
        )
    if found.is_unusable:
        telemetry.emit(telemetry.EngineNotUsed(reason=found.missing_because))
    return NativeParts(found.module, must=implementation == "native")


def _reason(error: Exception, library: ModuleType) -> str:
    """The place in the library, or in Python where it raised anything else, whose text may quote data."""
    if isinstance(error, library.EngineFailed):
        return str(error)
    places = [f" at {frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return "".join([type(error).__name__, *places[-1:]])
