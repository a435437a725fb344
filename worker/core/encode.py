"""Turns a step's results into the keys and bytes of the output topics.

Knows the wire format and nothing of topics' names or transactions. Invariants: what comes out is valid UTF-8
JSON; ``data`` and ``extra`` are the sender's own bytes; an output bears the raw record's timestamp, because
brokers refuse and delete by record time while event times may be years off.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence

from msgspec import json, structs

from worker.core.device_step import StepResult
from worker.model.outputs import DeadLetter, OutputRecord, SessionRecord
from worker.model.topics import Role

_encoder = json.Encoder()


EncodedStep = Mapping[Role, list[OutputRecord]]
"""A step's records for each output topic, in order."""


def encode_step(result: StepResult) -> EncodedStep:
    """Encode all outputs of the step."""
    encode = _encoder.encode
    return {
        "enriched": [
            (event.device_id.encode(), encode(event), event.received_at) for event in result.enriched
        ],
        "dead_letters": [
            (record.key, encode(_with_payload(letter, payload)), letter.received_at)
            for letter, record, payload in result.dead_letters
        ],
        "sessions": encode_sessions(result.sessions),
        "identities": [
            (device_id.encode(), None if identity is None else encode(identity), None)
            for device_id, identity in result.identities
        ],
    }


def encode_sessions(sessions: Sequence[SessionRecord]) -> list[OutputRecord]:
    """Upserts of the sessions topic."""
    encode = _encoder.encode
    return [(session_key(s.device_id, s.session_id), encode(s), None) for s in sessions]


def session_key(device_id: str, session_id: str) -> bytes:
    """Key of a session's upserts: device id, ``/`` and session id.

    ``%`` and ``/`` in the device id are percent-encoded, so that it ends at the first ``/``.

    >>> session_key("phone/7", "s1")
    b'phone%2F7/s1'
    """
    return f"{device_id.replace('%', '%25').replace('/', '%2F')}/{session_id}".encode()


def device_of_session_key(key: str) -> str:
    """The device id in the key of a session's upserts."""
    return key.partition("/")[0].replace("%2F", "/").replace("%25", "%")


def _with_payload(letter: DeadLetter, payload: bytes) -> DeadLetter:
    """The letter with its payload as text where it is UTF-8, else in base64.

    A text of control characters grows six-fold in JSON; base64 bounds a letter to 4/3 of its payload.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return structs.replace(letter, payload_base64=b64encode(payload).decode())
    if len(payload) > 4096 and len(_encoder.encode(text)) > len(payload) * 4 // 3 + 64:
        return structs.replace(letter, payload_base64=b64encode(payload).decode())
    return structs.replace(letter, payload=text)
