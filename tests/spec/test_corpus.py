"""Runs the golden cases of testing/corpus: each input has its outcome, and its neighbours go on unharmed."""

from typing import Any

import pytest
from msgspec import json

from testing.golden import Case, golden_cases, input_bytes, repeated
from tests.builders import Record
from tests.driven_engine import DrivenEngine
from tests.engines import twin
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning
from worker.model.events import DecodedValue, Event, Rejection
from worker.model.rules import IdentityRules, InputRules, Rules

PLACES = {"alone": (0, 0), "first": (0, 2), "middle": (1, 1), "last": (2, 0)}
BROKEN = {"malformed_json", "not_utf8", "too_deep"}


def decoder_of(case: Case) -> Decoder:
    """A decoder with the case's limits, which are the default ones where it names none."""
    return Decoder(InputRules(**case.get("limits", {})), IdentityRules())


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(case, id=name.encode("ascii", "replace").decode())
        for name, case in golden_cases(kind).items()
    ]


def whole_events() -> list[Any]:
    """The elements that are objects of well-formed JSON."""
    return [
        case for case in cases("element") if case.values[0].get("reason") not in {*BROKEN, "not_an_object"}
    ]


def expected_event(case: Case) -> Event | None:
    if "event" in case:
        return json.decode(case["event"], type=Event)
    if "event_repeat" in case:
        return json.decode(repeated(case["event_repeat"]), type=Event)
    return None


def good(number: int) -> bytes:
    """An event that is as it should be, with text that is not ASCII."""
    return (
        b'{"id":"good-%d","type":"click","device_id":"other","timestamp":1700000000001,"data":{"a":"\xc3\xa9"}}'
        % number
    )


def good_ids(decoded: DecodedValue) -> list[str]:
    return [event.id for event in decoded.events if event.id.startswith("good-")]


def refusals(decoded: DecodedValue) -> list[tuple[str, str]]:
    return [(rejection.reason, rejection.detail) for rejection in decoded.rejections]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", cases("element"))
def test_an_element_has_its_outcome_and_its_neighbours_theirs(case: Case, place: str) -> None:
    element = input_bytes(case)
    assert element is not None
    before, after = PLACES[place]
    neighbours = [good(number) for number in range(before + after)]
    value = b"[" + b",".join([*neighbours[:before], element, *neighbours[before:]]) + b"]"

    decoded = decoder_of(case).decode(value)

    assert good_ids(decoded) == [f"good-{number}" for number in range(before + after)]
    event = expected_event(case)
    if event is None:
        assert [(rejection.reason, rejection.index) for rejection in decoded.rejections] == [
            (case["reason"], before)
        ]
        assert decoded.rejections[0].payload == element
    else:
        assert list(decoded.rejections) == []
        assert decoded.events[before] == event


@pytest.mark.parametrize("case", cases("element"))
def test_a_few_alike_have_the_same_outcome_each(case: Case) -> None:
    element = input_bytes(case)
    assert element is not None
    decoder = decoder_of(case)
    alone, broken = (decoder.decode_carefully(b"[%b]" % text) for text in (element, b"x"))

    decoded = decoder.decode(b"[%b]" % b",".join([*[element] * 3, b"x", *[element] * 3]))

    assert list(decoded.events) == list(alone.events) * 6
    assert refusals(decoded) == [*refusals(alone) * 3, *refusals(broken), *refusals(alone) * 3]
    assert [rejection.index for rejection in decoded.rejections] == ([3] if alone.events else list(range(7)))


@pytest.mark.parametrize("case", whole_events())
def test_an_event_may_be_the_whole_value(case: Case) -> None:
    element = input_bytes(case)
    assert element is not None

    decoder = decoder_of(case)
    decoded = decoder.decode(element)
    in_array = decoder.decode(b"[" + element + b"]")

    assert decoded == in_array


@pytest.mark.parametrize("good_before", [0, 1, 2])
@pytest.mark.parametrize("case", cases("tail"))
def test_what_cannot_be_split_is_refused_as_one(case: Case, good_before: int) -> None:
    tail = input_bytes(case)
    assert tail is not None
    value = b"[" + b"".join(good(number) + b"," for number in range(good_before)) + tail

    decoded = decoder_of(case).decode(value)

    assert good_ids(decoded) == [f"good-{number}" for number in range(good_before)]
    assert len(decoded.events) == good_before
    [rejection] = decoded.rejections
    whole = Rejection(case["reason"], rejection.detail, None, value)
    rest = Rejection(case["reason"], rejection.detail, good_before, tail)
    assert rejection == (rest if good_before else whole)


@pytest.mark.parametrize("case", cases("value"))
def test_a_value_has_its_outcome(case: Case) -> None:
    decoded = decoder_of(case).decode(input_bytes(case))

    assert [event.id for event in decoded.events] == case["events"]
    expected = case.get("rejections", [])
    assert [(rejection.reason, rejection.index) for rejection in decoded.rejections] == [
        (rejection["reason"], rejection.get("index")) for rejection in expected
    ]
    for rejection, wanted in zip(decoded.rejections, expected, strict=True):
        if "payload" in wanted:
            assert rejection.payload == wanted["payload"].encode()


def test_two_engines_make_the_same_of_every_case() -> None:
    by_limits: dict[str, list[bytes | None]] = {}
    for kind in ("element", "tail", "value"):
        for case in golden_cases(kind).values():
            given = input_bytes(case)
            value = given if kind == "value" else b"[%b" % (given or b"") + b"]" * (kind == "element")
            by_limits.setdefault(json.encode(case.get("limits", {})).decode(), []).append(value)
    for limits, values in by_limits.items():
        rules = Rules(input=InputRules(**json.decode(limits)))
        driven = DrivenEngine(twin, rules, Partitioning(partitions=4))
        driven.take([Record("events.raw", 0, number, -1, None, value) for number, value in enumerate(values)])
        assert driven.commit().counters.records == len(values)
