"""The rows of the contract for trouble: a broker, a topic or the collector itself is not as it should be.

On a real socket, over real brokers. What was stored is read from the topic, never asked of the collector.
"""

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from testing.kafka.broker import LocalBroker
from testing.kafka.cluster import running
from testing.scratch import scratch_directory
from testing.wait import wait_until
from tests.chaos.deployment import Deployment
from tests.collect_api import array, event
from tests.conftest import Kafka
from tests.contract.cluster import admin
from tests.integration.collect_place import KEY, CollectPlace, collecting
from tests.integration.collector_clients import pending
from tests.integration.failing_collector import REQUEST_ID
from tests.integration.test_collect_contract import PATIENCE_S, Row, sent
from worker.core.partitioner import Partitioning

PARTITION_OF = Partitioning(partitions=3).partition_of


@pytest.fixture(scope="module")
def broker(kafka_jars: Path) -> Iterator[LocalBroker]:
    """A broker of this module alone, to be paused."""
    with scratch_directory("trouble") as directory, LocalBroker(kafka_jars, directory) as started:
        yield started


def ids_of(place: CollectPlace) -> list[str]:
    """The ids of all events in the raw topic, each as often as it is there."""
    values = [json.loads(record.value) for record in place.records()]
    return [element["id"] for value in values for element in (value if isinstance(value, list) else [value])]


def device_of(partition: int) -> str:
    return next(name for number in range(100) if PARTITION_OF(name := f"device-{number}") == partition)


def large(name: str, size: int) -> bytes:
    """Events of one device, of about that many bytes."""
    padded = event("N", name)[:-1] + b',"data":{"x":"' + b"x" * 1_000 + b'"}}'
    return array(
        *[padded.replace(b'"N"', b'"%b-%d"' % (name.encode(), n)) for n in range(size // len(padded))]
    )


def test_brokers_that_stand_still_are_answered_503_and_later_200(broker: LocalBroker, tmp_path: Path) -> None:
    options = {"COLLECT_ACK_TIMEOUT_MS": "3000", "COLLECT_STALL_MS": "1000"}
    with collecting(broker.bootstrap_servers, tmp_path, options) as place:
        assert sent(place, Row(200)).status_code == 200
        broker.pause()
        first: dict[str, Any] = sent(place, Row(503, body=event("late", "d1"))).json()
        second = sent(place, Row(503, body=event("never", "d1")))
        broker.resume()
        assert (first["error"], first["retry"]) == ("not_acknowledged", [0])
        assert (second.status_code, second.json()) == (503, {"error": "unavailable"})
        assert 1 <= int(second.headers["retry-after"]) <= 8
        again = Row(200, body=event("again", "d1"))
        wait_until(lambda: sent(place, again).status_code == 200, what="brokers are seen again")
        ids = [json.loads(record.value)["id"] for record in place.records()]
        assert "again" in ids
        assert "never" not in ids


def test_more_than_may_wait_is_overloaded_and_not_stored(broker: LocalBroker, tmp_path: Path) -> None:
    options = {"COLLECT_MAX_BODY_BYTES": "500000", "COLLECT_PENDING_MB": "1"}
    with (
        collecting(broker.bootstrap_servers, tmp_path, options) as place,
        ThreadPoolExecutor(2) as senders,
    ):
        broker.pause()
        try:
            waiting = [
                senders.submit(sent, place, Row(200, body=large(name, 450_000))) for name in ("w1", "w2")
            ]
            wait_until(lambda: pending(place.collector) > 850_000, what="both wait", timeout_s=PATIENCE_S)
            answer = sent(place, Row(503, body=large("refused", 300_000)))
        finally:
            broker.resume()
        assert (answer.status_code, answer.json()) == (503, {"error": "overloaded"})
        assert 1 <= int(answer.headers["retry-after"]) <= 8
        assert [each.result().status_code for each in waiting] == [200, 200]
        assert not [name for name in ids_of(place) if name.startswith("refused")]


def test_a_mistake_in_the_server_costs_its_own_request_only(kafka: Kafka, tmp_path: Path) -> None:
    module = "tests.integration.failing_collector"
    with collecting(kafka.bootstrap_servers, tmp_path, module=module) as place:
        answer = sent(place, Row(500, body=event("bad", "private"), headers={"x-request-id": REQUEST_ID}))
        assert (answer.status_code, answer.json()) == (500, {"error": "internal"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert sent(place, Row(200, body=event("good", "private"))).status_code == 200
        (line,) = place.collector.log("collect.internal_error")
        assert line["trace"].startswith("LookupError < ")
        assert "private" not in place.collector.raw_log()
        assert ids_of(place) == ["good"]


def test_a_body_that_ends_after_the_delay_is_answered_draining(kafka: Kafka, tmp_path: Path) -> None:
    body = event("half", "d1")
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Write-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with collecting(kafka.bootstrap_servers, tmp_path, {"COLLECT_DRAIN_DELAY_S": "0"}) as place:
        collector = place.collector
        with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_S) as peer:
            peer.sendall(head.encode() + body[:-1])
            wait_until(lambda: pending(collector) > 0, what="it is read", timeout_s=PATIENCE_S)
            collector.signal(signal.SIGTERM)
            wait_until(lambda: not accepts(collector.port), what="it accepts no more", timeout_s=PATIENCE_S)
            peer.sendall(body[-1:])
            answer = b"".join(iter(lambda: peer.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b'{"error":"draining"}')
        assert asyncio.run(collector.ended(timeout_s=PATIENCE_S)) == 0
        assert not place.records()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except ConnectionError:
        return False
    return True


def test_what_the_topic_takes_no_more_is_too_large_and_the_rest_is_stored(
    kafka: Kafka, tmp_path: Path
) -> None:
    async def lower(deployment: Deployment) -> None:
        wanted = {"max.message.bytes": "2000"}
        resource = ConfigResource(ConfigResourceType.TOPIC, deployment.config.topics.raw, wanted)
        async with admin(kafka.bootstrap_servers) as client:
            await client.alter_configs([resource])

    with collecting(kafka.bootstrap_servers, tmp_path, {"KAFKA_COMPRESSION": "none"}) as place:
        asyncio.run(lower(place.deployment))
        small, too_large = event("small", device_of(0)), large(device_of(1), 5_000)[1:-1]
        wait_until(
            lambda: sent(place, Row(413, body=array(too_large))).status_code == 413,
            what="the broker knows its new limit",
            timeout_s=PATIENCE_S,
        )
        both = Row(200, body=array(small, too_large))
        answers: list[Any] = []

        def answered() -> bool:
            """The partition has a new producer after each refusal, and until then it is unavailable."""
            answers.append(sent(place, both))
            return bool(answers[-1].status_code != 503)

        wait_until(answered, what="the partition takes records again", timeout_s=PATIENCE_S)
        assert {each.json()["error"] for each in answers[:-1]} <= {"unavailable"}
        found = answers[-1].json()
        assert found["accepted"] == 1
        assert {each["reason"] for each in found["refused"]} == {"too_large"}
        assert found["refused"][0]["index"] == 1
        assert ids_of(place).count("small") == 1


def test_where_one_leader_is_away_the_rest_is_stored(kafka_jars: Path, tmp_path: Path) -> None:
    options = {"COLLECT_ACK_TIMEOUT_MS": "4000", "COLLECT_STALL_MS": "2000"}
    here, away = device_of(0), device_of(1)

    async def one_broker_each(deployment: Deployment) -> None:
        topic = NewTopic(
            *(deployment.config.topics.raw, -1, -1),
            replica_assignments={0: [1], 1: [2], 2: [3]},
            topic_configs={"min.insync.replicas": "1"},
        )
        async with admin(deployment.direct.kafka.bootstrap_servers) as client:
            await client.create_topics([topic])

    async def scenario() -> None:
        async with running(kafka_jars, tmp_path / "brokers") as cluster:
            servers = cluster.bootstrap_servers
            await asyncio.to_thread(requests_on, servers, lambda: cluster.pause(1), lambda: cluster.resume(1))

    def requests_on(servers: str, pause: Any, resume: Any) -> None:
        with collecting(servers, tmp_path, options, make_topics=one_broker_each) as place:
            both = array(event("here-1", here), event("away-1", away), b"5")
            assert sent(place, Row(200, body=array(event("a", here), event("b", away)))).status_code == 200
            pause()
            answer = sent(place, Row(503, body=both))
            found = answer.json()
            assert (found["error"], found["stored"], found["retry"]) == ("partly_stored", [0], [1])
            assert [each["index"] for each in found["refused"]] == [2]
            assert 1 <= int(answer.headers["retry-after"]) <= 8
            never = array(event("here-2", here), event("away-2", away))
            assert sent(place, Row(503, body=never)).json() == {"error": "unavailable"}
            assert sent(place, Row(200, body=event("here-3", here))).status_code == 200
            resume()
            retry = Row(200, body=event("away-1", away))
            wait_until(lambda: sent(place, retry).status_code == 200, what="it is back", timeout_s=PATIENCE_S)
            stored = ids_of(place)
            assert [name for name in stored if name.startswith("here")] == ["here-1", "here-3"]
            assert 1 <= stored.count("away-1") <= 2, "sent twice, and the first time in doubt"
            assert "away-2" not in stored

    asyncio.run(scenario())
