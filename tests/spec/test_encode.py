"""The bytes of the output topics, as consumers have come to rely on them (docs/outputs.md)."""

from base64 import b64decode
from typing import Any

from msgspec import json

from tests.builders import Record, click, ms, record
from tests.core_step import step
from worker.core.encode import EncodedStep, encode_step
from worker.model.outputs import OutputRecord

NOON = ms("12:00:00")

FULL_EVENT = (
    b'[{"id":"e1","type":"purchase","device_id":"d1","timestamp":1772445600000,"user_id":"ann",'
    b'"session_id":"s1","view_id":"v1","data":{"total": 1.0, "name":"caf\\u00e9","n":12345678901234567890},'
    b'"app_version":"1.2.3"}]'
)


def test_an_enriched_event_with_everything() -> None:
    assert only_value(record(0, FULL_EVENT, received_at="10:00:00")) == (
        b'{"id":"e1","type":"purchase","device_id":"d1","timestamp":1772445600000,'
        b'"user_id":"ann","user_source":"event","session_id":"s1","session_source":"client",'
        b'"session_start":1772445600000,"session_number":1,"event_number":1,"session_cause":"first",'
        b'"received_at":1772445600000,"flags":["new_device","session_start","linked"],"view_id":"v1",'
        b'"data":{"total": 1.0, "name":"caf\\u00e9","n":12345678901234567890},'
        b'"extra":{"app_version":"1.2.3"}}'
    )


def test_absent_values_are_left_out() -> None:
    *_, value = values(
        record(0, [click("d1", at="10:00:00")], received_at=-1),
        record(1, [click("d1", at="10:01:00", id="e2")], received_at=-1),
    )
    assert value == (
        b'{"id":"e2","type":"page_view","device_id":"d1","timestamp":1772445660000,'
        b'"session_id":"019cadfd-8900-8009-b523-6ef48df15fd0","session_source":"assigned",'
        b'"session_start":1772445600000,"session_number":1,"event_number":2}'
    )


def test_text_beyond_ascii_goes_out_as_utf8() -> None:
    value = only_value(record(0, click("gerät", id="é€😀", user="Zoë")))
    assert '"id":"é€😀"'.encode() in value
    assert '"device_id":"gerät"'.encode() in value


def test_the_key_is_the_device_whatever_key_the_raw_record_had() -> None:
    assert key_of(record(0, click("gerät"), key="something else")) == "gerät".encode()
    assert key_of(record(0, click("d1"))) == b"d1"


def test_the_record_time_is_the_raw_records_not_the_events() -> None:
    ((_, _, timestamp_ms),) = encode(record(0, click("d1", at="09:00:00"), received_at=NOON))["enriched"]
    assert timestamp_ms == NOON
    ((_, _, timestamp_ms),) = encode(record(0, click("d1"), received_at=-1))["enriched"]
    assert timestamp_ms is None


# --- dead letters ---


def test_a_dead_letter_of_one_event() -> None:
    raw = record(7, b'[{"id":"e1","type":"click","timestamp":1772445600000}]', received_at=NOON, key="k")
    key, value, timestamp_ms = only_letter(raw)
    assert (key, timestamp_ms) == (b"k", NOON)
    assert value == (
        b'{"reason":"missing_field","detail":"device_id: is missing","topic":"events.raw","partition":0,'
        b'"offset":7,"index":0,"received_at":1772452800000,'
        b'"payload":"{\\"id\\":\\"e1\\",\\"type\\":\\"click\\",\\"timestamp\\":1772445600000}"}'
    )


def test_a_dead_letter_of_a_whole_value_has_no_index() -> None:
    key, value, timestamp_ms = only_letter(record(7, b"hello", received_at=-1))
    assert (key, timestamp_ms) == (None, None)
    assert value == (
        b'{"reason":"malformed_json","detail":"not valid JSON","topic":"events.raw",'
        b'"partition":0,"offset":7,"payload":"hello"}'
    )


def test_the_key_of_a_dead_letter_is_the_raw_records_own_bytes() -> None:
    raw = Record(topic="events.raw", partition=0, offset=0, timestamp=NOON, key=b"\xff\x00", value=b"hello")
    assert only_letter(raw)[0] == b"\xff\x00"


def test_a_payload_that_is_not_utf8_travels_in_base64() -> None:
    letter = letter_of(record(0, b"\xff\xfe[1]"))
    assert letter["reason"] == "not_utf8"
    assert "payload" not in letter
    assert b64decode(letter["payload_base64"]) == b"\xff\xfe[1]"


def test_a_tombstone_has_an_empty_payload() -> None:
    letter = letter_of(record(0, None))
    assert (letter["reason"], letter["payload"]) == ("tombstone", "")


def test_a_long_payload_that_json_would_blow_up_travels_in_base64() -> None:
    """A control character takes six bytes in JSON: without this a letter could outgrow the topic's limit."""
    payload = b"\x01" * 60_000
    letter = letter_of(record(0, payload))
    assert b64decode(letter["payload_base64"]) == payload


def test_a_letter_is_never_much_longer_than_four_thirds_of_its_payload() -> None:
    for payload in (b"\x01" * 1_000_000, b'"' * 1_000_000, b"x" * 1_000_000, "é".encode() * 500_000):
        _, value, _ = only_letter(record(0, payload))
        assert len(value or b"") < len(payload) * 4 / 3 + 1_000


def test_a_payload_is_the_senders_text_and_can_be_sent_again() -> None:
    sent = '{"id":"é","type":"click","device_id":"d1","timestamp": 1}'.encode()
    assert letter_of(record(0, sent))["payload"].encode() == sent


def encode(*raw: Record) -> EncodedStep:
    """Everything that goes out."""
    return encode_step(step(*raw))


def values(*raw: Record) -> list[bytes]:
    """The values on the enriched topic."""
    return [value or b"" for _, value, _ in encode(*raw)["enriched"]]


def only_value(raw: Record) -> bytes:
    """The value of the one enriched event."""
    (value,) = values(raw)
    return value


def key_of(raw: Record) -> bytes | None:
    """The key of the one enriched event."""
    ((key, _, _),) = encode(raw)["enriched"]
    return key


def only_letter(raw: Record) -> OutputRecord:
    """The one record on the dead-letter topic."""
    (letter,) = encode(raw)["dead_letters"]
    return letter


def letter_of(raw: Record) -> dict[str, Any]:
    """The content of the one dead letter."""
    content: dict[str, Any] = json.decode(only_letter(raw)[1] or b"")
    return content
