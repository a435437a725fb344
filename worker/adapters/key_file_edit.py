"""Changes of the keys file by a command: a key is added, a key is disabled.

Decides how the text changes, so that comments and order stay as somebody wrote them. Knows no terminal.
Invariants: the file is replaced as a whole or not at all; two commands at once lose no change; a text is
written only if it says exactly what was asked for, read as the collector reads it.
"""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import structs

from worker.config.key_entries import NO_KEYS, RATES, WriteKey, are_pairs, content_of, from_file
from worker.errors import Fatal

_HEAD = """\
# The write keys of `sessionizer collect` (docs/collect.md, Write keys). Here are only hashes, of which
# no key can be made. A running collector reads this file again when it changes.
"""
_ENTRY = re.compile(r"^[ \t]*\[\[[ \t]*keys[ \t]*\]\].*$", re.MULTILINE)
_DISABLED = re.compile(r"^([ \t]*disabled[ \t]*=[ \t]*)false\b", re.MULTILINE)
_OURS_ALONE = 0o600

_Keys = Sequence[WriteKey]


def add_key(path: Path, key: WriteKey) -> None:
    """Add an entry at the end of the file, which is created where there is none. Raises Fatal, OSError."""

    def change(text: str, keys: _Keys) -> tuple[str, _Keys]:
        if any(key.name == other.name for other in keys):
            raise Fatal(f"{path}: has a key named {key.name} already: choose another name for the new one")
        return _with_entry(text or _HEAD, key), [*keys, key]

    _edit(path, change)


def disable_key(path: Path, name: str) -> bool:
    """Disable a key; False where it was disabled already. Raises Fatal for an unknown one, OSError."""
    was_enabled = True

    def change(text: str, keys: _Keys) -> tuple[str, _Keys]:
        nonlocal was_enabled
        names = [key.name for key in keys]
        if name not in names:
            raise Fatal(f"{path}: has no key of that name; there are: {', '.join(names) or 'none'}")
        number = names.index(name)
        was_enabled = not keys[number].disabled
        if not was_enabled:
            return text, keys
        changed = [structs.replace(key, disabled=key.disabled or key.name == name) for key in keys]
        return _with_entry_disabled(text, number), changed

    _edit(path, change)
    return was_enabled


def _with_entry(text: str, key: WriteKey) -> str:
    lines = ["[[keys]]", f"name = {json.dumps(key.name)}", f'sha256 = "{key.sha256.hex()}"']
    if key.origins:
        lines.append(f"origins = {json.dumps(key.origins)}")
    lines += [f"{rate} = {value}" for rate in RATES if (value := getattr(key, rate))]
    return "\n".join([text.rstrip("\n"), "", *lines, ""])


def _with_entry_disabled(text: str, number: int) -> str:
    starts = [match.end() for match in _ENTRY.finditer(text)]
    if number >= len(starts):
        return text
    start, end = starts[number], starts[number + 1] if number + 1 < len(starts) else len(text)
    entry, replaced = _DISABLED.subn(r"\1true", text[start:end], count=1)
    return text[:start] + (entry if replaced else "\ndisabled = true" + entry) + text[end:]


def _edit(path: Path, change: Callable[[str, _Keys], tuple[str, _Keys]]) -> None:
    path = path.resolve()  # a link stays one
    with _locked(path.parent):
        try:
            content = content_of(path)
        except FileNotFoundError:
            content = b""
        keys = _parsed(path, content)
        text, expected = change(content.decode("utf-8-sig"), keys)
        changed = text.encode()
        if list(from_file(changed).keys) != list(expected):
            raise Fatal(f"{path}: is not written as [[keys]] entries, so that this must be done by hand")
        if changed != content:
            _replace(path, changed)


def _parsed(path: Path, content: bytes) -> _Keys:
    entries = from_file(content)
    if not entries.faults and are_pairs(content.decode("utf-8-sig")):
        raise Fatal(f"{path}: holds name:key pairs: change it by hand, or use another file")
    if entries.faults not in ((), (NO_KEYS,)):
        raise Fatal(f"{path}: {entries.faults[0]}: correct it first")
    return entries.keys


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one command at a time change files there; the lock leaves no file behind."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    """Put the content in the file's place, with the owner and the access rights it had."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _keep_rights(path, partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _keep_rights(path: Path, partial: Path) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        partial.chmod(_OURS_ALONE)
        return
    with suppress(PermissionError):  # only root may give files away
        os.chown(partial, before.st_uid, before.st_gid)
    partial.chmod(before.st_mode & 0o777)
