"""A hash of what the native library is built from, so that a stale one is never taken for the right one.

Decides which files count. Knows nothing of the library itself. Standard library only: what builds a wheel
runs this file alone. Invariant: ``native/python/build.rs`` computes the same of the same files, everywhere.
"""

import zlib
from pathlib import Path

_TOP = Path(__file__).parents[2]
_RECORDED = Path(__file__).with_name("sources.txt")
"""In a wheel, which has no sources: their hash at the time it was built."""
_TABLES = "tables.txt"
_FILES = ("Cargo.toml", "Cargo.lock", _TABLES, "engine/Cargo.toml", "python/Cargo.toml", "python/build.rs")
_FOLDERS = ("engine/src", "python/src")


def expected_hash(top: Path = _TOP, recorded: Path = _RECORDED) -> str | None:
    """The hash that the library for this program bears; None where nothing here says it."""
    if (top / "native" / _TABLES).is_file():
        return sources_hash(top)
    return recorded.read_text().strip() if recorded.is_file() else None


def sources_hash(top: Path) -> str:
    """The hash of the sources below ``top``, eight hexadecimal digits. Raises OSError."""
    native = top / "native"
    names = [f"native/{name}" for name in _FILES]
    names += [
        file.relative_to(top).as_posix() for folder in _FOLDERS for file in (native / folder).rglob("*.rs")
    ]
    lines = (native / _TABLES).read_text().splitlines()
    names += [line for line in lines if line and not line.startswith("#")]
    crc = 0
    for name in sorted(names, key=str.encode):
        text = (top / name).read_bytes()
        crc = zlib.crc32(text, zlib.crc32(f"{name} {len(text)}\n".encode(), crc))
    return f"{crc:08x}"
