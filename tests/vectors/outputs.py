"""Vectors about outputs: the order and the names of ``extra``, and the payloads of dead letters."""

from collections.abc import Sequence

from tests.vectors.files import Vector, Vectors
from worker.core.decode import Decoder
from worker.core.encode import encode_step
from worker.core.pipeline import decode_records, process
from worker.model.events import PlainRecord
from worker.model.rules import Rules
from worker.model.state import ExpiryClock

RULES = Rules()
DECODER = Decoder(RULES.input, RULES.identity)
T_MS = 1_772_445_600_000

FIELDS = b'"id": "e1", "type": "click", "device_id": "d1", "timestamp": 1772445600000'
WITH_EXTRA = (
    b'{%b, "b": 1, "a": 2}' % FIELDS,
    b'{"b": 1, %b, "a": [ 1, {"c":  2} ]}' % FIELDS,
    b'{%b, "b": 1, "a": 2, "b": 3}' % FIELDS,  # the place of the first, the value of the last
    b'{%b, "\\u0062": 1, "a": 2, "b": 3}' % FIELDS,  # and the spelling of the last
    b'{%b, "b": 1, "a": 2, "\\u0062": 3}' % FIELDS,
    b'{%b, "\\/": 1, "\\"": 2, "\\\\": 3, "\\ud83d\\ude00": 4, "": 5}' % FIELDS,
    b'{%b, "extra": {"x": 1}, "ID": 2, "Timestamp": null}' % FIELDS,
    b'{%b, "event_id": "e1", "event": "click", "a": "caf\xc3\xa9"}' % FIELDS,
    b'{%b, "user_id": null, "data": null, "x": null}' % FIELDS,
    b'{%b, "data": {"k" : 1,  "k": 2}, "x" : 1.50e+1 }' % FIELDS,
    b'{"\\u0069d": "e1", "type": "click", "device_id": "d1", "timestamp": 1772445600000, "z": 0}',
)
LETTERS: Sequence[Sequence[tuple[str, int]]] = (
    [("nothing", 1)],
    [("\u00e9\u2028\U0001f600\x7f/", 1)],
    [("\x01", 4_096)],
    [("\x01", 4_097)],
    [('"', 4_096)],
    [('"', 4_097)],
    [('"', 1_500), ("x", 2_596)],
    [('"', 1_500), ("x", 2_597)],
    [('"', 1_427), ("x", 2_673)],  # one more escape is one too many
    [('"', 1_428), ("x", 2_672)],
    [('"', 1_429), ("x", 2_671)],
    [('"', 1_430), ("x", 2_670)],
    [("\n", 5_000)],
    [("\u00e9", 5_000)],
    [("x", 100_000)],
)
"""Texts that are no batch, each as [text, times]."""
BINARY = (b"\xff", b"ab\xed\xa0\x80", b"\x00\xfe" * 10, b"\xc3")


def outputs() -> Vectors:
    """All of them."""
    return {
        "extra": [_extra(element) for element in WITH_EXTRA],
        "payload": [_payload(parts) for parts in LETTERS],
        "binary_payload": [{"payload": payload.hex(), "value": _letter(payload)} for payload in BINARY],
    }


def _extra(element: bytes) -> Vector:
    """An element, its ``data`` and ``extra`` as they are passed on, and the whole enriched event."""
    (value, *_) = _encoded(element, "enriched")
    (event,) = DECODER.decode(element).events
    return {
        "element": element.decode(),
        "data": bytes(event.data).decode(),
        "extra": bytes(event.extra).decode(),
        "value": value.decode(),
    }


def _payload(parts: Sequence[tuple[str, int]]) -> Vector:
    """Whether a dead letter has its payload as a text, and the letter without it."""
    payload = b"".join(text.encode() * times for text, times in parts)
    letter = _letter(payload)
    return {
        "repeat": [[text, times] for text, times in parts],
        "is_base64": '"payload_base64":' in letter,
        "letter_bytes": len(letter.encode()),
    }


def _letter(payload: bytes) -> str:
    (value, *_) = _encoded(payload, "dead_letters")
    return value.decode()


def _encoded(value: bytes, role: str) -> list[bytes]:
    record = PlainRecord("events.raw", 0, 7, T_MS, b"key", value)
    result = process(decode_records([record], DECODER), {}, 0, ExpiryClock(), RULES)
    (outputs,) = [records for of, records in encode_step(result).items() if of == role]
    return [value for _, value, _ in outputs if value is not None]
