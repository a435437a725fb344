"""What a record of an output topic is to the live page."""

import msgspec
import pytest

from worker.live.hub import Message
from worker.live.records import message_of
from worker.model.events import PlainRecord
from worker.model.outputs import DeadLetter
from worker.model.topics import Role


def made(role: Role, key: bytes | None, value: bytes | None) -> Message | None:
    return message_of(role, PlainRecord("t", 0, 1, 2, key, value), 3)


def test_an_events_device_is_its_key() -> None:
    assert made("enriched", "dé1".encode(), b"{}") == Message("event", "dé1", b"{}", 3)


def test_a_sessions_device_is_in_its_key() -> None:
    message = made("sessions", b"a%2Fb%25/0199c82c", b"{}")
    assert message == Message("session", "a/b%", b"{}", 3)


def letter(payload: str | None) -> bytes:
    return msgspec.json.encode(DeadLetter("data_nested", "", "t", 0, 0, payload=payload))


@pytest.mark.parametrize(
    ("payload", "device"),
    [
        ('{"device_id":"d1","x":[1]}', "d1"),
        ('{"device_id":17}', "17"),
        ('{"device_id":["d1"]}', ""),
        ('[{"device_id":"d1"}]', ""),
        ("<html>", ""),
        (None, ""),
    ],
)
def test_a_dead_letters_device_is_in_what_was_refused(payload: str | None, device: str) -> None:
    message = made("dead_letters", b"any", letter(payload))
    assert message is not None
    assert message.device == device


def test_a_value_is_one_line_whatever_its_sender_wrote() -> None:
    message = made("enriched", b"d1", b'{"data":{\r\n"a":\n1}}')
    assert message is not None
    assert message.value == b'{"data":{  "a": 1}}'


def test_a_tombstone_is_nothing() -> None:
    assert made("sessions", b"d/s", None) is None


def test_a_key_that_is_no_text_is_some_device() -> None:
    assert made("enriched", b"\xff\xfe", b"{}") is not None
