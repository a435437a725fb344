"""What the HTTPS API answers by what became of the records, and what it holds meanwhile."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.asgi_client import ask
from tests.collect_api import Api, array, event
from worker.collect.answers import protocol_refusal
from worker.config.key_entries import WriteKey, digest_of
from worker.config.options import Input
from worker.core.partitioner import Partitioning
from worker.ports import Delivery


def places(**delivery_of: Delivery) -> Mapping[int, Delivery]:
    """Device -> its records' delivery, as partition -> delivery; the devices lie in different partitions."""
    partition_of = Partitioning(partitions=8).partition_of
    found = {partition_of(device): delivery for device, delivery in delivery_of.items()}
    assert len(found) == len(delivery_of)
    return found


@pytest.mark.parametrize(
    ("deliveries", "status", "body"),
    [
        (places(d1="not_sent", d2="not_sent"), 503, {"error": "unavailable"}),
        (places(d1="unknown", d2="not_sent"), 503, {"error": "not_acknowledged", "retry": [0, 1, 3]}),
        (places(d1="not_sent"), 503, {"error": "partly_stored", "stored": [1], "retry": [0, 3]}),
        (places(d2="unknown"), 503, {"error": "partly_stored", "stored": [0, 3], "retry": [1]}),
        (places(d1="rejected", d2="not_sent"), 503, {"error": "unavailable"}),
    ],
)
def test_the_answer_says_what_to_send_again(
    deliveries: Mapping[int, Delivery], status: int, body: Mapping[str, Any]
) -> None:
    api = Api()
    api.producer.deliveries = dict(deliveries)
    answer = api.ask(body=array(event("e1", "d1"), event("e2", "d2"), b"5", event("e3", "d1")))
    found = answer.json
    refused = found.pop("refused", None)
    assert (answer.status, found) == (status, body)
    if refused is not None:
        assert 2 in [each["index"] for each in refused]
    assert 1 <= int(answer.headers["retry-after"]) <= 8


def test_a_record_that_the_topic_does_not_take_is_refused() -> None:
    api = Api()
    api.producer.deliveries = dict(places(d1="rejected"))
    answer = api.ask(body=array(event("e1", "d1"), event("e2", "d2")))
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    assert [(each["index"], each["reason"]) for each in answer.json["refused"]] == [(0, "too_large")]
    assert api.reports.counts == [
        ("accepted", None, 1, "anonymous"),
        ("refused", "too_large", 1, "anonymous"),
    ]
    alone = api.ask(body=event("e1", "d1"))
    assert (alone.status, alone.json) == (413, {"error": "too_large", "limit": 1_000_000})


def test_nothing_is_handed_over_where_one_partition_stalls() -> None:
    api = Api()
    api.producer.stalled = {Partitioning(partitions=8).partition_of("d2")}
    answer = api.ask(body=array(event("e1", "d1"), event("e2", "d2")))
    assert (answer.status, answer.json) == (503, {"error": "unavailable"})
    assert not api.stored()
    assert api.ask(body=event("e1", "d1")).status == 200


def test_nothing_is_stored_before_the_topic_is_known() -> None:
    api = Api()
    api.producer.count = None
    assert api.ask(body=event()).json == {"error": "unavailable"}
    assert api.ask("/readyz", method="GET").status == 503
    assert api.ask("/healthz", method="GET").status == 200


def test_it_is_ready_while_one_partition_can_be_written() -> None:
    api = Api()
    api.producer.stalled = set(range(7))
    assert api.ask("/readyz", method="GET").status == 200
    api.producer.stalled = set(range(8))
    assert api.ask("/readyz", method="GET").status == 503


def test_the_topic_may_grow() -> None:
    api = Api()
    api.ask(body=event())
    api.producer.count = 64
    api.ask(body=event())
    assert [record.partition for record in api.producer.records] == [
        Partitioning(partitions=count).partition_of("d1") for count in (8, 64)
    ]


def test_while_it_drains_connections_are_closed_and_then_nothing_is_accepted() -> None:
    api = Api()
    api.application.draining = True
    answer = api.ask(body=event())
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert api.ask("/readyz", method="GET").status == 503
    api.application.drained = True
    assert api.ask(body=event()).json == {"error": "draining"}
    assert api.ask("/healthz", method="GET").status == 200


def test_a_failure_is_answered_and_its_trace_has_no_data() -> None:
    api = Api()

    def fail(partition: int) -> bool:
        raise ValueError("secret-device")

    api.producer.is_stalled = fail  # type: ignore[method-assign]
    answer = api.ask(body=event())
    assert (answer.status, answer.json) == (500, {"error": "internal"})
    (trace,) = api.reports.traces
    assert "ValueError" in trace
    assert "storage.py" in trace
    assert "secret" not in trace
    assert api.application.pending_bytes == 0


def test_context_is_put_behind_the_last_property() -> None:
    api = Api(context=("ip", "user_agent"))
    forged = event()[:-1] + b',"collector":{"ip":"203.0.113.9"}}'
    api.ask(body=forged, headers=[("user-agent", "curl")], client="192.0.2.7")
    assert api.stored() == [b"[" + forged[:-1] + b',"collector":{"ip":"192.0.2.7","user_agent":"curl"}}]']


def test_an_event_that_is_too_large_with_its_context_is_refused_as_the_worker_would() -> None:
    api = Api(context=("user_agent",), limits=Input(max_object_bytes=100))
    large = event()[:-1] + b',"other":"' + b"x" * 80 + b'"}'
    assert api.ask(body=event()).status == 200
    answer = api.ask(body=large, headers=[("user-agent", "u" * 60)])
    assert (answer.status, answer.json["refused"][0]["reason"]) == (400, "too_long")


def test_what_waits_is_bounded() -> None:
    api = Api(pending_mb=1)
    waiting, go = asyncio.Event(), asyncio.Event()
    send = api.producer.send

    async def wait_and_send(records: Any) -> Any:
        waiting.set()
        await go.wait()
        return await send(records)

    api.producer.send = wait_and_send  # type: ignore[method-assign]
    large = event() + b" " * 700_000

    async def scenario() -> None:
        first = asyncio.create_task(ask(api.application, body=large))
        await waiting.wait()
        assert api.application.pending_bytes == len(large)
        second = await ask(api.application, body=large)
        assert (second.status, second.json) == (503, {"error": "overloaded"})
        assert second.headers["retry-after"]
        go.set()
        assert (await first).status == 200
        assert api.application.pending_bytes == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "reason", "body"),
    [
        (408, "request_timeout", b'{"error":"request_timeout"}'),
        (413, "too_large", b'{"error":"too_large","limit":1000}'),
        (503, "overloaded", b'{"error":"overloaded"}'),
    ],
)
def test_what_the_server_refuses_itself_looks_the_same(status: int, reason: str, body: bytes) -> None:
    headers, found = protocol_refusal(status, reason, {"too_large": 1000})
    assert found == body
    assert dict(headers)[b"access-control-allow-origin"] == b"*"
    assert (b"retry-after" in dict(headers)) == (status == 503)


def test_others_are_answered_while_a_large_body_is_read() -> None:
    """Each of its steps is one turn of the loop, and a small request needs a few."""
    api = Api()
    hostile = event()[:-1] + b"".join(b',"\\u0061%03d":1' % n for n in range(120)) + b"}"
    ended: list[str] = []

    async def send(name: str, body: bytes) -> None:
        answer = await ask(api.application, body=body)
        assert answer.status == 200
        ended.append(name)

    async def send_all() -> None:
        large = asyncio.create_task(send("large", array(*[hostile] * 450)))
        await asyncio.sleep(0)
        await asyncio.gather(large, *(send(f"small {n}", array(event())) for n in range(3)))

    asyncio.run(send_all())
    assert ended == ["small 0", "small 1", "small 2", "large"]


def test_large_bodies_that_come_together_count_for_their_keys_rate_before_they_are_read() -> None:
    api = Api(keys=[WriteKey(name="shop", sha256=digest_of(b"wk_1"), events_per_s=100)])
    large = array(*[event()[:-1] + b',"data":{"x":"' + b"x" * 900 + b'"}}'] * 400)
    key = [("authorization", "Bearer wk_1")]

    async def send_all() -> list[int]:
        asked = (ask(api.application, body=large, headers=key) for _ in range(5))
        return [answer.status for answer in await asyncio.gather(*asked)]

    assert asyncio.run(send_all()) == [200, 429, 429, 429, 429]
