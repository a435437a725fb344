"""What the worker uses of the Kafka client beyond its public names is as it was when it was read.

``PARTS`` declares it: each part of the client with the names of it that ``client_internals`` relies on, and a
digest of its source. Another version of the client that changes or drops one of them fails here, with a list
of what to read again; what the parts do is held by the contracts that ``client_internals`` names.
"""

import ast
import hashlib
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiokafka

from worker.adapters.kafka import client_internals
from worker.adapters.kafka.client_internals import READ_IN

FOLDER = Path(inspect.getfile(client_internals)).parent
COMPILED = "compiled"
"""In place of a digest: there is no source, so it is to be read again with every version."""


class Part(NamedTuple):
    """A class, method or module of the client. ``names``: separated by blanks."""

    place: str
    names: str
    digest: str


PARTS = [
    # consumer.py
    Part(
        "consumer.consumer:AIOKafkaConsumer.__init__",
        "_client _subscription _coordinator _fetcher",
        "01506f316191",
    ),
    Part("consumer.consumer:AIOKafkaConsumer.start", "_coordinator _fetcher", "2f1ba7044332"),
    Part("consumer.consumer:AIOKafkaConsumer.getmany", "max_records fetched_records", "bc6d248e42a4"),
    Part("consumer.consumer:AIOKafkaConsumer.committed", "fetch_committed_offsets", "d8706147ab15"),
    Part("consumer.subscription_state:SubscriptionState.subscription", "", "fbbd34b17218"),
    Part("consumer.subscription_state:Subscription.assignment", "", "3357225d2120"),
    Part("consumer.subscription_state:Assignment", "tps state_value", "ce6859542c70"),
    Part(
        "consumer.subscription_state:TopicPartitionState",
        "has_valid_position position lso highwater timestamp",
        "2b83334afadf",
    ),
    Part(
        "consumer.group_coordinator:GroupCoordinator.__init__", "_coordination_task member_id", "9e729f077efc"
    ),
    Part("consumer.group_coordinator:GroupCoordinator.check_errors", "_pending_exception", "ba6ca51ad348"),
    Part("consumer.group_coordinator:GroupCoordinator.fetch_committed_offsets", "", "6c049c737916"),
    Part(
        "consumer.group_coordinator:GroupCoordinator._do_fetch_commit_offsets",
        "OffsetAndMetadata",
        "b0f359813271",
    ),
    Part(
        "coordinator.assignors.abstract:AbstractPartitionAssignor",
        "metadata assign on_assignment",
        "4089452a0220",
    ),
    Part(
        "coordinator.protocol",
        "ConsumerProtocolMemberAssignment ConsumerProtocolMemberMetadata",
        "942f2280aea6",
    ),
    Part("client:AIOKafkaClient.send", "", "246b277687d7"),
    Part("client:AIOKafkaClient.force_metadata_update", "", "cb7befef21c8"),
    Part("client:AIOKafkaClient._wait_on_metadata", "partitions_for_topic", "52b0a5ee78ef"),
    Part("cluster:ClusterMetadata.leader_for_partition", "", "802f7e4f021d"),
    Part("cluster:ClusterMetadata.update_metadata", "_last_successful_refresh_ms", "6c2cce8f96dc"),
    Part("protocol.offset", "OffsetRequest", "8ce50d884355"),
    # fetcher.py
    Part(
        "consumer.fetcher:Fetcher.__init__",
        "_records _fetch_max_bytes _fetch_max_wait_ms _fetch_waiters",
        "bf21ecb7e0f2",
    ),
    Part("consumer.fetcher:Fetcher._create_fetch_waiter", "_fetch_waiters", "61d840568746"),
    Part(
        "consumer.fetcher:Fetcher._get_actions_per_node",
        "_fetch_max_bytes _fetch_max_wait_ms",
        "1dab2cf937d1",
    ),
    Part(
        "consumer.fetcher:Fetcher._proc_fetch_request",
        "MemoryRecords PartitionRecords FetchResult _value_deserializer",
        "59bf948fff47",
    ),
    Part("consumer.fetcher:Fetcher.fetched_records", "getall has_more FetchResult", "be4348896b9b"),
    Part("consumer.fetcher:Fetcher.seek_to", "_records", "f0ba6aba6c22"),
    Part(
        "consumer.fetcher:FetchResult",
        "_topic_partition _partition_records _update_position check_assignment has_more getone getall",
        "d7db13f06de8",
    ),
    Part(
        "consumer.fetcher:PartitionRecords",
        "_tp _records _value_deserializer _check_crcs _isolation_level _records_iterator _unpack_records "
        "_aborted_transactions _aborted_producers "
        "_consume_aborted_up_to _contains_abort_marker next_fetch_offset",
        "94aa0da0dbec",
    ),
    Part("record.memory_records:MemoryRecords", "size_in_bytes has_next next_batch", COMPILED),
    Part(
        "record.default_records:DefaultRecordBatch",
        "base_offset next_offset first_timestamp max_timestamp timestamp_type producer_id is_transactional "
        "is_control_batch validate_crc",
        COMPILED,
    ),
    # producer.py
    Part(
        "producer.producer:AIOKafkaProducer.__init__",
        "client _sender _txn_manager _message_accumulator",
        "fd6f2966fb3d",
    ),
    Part("producer.producer:AIOKafkaProducer.stop", "_closed _sender", "43ef97147111"),
    Part("producer.producer:AIOKafkaProducer.send_batch", "", "bf42b0f0c5c0"),
    Part(
        "producer.message_accumulator:BatchBuilder",
        "_builder _relative_offset record_count size close closed _set_producer_state _build",
        "8050802ca751",
    ),
    Part("producer.message_accumulator:MessageBatch", "_drain_waiter", "36a7b1dac89d"),
    Part("producer.message_accumulator:MessageAccumulator", "_batches", "562530971ca9"),
    Part("producer.sender:Sender", "sender_task _sender_routine", "46ef144176b7"),
    Part("producer.sender:BaseHandler", "", "41fc76293ab9"),
    Part("producer.transaction_manager:TransactionManager", "_transaction_waiter", "d0932794d69a"),
    Part("record.default_records:DefaultRecordBatchBuilder", "append", COMPILED),
    Part("codec", "gzip_encode snappy_encode lz4_encode zstd_encode", "12a1cbf0e829"),
    # produce_requests.py
    Part("client:AIOKafkaClient.ready", "_get_conn", "79d9637f40fc"),
    Part("producer.message_accumulator:MessageAccumulator._append_batch", "", "4762abfc42cb"),
    Part("producer.message_accumulator:MessageAccumulator.fail_all", "_exception", "f1e12e8100bf"),
    Part("producer.message_accumulator:MessageAccumulator._pop_batch", "retry_count", "41cc98a298ef"),
    Part("producer.message_accumulator:MessageAccumulator.drain_by_nodes", "expired", "fc995afbfc57"),
    Part("producer.sender:SendProduceReqHandler", "retriable failure _batches", "708c9da866ca"),
    Part(
        "producer.transaction_manager:TransactionManager.fatal_error", "_transaction_waiter", "8e9fd08dc500"
    ),
    Part("protocol.produce:ProduceRequest", "_topics", "c9d2e4599634"),
    # cluster_view.py
    Part("client:AIOKafkaClient._metadata_update", "update_metadata", "06dc51ed3e0d"),
    Part("client:AIOKafkaClient._md_synchronizer", "_metadata_update _md_update_fut", "e0421bffa9a7"),
    Part("client:AIOKafkaClient.fetch_all_metadata", "_metadata_update", "8eeea5926b0d"),
    Part("client:AIOKafkaClient.set_topics", "force_metadata_update", "9f9b55d6d899"),
    # protocol.py
    Part("protocol.api", "Request RequestStruct Response API_KEY API_VERSION", "8104844ba843"),
    Part("protocol.types", "Array Boolean Int16 Int32 Schema String", "78f5327e02fe"),
    Part("protocol.coordination", "FindCoordinatorResponse_v0 error_code", "b9715ce773f3"),
    Part("protocol.produce", "ProduceResponse_v0 topics", "8e93fd287299"),
    Part("protocol.transaction", "AddOffsetsToTxnRequest errors error_code", "9ebe7da2408a"),
    Part("protocol.group", "HeartbeatRequest error_code", "873e8885d2f9"),
    Part("admin.client:AIOKafkaAdminClient._send_request", "", "1ed126f126dd"),
    # connection.py
    Part("client:AIOKafkaClient._get_conn", "create_conn", "68ce5d839171"),
    Part("conn:create_conn", "", "673276cbddb4"),
    Part(
        "conn:AIOKafkaConnection",
        "_requests _handle_frame _sasl_oauth_token_provider authenticator_oauth send close connect",
        "ac26ab36fe7c",
    ),
    Part("conn:OAuthAuthenticator", "_token_sent step", "2f9c85babb3f"),
    Part("conn:CloseReason", "IDLE_DROP", "3824c2ca7682"),
    Part("protocol.admin:SaslAuthenticateResponse_v1", "session_lifetime_ms", "d6a32650a3cb"),
]


def part_at(place: str) -> object:
    """The part itself. Raises ImportError or AttributeError where it is gone."""
    module_name, _, name = place.partition(":")
    found: object = importlib.import_module(f"aiokafka.{module_name}")
    for each in name.split(".") if name else ():
        found = inspect.getattr_static(found, each)
    return found.fget if isinstance(found, property) else found


def source_of(found: object) -> str | None:
    """The source of a part; None where it is compiled."""
    try:
        return inspect.getsource(found)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None


def digest_of(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def findings(parts: list[Part], version: str) -> Iterator[str]:
    """What of the parts is not as it was read in ``READ_IN``, where the client is of this version."""
    if version != READ_IN:
        yield f"aiokafka is {version}, read was {READ_IN}: read again what this list names, then set READ_IN"
    for place, names, digest in parts:
        try:
            part = part_at(place)
        except (ImportError, AttributeError) as error:
            yield f"{place} is gone: {error}"
            continue
        source = source_of(part)
        known = dir(part) if source is None else re.findall(r"\w+", source)
        if missing := [name for name in names.split() if name not in known]:
            yield f"{place} has no {', '.join(missing)} any more"
        if digest == COMPILED:
            if version != READ_IN:
                yield f"{place} is compiled: read its source again"
        elif source is None:
            yield f"{place} is compiled now: read its source again, and declare it as COMPILED"
        elif digest_of(source) != digest:
            yield f"{place} has changed: read it again, then its digest is {digest_of(source)}"


def modules() -> dict[str, ast.Module]:
    return {file.name: ast.parse(file.read_text()) for file in sorted(FOLDER.glob("*.py"))}


def test_the_client_is_as_it_was_read() -> None:
    """In a process of its own: the worker replaces parts of the client, and other tests have run it here."""
    command = [sys.executable, "-m", "tests.contract.test_client_internals"]
    fresh = subprocess.run(command, cwd=FOLDER.parents[3], capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr
    assert not fresh.stdout, "\n" + fresh.stdout


def test_what_changes_or_goes_is_listed() -> None:
    parts = [
        PARTS[0]._replace(digest="0" * 12),
        PARTS[1]._replace(place="consumer.consumer:AIOKafkaConsumer.begin"),
        PARTS[2]._replace(names="max_records at_most"),
        Part("record.memory_records:MemoryRecords", "", COMPILED),
    ]
    found = [*findings(parts, "9.0")]
    assert [line.partition(":")[0] for line in found[:1]] == [f"aiokafka is 9.0, read was {READ_IN}"]
    assert f"{PARTS[0].place} has changed" in found[1]
    assert "AIOKafkaConsumer.begin is gone" in found[2]
    assert "has no at_most any more" in found[3]
    assert "MemoryRecords is compiled" in found[-1]


def test_every_private_name_that_is_used_is_declared() -> None:
    declared = {name for part in PARTS for name in part.names.split()}
    declared |= {part.place.rpartition(".")[2] for part in PARTS}
    for file, tree in modules().items():
        own = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
        used = {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr[0] == "_"
        }
        undeclared = {name for name in used - own - declared if not name.startswith("__")}
        assert not undeclared, f"{file} uses {sorted(undeclared)}: declare them in PARTS"


def test_every_part_of_the_client_that_is_imported_is_declared() -> None:
    declared = {part.place.partition(":")[0] for part in PARTS}
    for file, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiokafka"):
                module = (node.module or "").partition(".")[2]
                paths = {module, *(f"{module}.{alias.name}" for alias in node.names)}
                known = paths & (declared | {"", "admin", "errors"})
                assert known, f"{file} imports aiokafka.{module}: declare it in PARTS"


def test_each_accessor_says_which_test_holds_it() -> None:
    root = FOLDER.parents[3]
    for file, tree in modules().items():
        for node in tree.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("_") or is_value(node):
                continue
            text = ast.get_docstring(node) or ""
            named = re.findall(r"\b((?:tests/\w+/)?test_\w+\.py)", text.partition("Held by")[2])
            assert named, f"{file}: {node.name} names no test that holds it"
            for name in named:
                path = root / (name if "/" in name else f"tests/contract/{name}")
                assert path.exists(), f"{file}: {node.name} is held by {name}, which does not exist"


def is_value(node: ast.AST) -> bool:
    """Whether it is a Struct: the answer of an accessor, of which nothing is the client's."""
    return isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["Struct"]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in findings(PARTS, aiokafka.__version__))
