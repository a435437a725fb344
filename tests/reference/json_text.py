"""JSON as docs/input.md has it, byte by byte: what is JSON, how deep it is, and where an array is split.

Written from the document and from RFC 8259, not from ``worker.core``, and without a parser.
"""

from typing import NamedTuple

SPACE = b" \t\n\r"
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


class NotJsonError(Exception):
    """The text is no JSON."""


class Value(NamedTuple):
    """``kind`` is string, number, object, array or word; ``text`` is a string's text, else what was written.

    ``properties`` of an object are (name as written, name, value) in order.
    """

    kind: str
    text: str
    raw: str
    properties: list[tuple[str, str, "Value"]]


class Split(NamedTuple):
    elements: list[bytes]
    rest: bytes
    rest_index: int | None
    cut_off: bool


def end_of_string(text: bytes, position: int) -> int:
    """Behind the string that begins there, or the end of the text."""
    position += 1
    while position < len(text):
        if text[position : position + 1] == b'"':
            return position + 1
        position += 2 if text[position : position + 1] == b"\\" else 1
    return len(text)


def depth(text: bytes) -> int:
    deepest = level = position = 0
    while position < len(text):
        byte = text[position : position + 1]
        if byte == b'"':
            position = end_of_string(text, position)
            continue
        level += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, level)
        position += 1
    return deepest


def split(text: bytes) -> Split:
    """The elements of what begins with a bracket."""
    is_array = text[:1] == b"["
    elements: list[bytes] = []
    level, position, start = 0, 0, 1 if is_array else 0
    while position < len(text):
        byte = text[position : position + 1]
        if byte == b'"':
            end = end_of_string(text, position)
            if end == len(text) and not closes(text, position):
                break
            position = end
            continue
        position += 1
        if byte in b"[{":
            level += 1
        elif is_array and level == 1 and byte in b",]":
            element = text[start : position - 1].strip(SPACE)
            if byte == b"]":
                if element or not elements:
                    elements += [element] if element else []
                    return Split(elements, text[position:].strip(SPACE), None, False)
                return Split(elements, text[position - 1 :].strip(SPACE), len(elements), False)
            elements.append(element)
            start = position
        elif byte in b"]}" and not (is_array and level == 1):
            level -= 1
            if not is_array and not level:
                return Split([text[:position]], text[position:].strip(SPACE), None, False)
    return Split(elements, text[start:].strip(SPACE), len(elements), True)


def closes(text: bytes, position: int) -> bool:
    """Whether the string that begins there has an end."""
    position += 1
    while position < len(text) and text[position : position + 1] != b'"':
        position += 2 if text[position : position + 1] == b"\\" else 1
    return position < len(text)


def parse(text: str) -> Value:
    """The value that the text is. Raises ``NotJsonError``."""
    value, position = value_at(text, after_space(text, 0))
    if after_space(text, position) != len(text):
        raise NotJsonError
    return value


def after_space(text: str, position: int) -> int:
    while text[position : position + 1] in set(SPACE.decode()):
        position += 1
    return position


def expect(text: str, position: int, token: str) -> int:
    if not text.startswith(token, position):
        raise NotJsonError
    return position + len(token)


def value_at(text: str, position: int) -> tuple[Value, int]:
    first = text[position : position + 1]
    if first == '"':
        found, end = string_at(text, position)
        return Value("string", found, text[position:end], []), end
    if first == "{":
        return object_at(text, position)
    if first == "[":
        return array_at(text, position)
    for word in ("true", "false", "null"):
        if text.startswith(word, position):
            return Value("word", word, word, []), position + len(word)
    end = number_end(text, position)
    return Value("number", text[position:end], text[position:end], []), end


def string_at(text: str, position: int) -> tuple[str, int]:
    position = expect(text, position, '"')
    found = ""
    while True:
        one = text[position : position + 1]
        position += 1
        if one == '"':
            return found, position
        if one == "" or one < " ":
            raise NotJsonError
        if one != "\\":
            found += one
            continue
        escape = text[position : position + 1]
        position += 1
        if escape in ESCAPES:
            found += ESCAPES[escape]
            continue
        if escape != "u":
            raise NotJsonError
        code, position = four_digits(text, position)
        if 0xDC00 <= code <= 0xDFFF:
            raise NotJsonError
        if 0xD800 <= code <= 0xDBFF:
            second, position = four_digits(text, expect(text, position, "\\u"))
            if not 0xDC00 <= second <= 0xDFFF:
                raise NotJsonError
            code = 0x10000 + (code - 0xD800) * 0x400 + second - 0xDC00
        found += chr(code)


def four_digits(text: str, position: int) -> tuple[int, int]:
    digits = text[position : position + 4]
    if len(digits) < 4 or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise NotJsonError
    return int(digits, 16), position + 4


def object_at(text: str, start: int) -> tuple[Value, int]:
    properties: list[tuple[str, str, Value]] = []
    position = after_space(text, start + 1)
    if text[position : position + 1] != "}":
        while True:
            name, end = string_at(text, position)
            value_start = after_space(text, expect(text, after_space(text, end), ":"))
            value, value_end = value_at(text, value_start)
            properties.append((text[position:end], name, value))
            position = after_space(text, value_end)
            if text[position : position + 1] != ",":
                break
            position = after_space(text, position + 1)
    end = expect(text, position, "}")
    return Value("object", text[start:end], text[start:end], properties), end


def array_at(text: str, start: int) -> tuple[Value, int]:
    position = after_space(text, start + 1)
    if text[position : position + 1] != "]":
        while True:
            _, end = value_at(text, position)
            position = after_space(text, end)
            if text[position : position + 1] != ",":
                break
            position = after_space(text, position + 1)
    end = expect(text, position, "]")
    return Value("array", text[start:end], text[start:end], []), end


def number_end(text: str, position: int) -> int:
    def digits_end(start: int) -> int:
        end = start
        while text[end : end + 1] in set("0123456789"):
            end += 1
        if end == start:
            raise NotJsonError
        return end

    position += text[position : position + 1] == "-"
    end = digits_end(position)
    if text[position] == "0" and end > position + 1:
        raise NotJsonError
    if text[end : end + 1] == ".":
        end = digits_end(end + 1)
    if text[end : end + 1] in {"e", "E"}:
        end = digits_end(end + 1 + (text[end + 1 : end + 2] in {"+", "-"}))
    return end
