"""What a record of an output topic is to a page: its kind, its device, and its value in one line.

Knows the form of the outputs' keys and values; nothing of Kafka or HTTP. Invariant: no record makes it fail.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from worker.live.hub import Message
from worker.model.events import InputRecord
from worker.model.topics import Role

KINDS: Mapping[Role, str] = {"enriched": "event", "sessions": "session", "dead_letters": "dead_letter"}
"""Role of a topic that is shown -> the kind of its messages."""

_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class _Letter(Struct):
    payload: str = ""


class _Sender(Struct):
    device_id: str | int = ""


_letters = msgspec.json.Decoder(_Letter)
_senders = msgspec.json.Decoder(_Sender)


def message_of(role: Role, record: InputRecord, seen_at_ms: int) -> Message | None:
    """The message that a record of such a topic is; None for one without a value."""
    if record.value is None:
        return None
    # Outside of strings JSON may have line ends; inside it cannot. A message of a stream ends with its line.
    value = record.value.translate(_LINE_ENDS)
    key = (record.key or b"").decode(errors="replace")
    if role == "sessions":
        device = key.rpartition("/")[0].replace("%2F", "/").replace("%25", "%")
    elif role == "dead_letters":
        device = _device_in(value)
    else:
        device = key
    return Message(KINDS[role], device, value, seen_at_ms)


def _device_in(letter: bytes) -> str:
    """Whose event a dead letter holds, if it says so: its key may be anything, or none."""
    try:
        return str(_senders.decode(_letters.decode(letter).payload).device_id)
    except msgspec.DecodeError:
        return ""
