"""The native library: loaded where it is installed and is the one for this program.

Decides whether it may be used. Must not know what it is used for, nor what happens without it. Invariant: a
library that was built from other sources is never handed out.
"""

from types import ModuleType

from msgspec import Struct

from worker.native.sources import expected_hash

REMEDY = "pip install 'sessionizer[native]', or in a checkout: make native"


class NativeLibrary(Struct, frozen=True):
    """The module, or why there is none. ``is_unusable``: one is installed, and must not be used."""

    module: ModuleType | None
    missing_because: str = ""
    is_unusable: bool = False


def native_library() -> NativeLibrary:
    """The library of this installation. Each call hashes the sources, which takes some ms."""
    try:
        import sessionizer_native
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "sessionizer_native":
            return NativeLibrary(None, "it is not installed")
        return NativeLibrary(None, f"it cannot be loaded: {error}", is_unusable=True)
    try:
        expected = expected_hash()
    except OSError as error:
        return NativeLibrary(None, f"this checkout is not whole: {error}", is_unusable=True)
    return accepted(sessionizer_native, expected)


def accepted(module: ModuleType, expected: str | None) -> NativeLibrary:
    """The module, if it bears the hash of this program's sources."""
    built_from = getattr(module, "SOURCES", None)
    if expected is not None and built_from == expected:
        return NativeLibrary(module)
    reason = f"it was built from other sources ({built_from}) than this program's ({expected or 'unknown'})"
    return NativeLibrary(None, reason, is_unusable=True)
