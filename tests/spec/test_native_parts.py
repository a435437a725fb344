"""Which implementation a process uses, and what happens where the native library is missing or fails."""

from types import ModuleType
from typing import Any

import pytest
import structlog
from aiokafka import TopicPartition

from tests.batch_builder import Built, built_batch
from tests.native_parts import IMPLEMENTATIONS
from worker.adapters.kafka.batches import Packing, native_batches
from worker.adapters.kafka.fetched_batches import FetchedBatches
from worker.adapters.kafka.native_records import NativeFetchedRecords, records_by
from worker.adapters.kafka.records import UnreadableError
from worker.errors import Fatal
from worker.native import parts
from worker.native.library import NativeLibrary
from worker.native.parts import NativeParts, native_parts


class Panic(Exception):  # noqa: N818 - the library's name
    """As the library's EngineFailed."""


class Failing:
    """Fails at every use."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def read(self, *_: object) -> object:
        raise Panic("at engine/src/kafka/fetch.rs:7")

    def extend(self, *_: object) -> object:
        raise Panic("at engine/src/kafka/batch_writer.rs:7")


def failing_library() -> ModuleType:
    module = ModuleType("sessionizer_native")
    vars(module).update(EngineFailed=Panic, Fetch=Failing, BatchWriter=Failing)
    return module


def installed(monkeypatch: pytest.MonkeyPatch, found: NativeLibrary) -> None:
    monkeypatch.setattr(parts, "native_library", lambda: found)


def records_of(native: NativeParts) -> Any:
    answer = FetchedBatches(built_batch(Built(b"one"), base_offset=10))
    return records_by(native)(TopicPartition("t", 0), answer, [], 10, None, None, True, 1)


def test_auto_takes_the_library_where_it_is_and_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = failing_library()
    installed(monkeypatch, NativeLibrary(module))
    assert native_parts("auto").library is module
    assert native_parts("native").library is module
    assert native_parts("python").library is None
    installed(monkeypatch, NativeLibrary(None, "it is not installed"))
    with structlog.testing.capture_logs() as logged:
        assert native_parts("auto").library is None
    assert not logged


def test_native_does_not_start_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, NativeLibrary(None, "it is not installed"))
    with pytest.raises(Fatal, match=r"it is not installed. Remedy: pip install 'sessionizer\[native\]'"):
        native_parts("native")


def test_auto_tells_of_a_library_of_other_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, NativeLibrary(None, "it was built from other sources", is_unusable=True))
    with structlog.testing.capture_logs() as logged:
        assert native_parts("auto").library is None
    assert [line["event"] for line in logged] == ["engine.not_used"]
    with pytest.raises(Fatal, match="other sources"):
        native_parts("native")


def test_in_auto_a_failure_while_reading_is_logged_and_what_is_fetched_again_is_read_without_it() -> None:
    native = NativeParts(failing_library())
    with structlog.testing.capture_logs() as logged, pytest.raises(UnreadableError) as error:
        records_of(native).next_records(10)
    assert error.value.offset == 10
    assert [(line["event"], line["reason"]) for line in logged] == [
        ("engine.failed", "at engine/src/kafka/fetch.rs:7")
    ]
    again = records_of(native)
    assert not isinstance(again, NativeFetchedRecords)
    assert [record.value for record in again.next_records(10)[0]] == [b"one"]


def test_in_auto_a_failure_while_writing_is_logged_and_the_next_batches_are_written_without_it() -> None:
    native = NativeParts(failing_library())
    with structlog.testing.capture_logs() as logged, pytest.raises(Panic):
        native_batches(native, Packing(100, "none"), [(b"k", b"v", 1)], None)
    assert [line["event"] for line in logged] == ["engine.failed"]
    assert native.library is None


def test_where_it_must_be_used_a_failure_changes_nothing() -> None:
    module = failing_library()
    native = NativeParts(module, must=True)
    with structlog.testing.capture_logs() as logged, pytest.raises(UnreadableError):
        records_of(native).next_records(10)
    assert [line["event"] for line in logged] == ["engine.failed"]
    assert native.library is module


def test_a_panic_becomes_an_exception_with_its_place_and_without_its_text() -> None:
    for native in IMPLEMENTATIONS.values():
        if (library := native.library) is not None:
            with pytest.raises(library.EngineFailed, match=r"^at .*\.rs:\d+$"):
                library.panic_here()
