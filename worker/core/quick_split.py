"""Finds the elements of a broken JSON array whose structure is plain, in a fifth to two thirds of the time.

Looks only at what gives a text its structure, all of it at once: brackets, commas and colons outside of
strings. Invariant: it finds what ``core.json_elements.split_elements`` does, or nothing; a property test
holds the two together. Never raises; linear in the length of the text.
"""

import re

from worker.core.json_elements import MOST_QUOTES, WHITE_SPACE, Elements

_QUOTE, _BACKSLASH = b'"\\'
_BETWEEN_OBJECTS = b"},{"
_PAIRS = (b"{}", b"[]", b"{]", b"[}")
_ALL_BUT_STRUCTURE = bytes(byte for byte in range(256) if chr(byte) not in '[]{}",:\\')
# The structure of objects that hold single values, arrays of these, and objects of both, as events mostly do.
_SINGLES = rb"[^\[\]{}\\]*+"
_FLAT_ARRAY = rb"\[" + _SINGLES + rb"\]"
_FLAT_OBJECT = rb"\{" + _SINGLES + b"(?:" + _FLAT_ARRAY + _SINGLES + rb")*+\}(?!,\{)"
_OBJECT = rb"\{" + _SINGLES + b"(?:(?:" + _FLAT_ARRAY + b"|" + _FLAT_OBJECT + b")" + _SINGLES + rb")*+\}"
_objects = re.compile(_OBJECT + b"(?:," + _OBJECT + b")*+", re.DOTALL).fullmatch


def split_quickly(text: bytes, most: int) -> Elements | None:
    """What ``split_elements`` finds in an array of plain structure; None where that is not sure.

    The array is one of objects with nothing but commas between them, or has commas between its elements and
    not inside, as far as the first element that never closes.
    """
    if not text.startswith(b"["):
        return None
    closed = text.endswith(b"]")
    inside = text[1:-1] if closed else text[1:]
    found = _structure_of(inside)
    if found is None:
        return None
    structure, hidden = found
    if closed and (objects := _split_objects(inside, structure, hidden, most)):
        return Elements(objects, b"", None)
    structure = _without_pairs(structure.replace(b":", b""))
    unclosed = structure.lstrip(b",}")  # a stray } is part of its element
    if hidden.translate(None, b'":\\') or unclosed.strip(b",[{"):
        return None
    if closed and unclosed:  # the last bracket closes an element, then, and none the array
        closed = False
        inside += b"]"
        structure = _without_pairs(structure + b"]")
        unclosed = structure.lstrip(b",}")
    commas = structure.count(b",") - unclosed.count(b",")
    elements = [part.strip(WHITE_SPACE) for part in inside.split(b",", min(commas, most + 1))]
    if commas > most:
        return Elements(elements[: most + 1], b"", None)
    last = elements.pop()
    if not closed:
        return Elements(elements, last, len(elements))
    if last:
        elements.append(last)
    elif elements:  # a comma before the closing bracket ends nothing well
        return Elements(elements, b"]", len(elements))
    return Elements(elements, b"", None)


def _split_objects(inside: bytes, structure: bytes, hidden: bytes, most: int) -> list[bytes] | None:
    """The elements of an array, where all are objects with nothing but a comma between them."""
    commas = structure.count(_BETWEEN_OBJECTS)
    if not 0 < commas <= most or commas != inside.count(_BETWEEN_OBJECTS) or _BETWEEN_OBJECTS in hidden:
        return None
    if inside[:1] != b"{" or inside[-1:] != b"}" or not _objects(structure):
        return None
    first, *others, last = inside.split(_BETWEEN_OBJECTS)
    return [first + b"}", *[b"{%b}" % part for part in others], b"{" + last]


def _structure_of(text: bytes) -> tuple[bytes, bytes] | None:
    """The brackets, commas and colons of a text, outside of strings and inside, with quotes between.

    None where strings do not close, or are too many. Backslashes that are not in strings stay.
    """
    if _BACKSLASH in text:  # of escapes only their backslashes are kept: those in strings go with these
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"\\")
    structure = text.translate(None, _ALL_BUT_STRUCTURE)
    plain = structure.replace(b'""', b"")
    if _QUOTE not in plain:
        return plain, b""
    if structure.count(b'"') > MOST_QUOTES:
        return None
    parts = structure.split(b'"')  # every other one is in a string
    return (b"".join(parts[::2]), b'"'.join(parts[1::2])) if len(parts) % 2 else None


def _without_pairs(structure: bytes) -> bytes:
    """A structure without pairs of brackets that hold none."""
    for _ in range(4):
        before = len(structure)
        for pair in _PAIRS:
            structure = structure.replace(pair, b"")
        if 8 * len(structure) > 7 * before:  # deep ones would take a pass a level
            break
    return structure
