"""Reads a raw record from a line of a file, in the two forms that a line may have.

A line is a record's value as it is, or a wrapper: an object of exactly ``received_at`` (ms, any time that a
raw record may have, or null) and ``value``, which is the value as JSON, or a string that holds its text.
Knows nothing of events. Invariants: a line is exactly one record; a value is never changed, only taken out of
its wrapper; nothing raises.
"""

from typing import Annotated

from msgspec import DecodeError, Meta, Raw, Struct, json

from worker.adapters.file_lines import Line
from worker.core.json_elements import WHITE_SPACE, nests_deeper
from worker.model.events import GREATEST_RECORD_TIME_MS, LEAST_RECORD_TIME_MS, PlainRecord, Reason, Rejection

_MOST_LEVELS = 600
"""What nests deeper is no wrapper. An event may nest 500 levels, and the parser's stack has room for 900."""


class FileRecord(PlainRecord, frozen=True, gc=False):
    """A record from a file: ``topic`` is the file's name, ``offset`` the line, from 0.

    ``refusal`` says why the line is no record; its value is then not to be decoded.
    """

    refusal: Rejection | None


class _Wrapper(Struct, forbid_unknown_fields=True, gc=False):
    received_at: Raw
    value: Raw


_read_wrapper = json.Decoder(_Wrapper).decode
_RecordTime = Annotated[int, Meta(ge=LEAST_RECORD_TIME_MS, le=GREATEST_RECORD_TIME_MS)]
_read_time = json.Decoder(_RecordTime | None).decode
_read_integer = json.Decoder(int).decode
_read_text = json.Decoder(str).decode

GROWTH_IN_A_STRING = 6
"""How many times longer a text may be as a JSON string: a control character becomes six characters."""

WRAPPER_BYTES = 1024
"""Room on a line for a wrapper around the value."""


def longest_line_bytes(max_value_bytes: int) -> int:
    """The most bytes of a line, so that every value within the limit fits on one, however it is spelt."""
    return max_value_bytes * GROWTH_IN_A_STRING + WRAPPER_BYTES


def record_on(line: Line, topic: str, offset: int, most_bytes: int) -> FileRecord:
    """The record on a line; ``most_bytes`` is the limit that a line with a ``sha256`` broke."""
    text = line.text
    if line.sha256 is not None:
        found = f"the line has {line.size_bytes} bytes, at most {most_bytes} are allowed"
        detail = f"{found}; the sha256 of all of it is {line.sha256}"
        return _refused(topic, offset, "too_large", detail, text)
    if text.lstrip(WHITE_SPACE)[:1] != b"{" or nests_deeper(text, _MOST_LEVELS):
        return FileRecord(topic, 0, offset, -1, None, text, None)
    try:
        wrapper = _read_wrapper(text)
    except (DecodeError, UnicodeDecodeError):
        return FileRecord(topic, 0, offset, -1, None, text, None)
    try:
        received_at = _read_time(wrapper.received_at)
    except (DecodeError, UnicodeDecodeError):
        return _refused(topic, offset, *_why_no_time(wrapper.received_at), text)
    timestamp = -1 if received_at is None else received_at
    return FileRecord(topic, 0, offset, timestamp, None, _value(bytes(wrapper.value)), None)


def _value(inside: bytes) -> bytes | None:
    """The record's value, from what the wrapper holds; None for null: a record without a value."""
    if inside == b"null":
        return None
    if inside[:1] == b'"':
        try:
            return _read_text(inside).encode()
        except (DecodeError, UnicodeDecodeError):  # no text at all: half a surrogate pair, or not UTF-8
            return inside
    return inside


def _why_no_time(inside: Raw) -> tuple[Reason, str]:
    try:
        _read_integer(inside)
    except (DecodeError, UnicodeDecodeError):
        return "wrong_type", "received_at: expected whole milliseconds since the epoch, or null"
    return "timestamp_out_of_range", "received_at: expected a record's time in ms, an integer of 64 bits"


def _refused(topic: str, offset: int, reason: Reason, detail: str, text: bytes) -> FileRecord:
    return FileRecord(topic, 0, offset, -1, None, None, Rejection(reason, detail, None, text))
