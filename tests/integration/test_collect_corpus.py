"""The golden cases of testing/corpus over HTTP: each has the reason that the worker's dead letters have.

The collector forwards what it refuses (``collect.refused = "forward"``), so that a worker writes the
dead letters of the same bytes, and the two can be compared.
"""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from msgspec import json

from testing.golden import Case, golden_cases, input_bytes
from tests.chaos.topics import read_all
from tests.conftest import Kafka
from tests.integration.collect_place import KEY, CollectPlace, collecting
from worker.config import Config
from worker.model.outputs import DeadLetter

MOST_BYTES = Config().collect.max_body_bytes
GOOD = b'{"id":"good","type":"click","device_id":"other","timestamp":1700000000001}'


def bodies(kind: str) -> dict[str, tuple[Case, bytes]]:
    """Name -> case and body, of the cases under the default limits that a request can have."""
    found = {}
    for name, case in golden_cases(kind).items():
        text = input_bytes(case)
        if text is not None and "limits" not in case:
            body = {"element": b"[%b,%b,%b]" % (GOOD, text, GOOD), "tail": b"[%b,%b" % (GOOD, text)}
            found[name] = case, body.get(kind, text)
    return found


def params(kind: str) -> list[Any]:
    return [
        pytest.param(*of, id=name.encode("ascii", "replace").decode()) for name, of in bodies(kind).items()
    ]


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectPlace]:
    directory = tmp_path_factory.mktemp("collect-corpus")
    with collecting(kafka.bootstrap_servers, directory, {"COLLECT_REFUSED": "forward"}) as place:
        yield place


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["X-Write-Key"] = KEY
        yield session


def post(session: requests.Session, place: CollectPlace, body: bytes) -> tuple[int, dict[str, Any]]:
    answer = session.post(f"{place.collector.url}/v1/events", data=body, timeout=60)
    return answer.status_code, answer.json()


def refused(answer: dict[str, Any]) -> list[tuple[str, int | None]]:
    return [(each["reason"], each["index"]) for each in answer["refused"]]


@pytest.mark.parametrize(("case", "body"), params("element"))
def test_an_element_is_refused_as_the_case_says(
    case: Case, body: bytes, place: CollectPlace, session: requests.Session
) -> None:
    status, answer = post(session, place, body)
    if len(body) > MOST_BYTES:
        assert (status, answer) == (413, {"error": "too_large", "limit": MOST_BYTES})
    else:
        assert status == 200
        assert refused(answer) == ([(case["reason"], 1)] if "reason" in case else [])
        assert answer["accepted"] + len(answer["refused"]) == 3


@pytest.mark.parametrize(("case", "body"), params("tail"))
def test_what_cannot_be_split_is_refused_behind_the_events_before_it(
    case: Case, body: bytes, place: CollectPlace, session: requests.Session
) -> None:
    status, answer = post(session, place, body)
    assert (status, answer["accepted"], refused(answer)) == (200, 1, [(case["reason"], 1)])


@pytest.mark.parametrize(("case", "body"), params("value"))
def test_a_body_is_answered_as_the_case_says(
    case: Case, body: bytes, place: CollectPlace, session: requests.Session
) -> None:
    status, answer = post(session, place, body)
    if len(body) > MOST_BYTES:
        assert (status, answer) == (413, {"error": "too_large", "limit": MOST_BYTES})
        return
    expected = [(each["reason"], each.get("index")) for each in case.get("rejections", [])]
    if ("too_many_events", None) in expected:
        assert (status, answer["error"]) == (413, "too_many_events")
        return
    assert refused(answer) == expected
    assert answer["accepted"] == len(case["events"])
    assert status == (400 if expected and not case["events"] else 200)


def test_dead_letters_have_the_reasons_details_and_bytes_of_the_answers(
    kafka: Kafka, tmp_path_factory: pytest.TempPathFactory, session: requests.Session
) -> None:
    directory = tmp_path_factory.mktemp("collect-dead-letters")
    with collecting(kafka.bootstrap_servers, directory, {"COLLECT_REFUSED": "forward"}) as place:
        answered = []
        for case, body in bodies("element").values():
            if len(body) <= MOST_BYTES and "reason" in case:
                _, answer = post(session, place, body)
                ((reason, _),) = refused(answer)
                answered.append((reason, answer["refused"][0]["detail"], input_bytes(case)))
        dead = asyncio.run(dead_letters(place))
    assert sorted(dead) == sorted(answered)
    assert len(answered) > 200


async def dead_letters(place: CollectPlace) -> list[tuple[str, str, bytes]]:
    """Reason, detail and bytes of each that a worker makes of what is stored so far."""
    worker = place.deployment.worker("worker")
    worker.start()
    await place.deployment.caught_up()
    assert await worker.stop() == 0
    topic = place.deployment.config.topics.dead_letters
    found = await read_all(place.deployment.direct.kafka.bootstrap_servers, topic)
    letters = [json.decode(record.value, type=DeadLetter) for records in found.values() for record in records]
    return [(each.reason, each.detail, bytes_of(each)) for each in letters]


def bytes_of(letter: DeadLetter) -> bytes:
    if letter.payload is not None:
        return letter.payload.encode()
    assert letter.payload_base64 is not None
    return base64.b64decode(letter.payload_base64)
