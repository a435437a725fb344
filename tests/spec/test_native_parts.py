"""Which implementation a process uses, and what happens where the native library is missing or fails."""

import asyncio
from types import ModuleType
from typing import Any

import pytest
import structlog
from aiokafka import TopicPartition

from tests.batch_builder import Built, built_batch
from tests.native_parts import IMPLEMENTATIONS
from worker.adapters.kafka.batches import Packing, native_batches
from worker.adapters.kafka.client_internals.producer import NativeBatch
from worker.adapters.kafka.fetched_batches import FetchedBatches
from worker.adapters.kafka.native_records import NativeFetchedRecords, records_by
from worker.adapters.kafka.transaction import KafkaTransaction, ProducerOptions
from worker.collector import service
from worker.config import Config
from worker.errors import Fatal, TransactionLost
from worker.native import parts
from worker.native.library import NativeLibrary
from worker.native.parts import NativeParts, native_parts


class Panic(Exception):  # noqa: N818 - the library's name
    """As the library's EngineFailed."""


class Failing:
    """Raises that at every use."""

    def __init__(self, raised: Exception) -> None:
        self.raised = raised

    def fail(self, *_: object, **__: object) -> Any:
        raise self.raised

    read = extend = build = records = fail


REASON = "at engine/src/kafka/fetch.rs:7"
RAISED = (Panic(REASON), ValueError("with what was read"))
END = r"a bug in it: .+\. No data is damaged. Remedy: engine.implementation = \"python\""


def failing_library(raised: Exception | None = None) -> ModuleType:
    module = ModuleType("sessionizer_native")
    failing = Failing(raised or Panic(REASON))
    vars(module).update(EngineFailed=Panic, Fetch=lambda *_, **__: failing, BatchWriter=lambda *_: failing)
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


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_in_auto_a_failure_while_reading_is_logged_and_what_is_fetched_again_is_read_without_it(
    raised: Exception,
) -> None:
    native = NativeParts(failing_library(raised))
    first = records_of(native)
    with structlog.testing.capture_logs() as logged:
        assert first.next_records(10) == ([], True)
    assert native.failures == 1
    assert first.next_fetch_offset == 10
    assert [(line["event"], line["reason"].partition(" at /")[0]) for line in logged] == [
        ("engine.failed", REASON if isinstance(raised, Panic) else "ValueError")
    ]
    again = records_of(native)
    assert not isinstance(again, NativeFetchedRecords)
    assert [record.value for record in again.next_records(10)[0]] == [b"one"]


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_in_auto_a_failure_while_writing_loses_the_transaction_and_the_next_is_written_without_it(
    raised: Exception,
) -> None:
    native = NativeParts(failing_library(raised))
    with structlog.testing.capture_logs() as logged, pytest.raises(TransactionLost, match="without it"):
        [*native_batches(native, Packing(100, "none"), [(b"k", b"v", 1)], None)]
    assert [line["event"] for line in logged] == ["engine.failed"]
    assert native.library is None


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_where_it_must_be_used_a_failure_ends_the_process_and_condemns_no_data(raised: Exception) -> None:
    native = NativeParts(failing_library(raised), must=True)
    with structlog.testing.capture_logs() as logged, pytest.raises(Fatal, match=END) as error:
        records_of(native).next_records(10)
    assert [line["event"] for line in logged] == ["engine.failed"]
    assert "kafka-delete-records" not in str(error.value)
    with pytest.raises(Fatal, match=END):
        native.check()


def test_where_it_must_be_used_a_failure_while_writing_ends_the_process() -> None:
    native = NativeParts(failing_library(Panic(REASON)), must=True)
    with pytest.raises(Fatal, match=END):
        [*native_batches(native, Packing(100, "none"), [(b"k", b"v", 1)], None)]


def test_a_batch_that_cannot_be_built_is_a_failure_of_the_library() -> None:
    """The client builds it in a task of its own, where nobody sees what was raised."""
    native = NativeParts(failing_library(Panic(REASON)), must=True)

    def failed(error: Exception) -> Exception:
        native.failed(error)
        return error

    batch: Any = Failing(Panic(REASON))
    with pytest.raises(Fatal, match=END):
        NativeBatch(batch, "none", failed, is_transactional=True)._build()


def test_a_transaction_is_not_lost_over_and_over_to_a_library_that_must_be_used() -> None:
    native = NativeParts(failing_library(Panic(REASON)), must=True)
    options = ProducerOptions(compression="none", transaction_timeout_ms=1_000, native=native)
    with pytest.raises(Fatal):
        native.failed(Panic(REASON))

    async def commit() -> None:
        transaction = KafkaTransaction(
            client={"bootstrap_servers": "b:1", "security_protocol": "PLAINTEXT"},
            group_id="g",
            partition=0,
            transactional_id="t",
            options=options,
        )
        unused: Any = object()
        transaction._producer = unused
        transaction._deadline = float("inf")
        async with transaction._lost_on_failure("commit"):
            raise RuntimeError("what the client says of its sender")

    with pytest.raises(Fatal, match=END):
        asyncio.run(commit())


def test_a_collector_ends_where_the_library_must_be_used_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests meet the failure, which are answered 500: no process ends by that."""
    native = NativeParts(failing_library(), must=True)
    monkeypatch.setattr(service, "native_parts", lambda _: native)
    monkeypatch.setattr(service, "chosen_decoder", lambda *_: None)

    async def collect() -> None:
        watching = asyncio.ensure_future(service.Service(Config())._watch_native())
        with pytest.raises(Fatal, match=END):
            native.failed(Panic(REASON))
        await watching

    with pytest.raises(Fatal, match=END):
        asyncio.run(collect())


def test_a_panic_becomes_an_exception_with_its_place_and_without_its_text() -> None:
    for native in IMPLEMENTATIONS.values():
        if (library := native.library) is not None:
            with pytest.raises(library.EngineFailed, match=r"^at .*\.rs:\d+$"):
                library.panic_here()
