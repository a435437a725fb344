"""The write keys of the HTTPS API, as they are configured: entries of a TOML file, and ``name:key`` pairs.

Decides what an entry may hold, and how a fault in one reads, one line each. Knows a file's content; no
request, and not when a file is read again. Invariants: of a key only its SHA-256 is kept, and no fault quotes
what may be a key; either all entries are right, or there are faults and no entries.
"""

import difflib
import hashlib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

MOST_BYTES = 1024 * 1024
"""The most bytes of a keys file: about 5,000 entries."""

ANY_ORIGIN = "*"
"""The entry of ``origins`` that stands for every Origin."""

ANONYMOUS_NAME = "anonymous"
"""The name under which requests without a key are counted; no key may have it."""

KEY_PREFIX = "wk_"
"""What a key begins with that ``sessionizer collect keys add`` made; no name does."""

_MOST_ORIGINS = 1_000
_MOST_RATE = 2**31 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")  # what a Bearer token may hold (RFC 6750)
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PAIRS = re.compile(r"\s*[^\s:=\[\]#\"',]+:")  # no TOML document begins so


class WriteKey(Struct, frozen=True, kw_only=True):
    """One write key: whose it is, which pages may use it, and how much it may send.

    ``sha256`` has the 32 bytes of the key's digest. Without ``origins`` it is a server's key. Rates are those
    of one process; 0 is no limit.
    """

    name: str
    sha256: bytes = b""
    origins: tuple[str, ...] = ()
    requests_per_s: int = 0
    events_per_s: int = 0
    bytes_per_s: int = 0
    disabled: bool = False


class KeyEntries(NamedTuple):
    """The write keys of one text, in its order, or what is wrong with it, one line for each fault."""

    keys: tuple[WriteKey, ...] = ()
    faults: tuple[str, ...] = ()


NO_KEYS = "holds no write key"
"""The fault of a text without entries. One whose keys are all disabled is right."""

RATES = ("requests_per_s", "events_per_s", "bytes_per_s")
_FIELDS = ("name", "sha256", "origins", *RATES, "disabled")


def read(path: Path) -> KeyEntries:
    """The entries of the keys file; a file that cannot be read is a fault."""
    try:
        return from_file(content_of(path))
    except OSError as error:
        return KeyEntries(faults=(why_unreadable(error),))


def why_unreadable(error: OSError) -> str:
    """The fault of a keys file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "does not exist: sessionizer collect keys add NAME makes it"
    return f"cannot be read: {error.strerror}"


def content_of(path: Path) -> bytes:
    """The file's content, up to one byte more than is allowed. Raises OSError."""
    # A named pipe to which nobody writes must not stop the caller.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        return file.read(MOST_BYTES + 1) or b""


def from_file(content: bytes) -> KeyEntries:
    """The entries of a keys file: TOML with ``[[keys]]``, or ``name:key`` pairs as in ``collect.keys``."""
    if len(content) > MOST_BYTES:
        return KeyEntries(faults=(f"is larger than {MOST_BYTES} bytes",))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return KeyEntries(faults=("is not UTF-8 text",))
    if are_pairs(text):
        return from_pairs(text)
    try:
        document = tomllib.loads(text)
    except RecursionError:
        return KeyEntries(faults=("is not TOML: it is nested too deeply",))
    except tomllib.TOMLDecodeError as error:
        return KeyEntries(faults=(f"is not TOML: {_place(error)}",))
    except ValueError:  # an integer of more digits than Python converts
        return KeyEntries(faults=("is not TOML: a number is too long",))
    return _from_document(document)


def are_pairs(text: str) -> bool:
    """Whether a text has the form ``name:key``, rather than that of TOML."""
    return _PAIRS.match(text) is not None


def from_pairs(text: str) -> KeyEntries:
    """The entries of ``name:key`` pairs, separated by commas or white space. They are keys of servers."""
    keys, faults = [], []
    for number, pair in enumerate(filter(None, re.split(r"[\s,]+", text)), 1):
        name, colon, key = pair.partition(":")
        if not colon:
            faults.append(f"entry {number}: expected name:key")
        elif not is_name(name):
            faults.append(f"entry {number}: before the colon, {NAME_EXPECTED}")
        elif _KEY.fullmatch(key) is None:
            faults.append(
                f"entry {number}, {name}: expected a key of 16 to 256 letters, digits and -._~+/= after the "
                "colon"
            )
        else:
            keys.append(WriteKey(name=name, sha256=digest_of(key.encode())))
    return _checked(keys, faults or ([] if keys else [NO_KEYS]))


def merged(first: KeyEntries, second: KeyEntries) -> KeyEntries:
    """The entries of both, which must differ in names and keys."""
    return _checked([*first.keys, *second.keys], [*first.faults, *second.faults])


def digest_of(key: bytes) -> bytes:
    """What is kept of a key, and what it is looked up by."""
    return hashlib.sha256(key).digest()


NAME_EXPECTED = (
    "expected a name of at most 64 letters, digits, '.', '_' and '-', which begins with a letter or a digit, "
    f"not with {KEY_PREFIX}, and is not {ANONYMOUS_NAME}"
)


def is_name(name: str) -> bool:
    """Whether a key may have this name. It appears in logs, metrics and headers of records."""
    return _NAME.fullmatch(name) is not None and not name.startswith(KEY_PREFIX) and name != ANONYMOUS_NAME


ORIGIN_EXPECTED = "expected origins such as https://shop.example or http://localhost:3000, no path; or *"


def origin_of(text: str) -> str | None:
    """An Origin as a browser sends it: lower case, without the scheme's own port. None: it is none."""
    if text in (ANY_ORIGIN, "null"):  # null: a sandboxed frame, or a page from a file
        return text
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}" if 0 < int(port) < 65_536 else None


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Line and column only: the message may quote a key that was written without quotes."""
    match = re.search(r"at (line \d+, column \d+|end of document)", str(error))
    return f"at {match[1]}" if match else "a name is used twice"


def _from_document(document: dict[str, Any]) -> KeyEntries:
    faults = [] if document.keys() <= {"keys"} else ["expected nothing but [[keys]] entries"]
    entries = document.get("keys", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return KeyEntries(faults=(*faults, "keys: expected entries that begin with [[keys]]"))
    keys = []
    for number, entry in enumerate(entries, 1):
        name = entry.get("name")
        known = isinstance(name, str) and is_name(name)
        found = list(_faults_of(entry))
        faults += [f"[[keys]] {number}{f', {name}' if known else ''}: {fault}" for fault in found]
        if not found:
            keys.append(_key_of(entry))
    return _checked(keys, faults or ([] if keys else [NO_KEYS]))


def _faults_of(entry: dict[str, Any]) -> Iterator[str]:
    for field in entry.keys() - set(_FIELDS):
        if field in ("key", "write_key"):
            yield "holds a key: write sha256, the SHA-256 of the key in hexadecimal"
        else:
            near = difflib.get_close_matches(field, _FIELDS, n=1)
            yield f"has an unknown field{f': did you mean {near[0]}?' if near else ''}"
    name, sha256, origins = entry.get("name"), entry.get("sha256"), entry.get("origins", [])
    if not isinstance(name, str) or not is_name(name):
        yield f"name: {NAME_EXPECTED}"
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        yield "sha256: expected 64 hexadecimal digits, the SHA-256 of the key"
    if not isinstance(origins, list) or not all(isinstance(one, str) and origin_of(one) for one in origins):
        yield f"origins: {ORIGIN_EXPECTED}"
    elif "origins" in entry and not 0 < len(origins) <= _MOST_ORIGINS:
        yield f"origins: expected 1 to {_MOST_ORIGINS}; a server's key has no such field"
    for rate in RATES:
        value = entry.get(rate, 1)
        if type(value) is not int or not 0 < value <= _MOST_RATE:
            yield f"{rate}: expected a whole number from 1 to {_MOST_RATE}; no limit without it"
    if not isinstance(entry.get("disabled", False), bool):
        yield "disabled: expected true or false"


def _key_of(entry: dict[str, Any]) -> WriteKey:
    """The entry, which has no fault, as a key."""
    origins = dict.fromkeys(origin_of(text) or "" for text in entry.get("origins", []))
    return WriteKey(**entry | {"sha256": bytes.fromhex(entry["sha256"]), "origins": tuple(origins)})


def _checked(keys: Sequence[WriteKey], faults: Sequence[str]) -> KeyEntries:
    """The keys, where there is no fault and none is there twice."""
    names = Counter(key.name for key in keys)
    twice = [f"{name}: is the name of {count} keys" for name, count in names.items() if count > 1]
    by_digest: dict[bytes, dict[str, None]] = {}
    for key in keys:
        by_digest.setdefault(key.sha256, {})[key.name] = None
    same = [f"{' and '.join(of)}: have the same key" for of in by_digest.values() if len(of) > 1]
    found = (*faults, *twice, *same)
    return KeyEntries(faults=found) if found else KeyEntries(keys=tuple(keys))
