"""The rules of decoding that a table of cases cannot say: details, hashes, limits, what is configured.

The kinds of input and their outcomes are in testing/corpus.
"""

import hashlib
import json
import sys

import pytest
from msgspec import Raw, structs

from worker.core.decode import Decoder
from worker.model.events import NO_JSON, DecodedValue, Event, Rejection
from worker.model.rules import IdentityRules, InputRules

EVENT = b'{"id":"e1","type":"click","device_id":"d1","timestamp":1700000000000}'


def decode(value: bytes | None, **limits: int) -> DecodedValue:
    return Decoder(structs.replace(InputRules(), **limits), IdentityRules()).decode(value)


def event(**fields: object) -> bytes:
    """The JSON of one event; a field given as None is left out."""
    plain = {"id": "e1", "type": "click", "device_id": "d1", "timestamp": 1_700_000_000_000}
    return json.dumps({name: value for name, value in (plain | fields).items() if value is not None}).encode()


def batch(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def only_rejection(value: bytes | None, **limits: int) -> Rejection:
    decoded = decode(value, **limits)
    assert list(decoded.events) == []
    [rejection] = decoded.rejections
    return rejection


def test_an_event_has_all_its_fields() -> None:
    sent = event(user_id="u1", session_id="s1", view_id="v1", data={"a": 1}, ip="::1")

    [decoded] = decode(batch(sent)).events

    assert decoded == Event(
        id="e1",
        type="click",
        device_id="d1",
        timestamp=1_700_000_000_000,
        user_id="u1",
        session_id="s1",
        view_id="v1",
        data=Raw(b'{"a": 1}'),
        extra=Raw(b'{"ip":"::1"}'),
    )


def test_absent_data_and_extra_are_the_object_that_encoders_leave_out() -> None:
    for sent in (EVENT, event(data=None), EVENT[:-1] + b',"data":null}', EVENT[:-1] + b',"event":"click"}'):
        [decoded] = decode(batch(sent)).events
        assert decoded.data is NO_JSON
        assert decoded.extra is NO_JSON


def test_events_are_of_the_same_class_on_every_path() -> None:
    plain, odd = EVENT, event(timestamp=1.7e12)

    decoded = decode(batch(plain, odd)).events

    assert [type(one) for one in decoded] == [Event, Event]
    assert decoded[0] == decoded[1]


def test_devices_in_a_batch_are_checked_each() -> None:
    sent = [event(device_id=device) for device in ("d1", "d1", "null", "d1", "d2", "null")]

    decoded = decode(batch(*sent))

    assert [one.device_id for one in decoded.events] == ["d1", "d1", "d1", "d2"]
    assert [rejection.index for rejection in decoded.rejections] == [2, 5]


@pytest.mark.parametrize("properties", [4, 5])
def test_short_names_are_counted_too(properties: int) -> None:
    data = {chr(ord("a") + number): 0 for number in range(properties - 1)} | {"": 0}
    shortest = json.dumps(data, separators=(",", ":")).encode()

    decoded = decode(batch(EVENT[:-1] + b',"data":' + shortest + b"}"), max_properties=4)

    assert [rejection.reason for rejection in decoded.rejections] == ["data_too_many_properties"] * (
        properties - 4
    )


def test_a_tombstone_has_an_empty_payload() -> None:
    assert only_rejection(None).payload == b""


def test_a_value_over_the_limit_keeps_its_beginning_and_the_hash_of_all_of_it() -> None:
    value = batch(*[EVENT] * 2000)

    rejection = only_rejection(value, max_value_bytes=100_000)

    assert rejection.reason == "too_large"
    assert rejection.payload == value[: 64 * 1024]
    assert hashlib.sha256(value).hexdigest() in rejection.detail


def test_a_value_at_the_limit_is_decoded() -> None:
    value = batch(*[EVENT] * 10)

    assert len(decode(value, max_value_bytes=len(value)).events) == 10


def test_as_many_events_as_allowed_are_decoded_and_one_more_refuses_the_value() -> None:
    assert len(decode(batch(*[EVENT] * 3), max_events=3).events) == 3
    rejection = only_rejection(batch(*[EVENT] * 4), max_events=3)
    assert (rejection.reason, rejection.index, rejection.payload) == (
        "too_many_events",
        None,
        batch(*[EVENT] * 4),
    )


@pytest.mark.parametrize("field", ["id", "type", "device_id", "user_id", "session_id", "view_id"])
def test_the_limit_of_texts_counts_bytes(field: str) -> None:
    fits = event(**{field: "é" * 5})
    exceeds = event(**{field: "é" * 5 + "x"})

    decoded = decode(batch(fits, exceeds), max_text_bytes=10)

    assert len(decoded.events) == 1
    assert [(rejection.reason, rejection.index) for rejection in decoded.rejections] == [("too_long", 1)]


@pytest.mark.parametrize("repeated", ["", '"p0": 0, '])
def test_extra_is_measured_as_it_would_go_out_names_of_every_script_and_values(repeated: str) -> None:
    names = [f"p{n}" for n in range(200)] + ["\u00fc", "\u20ac", "\U0001f600"]
    properties = repeated + ", ".join(f'"{name}" : [{n}, "\u00e9"]' for n, name in enumerate(names))
    sent = EVENT[:-1] + b"," + properties.encode() + b"}"

    [accepted] = decode(sent).events
    size = len(bytes(accepted.extra))

    assert decode(sent, max_object_bytes=size).events == [accepted]
    escaped = sent.replace(b'"p7"', b'"\\u0070\\u0037"')
    assert len(decode(escaped, max_object_bytes=size + 10).events) == 1
    for longer, most in ((sent, size - 1), (escaped, size - 1), (escaped, size + 9)):
        assert only_rejection(longer, max_object_bytes=most).detail == f"extra: more than {most} bytes"


def test_blocked_ids_are_configured_and_compared_without_case_and_quotes() -> None:
    decoder = Decoder(
        InputRules(), IdentityRules(blocked_user_ids=("Nobody",), blocked_device_ids=(' "Kiosk" ',))
    )

    decoded = decoder.decode(
        batch(event(device_id="KIOSK"), event(device_id="null", user_id="'NOBODY'"), event(user_id="null"))
    )

    assert [rejection.reason for rejection in decoded.rejections] == ["blocked_device_id"]
    assert [(one.device_id, one.user_id) for one in decoded.events] == [("null", None), ("d1", "null")]


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        (
            {"timestamp": 1_700_000_000},
            "timestamp: 1700000000 is outside 1e11 <= timestamp < 1e14 (milliseconds since the epoch)",
        ),
        (
            {"timestamp": int("9" * 60)},
            f"timestamp: {'9' * 40}... is outside 1e11 <= timestamp < 1e14 (milliseconds since the epoch)",
        ),
        ({"timestamp": "today"}, "timestamp: expected a whole number of milliseconds, got a string"),
        ({"id": None}, "id: is missing (or event_id)"),
        ({"device_id": None}, "device_id: is missing"),
        ({"type": 7}, "type: expected a string, got an integer"),
        ({"user_id": ["u"]}, "user_id: expected a string or an integer, got an array"),
        ({"view_id": "x" * 513}, "view_id: 513 bytes, at most 512 are allowed"),
        ({"data": {f"p{i}": 0 for i in range(51)}}, "data: 51 properties, at most 50 are allowed"),
        ({"event_id": "e2"}, "id: and its other name event_id are both there and differ"),
    ],
)
def test_the_detail_names_field_fault_and_what_is_allowed(fields: dict[str, object], detail: str) -> None:
    assert only_rejection(batch(event(**fields))).detail == detail


@pytest.mark.parametrize(
    "element",
    [b'"\\ud800"', b'"\\ud800x"', b'{"id":}', b'{"id":1]', b"tru", b"1.", b'{"a":[}}', b'"a" \0', b"{}}"],
)
def test_broken_json_is_named_so_and_no_place_in_it(element: bytes) -> None:
    [rejection, _] = decode(b"[" + element + b",1]").rejections

    assert (rejection.reason, rejection.detail) == ("malformed_json", "not valid JSON")


def test_what_lies_between_two_commas_may_be_nothing() -> None:
    [rejection, _] = decode(b"[ ,1]").rejections

    assert rejection.detail == "not valid JSON: nothing between two commas"


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"[", "ends too early"),
        (b"{", "ends too early"),
        (b'{"id":1,"a":"}', "ends too early"),
        (b'{"id":tru', "ends too early"),
        (b"[1,[2]", "ends too early"),
        (b"[1,", "ends too early"),
        (b'[1,"]', "ends too early"),
        (b"[1}", "ends too early"),
        (b"{1]", "not valid JSON"),
        (b"[1,]", "not valid JSON"),
        (b"[1,]]", "not valid JSON"),
        (b"[] [", "not valid JSON"),
        (b"{} {", "not valid JSON"),
        (b'"a', "not valid JSON"),
        (b"tru", "not valid JSON"),
        (b"[\x00", "the value looks like UTF-16 or UTF-32, or is binary; send UTF-8"),
    ],
)
def test_a_value_ends_too_early_whose_first_bracket_is_never_closed(value: bytes, detail: str) -> None:
    rejection = decode(value).rejections[-1]

    assert (rejection.reason, rejection.detail) == ("malformed_json", detail)


def test_the_detail_never_repeats_what_people_wrote() -> None:
    secret = "jane@example.org"
    values: list[object] = [secret, [secret], {secret: secret}, secret * 40, secret + "\n"]
    fields = ["id", "type", "device_id", "timestamp", "user_id", "session_id", "view_id", "data", "event_id"]
    sent = [event(**{field: value}) for field in fields for value in values]
    sent += [event(data={"_" + secret: 1}), event(data={secret: [1]}), event(**{secret: secret * 5000})]
    sent += [json.dumps(secret).encode(), f"{{'{secret}'}}".encode(), EVENT[:-1] + f",{secret}}}".encode()]

    rejections = [*decode(batch(*sent)).rejections, *decode(secret.encode()).rejections]

    assert len(rejections) > 30
    assert all(secret not in rejection.detail for rejection in rejections)


def test_100_000_properties_are_too_many() -> None:
    data = {f"p{number}": number for number in range(100_000)}

    assert only_rejection(batch(event(data=data))).reason == "data_too_many_properties"


@pytest.mark.parametrize("recursion_limit", [700, 1_000, 1_500, 3_000])
def test_no_stack_of_the_parser_decides_what_is_too_deep(recursion_limit: int) -> None:
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(recursion_limit)
    try:
        for depth in (*range(57, 70), *range(70, 1_600, 31)):
            deep = b'{"a":' * depth + b"1" + b"}" * depth
            reason = "too_deep" if depth >= 64 else "data_nested"
            for nested in (
                EVENT[:-1] + b',"data":' + deep + b"}",
                EVENT[:-1] + b',"data":' + deep + b',"b":1}',
            ):
                for good in ([], [EVENT], [EVENT] * 70):
                    decoded = decode(batch(*good, nested, *good))
                    assert list(decoded.events) == list(decode(batch(*good, *good)).events)
                    assert [(one.reason, one.index) for one in decoded.rejections] == [(reason, len(good))]
                decoded = decode(nested)
                assert [one.reason for one in decoded.rejections] == [reason]
    finally:
        sys.setrecursionlimit(usual)


@pytest.mark.parametrize("before", [0, 1, 70])
@pytest.mark.parametrize("depth", [62, 63, 64, 400, 1_100])
def test_what_a_repeated_name_replaced_is_nested_too(before: int, depth: int) -> None:
    for name in (b'"data"', b'"a"', b'"d\\u0061ta"'):
        replaced = b",%b:%b1%b,%b:{}}" % (name, b"[" * depth, b"]" * depth, name)
        sent = [*[EVENT[:-1] + b',"data":{"a":"{"}}'] * before, EVENT[:-1] + replaced]

        decoded = decode(batch(*sent))

        assert len(decoded.events) == before + (depth < 64)
        assert [(one.reason, one.index) for one in decoded.rejections] == (
            [("too_deep", before)] if depth >= 64 else []
        )


def test_data_that_is_refused_hides_no_depth() -> None:
    sent = [EVENT[:-1] + b',"data":1}'] * 70
    deep = EVENT[:-1] + b',"data":' + b"[" * 64 + b"]" * 64 + b',"data":1}'

    decoded = decode(batch(*sent, deep))

    assert [one.reason for one in decoded.rejections] == ["data_not_object"] * 70 + ["too_deep"]


@pytest.mark.parametrize("levels", [20_000, 200_000])
def test_after_an_element_of_any_depth_the_splitting_goes_on(levels: int) -> None:
    deep = b"[1," * levels + b'"]"' + b"]" * levels

    decoded = decode(batch(EVENT, deep, EVENT))

    assert len(decoded.events) == 2
    [rejection] = decoded.rejections
    assert (rejection.reason, rejection.index, rejection.payload) == ("too_deep", 1, deep)


def test_one_broken_event_among_hundreds_changes_nothing_for_the_others() -> None:
    good = [event(id=f"e{number}") for number in range(300)]
    for place in (0, 31, 32, 150, 299):
        sent = [*good[:place], b"nul", *good[place + 1 :]]

        decoded = decode(batch(*sent))

        assert [one.id for one in decoded.events] == [f"e{n}" for n in range(300) if n != place]
        assert [(one.reason, one.index) for one in decoded.rejections] == [("malformed_json", place)]


def test_a_refused_event_keeps_its_place_in_a_long_broken_batch() -> None:
    sent = [b"nul", *[EVENT] * 99]
    sent[40], sent[77] = event(device_id="null"), event(device_id="null", id="other")

    decoded = decode(batch(*sent))

    assert len(decoded.events) == 97
    assert [(one.reason, one.index, one.payload) for one in decoded.rejections] == [
        ("malformed_json", 0, b"nul"),
        ("blocked_device_id", 40, sent[40]),
        ("blocked_device_id", 77, sent[77]),
    ]


def test_equal_elements_are_refused_each_in_its_place() -> None:
    decoded = decode(batch(b"1", b"nul", b"1", EVENT, b"1"))

    assert [(one.reason, one.index) for one in decoded.rejections] == [
        ("not_an_object", 0),
        ("malformed_json", 1),
        ("not_an_object", 2),
        ("not_an_object", 4),
    ]


def test_nothing_between_two_commas_is_refused_after_any_number_of_events() -> None:
    for before in (0, 1, 31, 32, 33, 64):
        decoded = decode(b"[" + (EVENT + b",") * before + b',"')

        assert len(decoded.events) == before
        assert [(one.reason, one.index) for one in decoded.rejections] == [
            ("malformed_json", before),
            ("malformed_json", before + 1),
        ]


def test_a_decoder_keeps_nothing_of_what_it_decoded() -> None:
    decoder = Decoder(InputRules(), IdentityRules())
    value = batch(EVENT, event(id=None), event(user_id="null"))
    first = decoder.decode(value)

    decoder.decode(b'[{"id":"e1","extra":1}')

    assert decoder.decode(value) == first
