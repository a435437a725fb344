"""What of the native library a process uses: all of it, or nothing.

Decides whether it is used: by the option, by what is installed, and no more after it failed. Must not know
what is done with it. Invariant: with ``engine.implementation = "native"`` it is there, and a failure is not
passed over.
"""

from types import ModuleType

from worker import telemetry
from worker.errors import Fatal
from worker.native.library import REMEDY, native_library


class NativeParts:
    """The library of one process. ``must``: it is wanted, and nothing else in its place."""

    def __init__(self, library: ModuleType | None, *, must: bool = False) -> None:
        self._library = library
        self._must = must

    @property
    def library(self) -> ModuleType | None:
        """The library; None where everything is done without it."""
        return self._library

    def failed(self, reason: str) -> None:
        """It raised EngineFailed with this text: log that, and go on without it where that is allowed."""
        telemetry.emit(telemetry.EngineFailed(reason=reason))
        if not self._must:
            self._library = None


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
