"""Dropping duplicates is the same as never having got them, and flagging shows which they are."""

from hypothesis import assume, given
from msgspec import structs

from tests.properties.streams import Stream, any_streams, in_one_call
from worker.core.duplicates import ENTRY_BYTES
from worker.model.rules import InputRules, Rules


@given(any_streams())
def test_dropping_duplicates_is_as_if_they_had_never_come(stream: Stream) -> None:
    """All of a step is the same, states too, only that the events are counted."""
    dropping = with_duplicates(stream, structs.replace(stream.input, duplicates="drop"))
    assume(not may_expire(stream))
    marks = iter(flags_of(stream))
    batches = [
        batch | {"events": [event for event in batch["events"] if not next(marks)]}
        for batch in stream.batches
    ]
    dropped = in_one_call(dropping)
    without = in_one_call(structs.replace(dropping, batches=batches))
    assert dropped.duplicates_dropped == sum(flags_of(stream))
    assert without.duplicates_dropped == 0
    assert structs.replace(dropped, duplicates_dropped=0) == without


@given(any_streams())
def test_flagging_changes_nothing_but_the_flag_and_the_memory(stream: Stream) -> None:
    flagged = in_one_call(with_duplicates(stream, structs.replace(stream.input, duplicates="flag")))
    kept = in_one_call(with_duplicates(stream, InputRules()))
    assert flagged.duplicates_flagged == sum("duplicate" in event.flags for event in flagged.enriched)
    for event in flagged.enriched:
        event.flags = tuple(flag for flag in event.flags if flag != "duplicate")
    for state in flagged.states.values():
        state.recent_ids = b""
    assert structs.replace(flagged, duplicates_flagged=0) == kept


@given(any_streams())
def test_a_memory_is_whole_entries_and_never_more_than_it_may_be(stream: Stream) -> None:
    for state in in_one_call(stream).states.values():
        entries, rest = divmod(len(state.recent_ids), ENTRY_BYTES)
        assert rest == 0
        assert entries <= stream.input.duplicates_remembered
        assert (entries == 0) == (stream.input.duplicates == "keep")


def with_duplicates(stream: Stream, rules: InputRules) -> Stream:
    """The same events under other rules for duplicates."""
    return structs.replace(stream, input=rules)


def flags_of(stream: Stream) -> list[bool]:
    """Of each event of the stream, whether ``flag`` marks it."""
    flagging = with_duplicates(stream, structs.replace(stream.input, duplicates="flag"))
    return ["duplicate" in event.flags for event in in_one_call(flagging).enriched]


def may_expire(stream: Stream) -> bool:
    """Whether devices expire: a dropped event does not keep its device, a flagged one does."""
    return stream.retention_ms != Rules().retention_ms
