"""A repeated request gets the answer of the first one, and stores nothing."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.asgi_client import Answered, ask
from tests.collect_api import Api, event
from worker.collect.answers import Answer, stored
from worker.collect.idempotency import IdempotentAnswers
from worker.config.key_entries import WriteKey, digest_of
from worker.ports import Delivery, RawRecord

IDEMPOTENCY_KEY = "idempotency-key"
KEY = [(IDEMPOTENCY_KEY, "k1")]


class Held:
    """Holds back what an API sends until ``go``."""

    def __init__(self, api: Api) -> None:
        self.waiting, self.go = asyncio.Event(), asyncio.Event()
        self._send = api.producer.send
        api.producer.send = self.send  # type: ignore[method-assign]

    async def send(self, records: Sequence[RawRecord]) -> Sequence[Delivery]:
        self.waiting.set()
        await self.go.wait()
        return await self._send(records)


def test_a_repetition_has_the_first_answer_and_stores_nothing() -> None:
    api = Api()
    first, second = (api.ask(body=event(), headers=KEY) for _ in range(2))
    assert first.status == second.status == 200
    assert first.body == second.body
    assert len(api.stored()) == 1


def test_the_key_may_be_in_the_query() -> None:
    api = Api()
    for _ in range(2):
        assert api.ask("/v1/events?idempotency_key=k1", event()).status == 200
    assert len(api.stored()) == 1


def test_another_body_with_the_same_key_is_a_conflict() -> None:
    api = Api()
    api.ask(body=event("e1"), headers=KEY)
    answer = api.ask(body=event("e2"), headers=KEY)
    assert (answer.status, answer.json) == (409, {"error": "idempotency_conflict"})
    assert len(api.stored()) == 1


def test_the_same_text_of_another_write_key_is_another_key() -> None:
    keys = [WriteKey(name=name, sha256=digest_of(name.encode())) for name in ("a", "b")]
    api = Api(keys=keys)
    for name in ("a", "b"):
        api.ask(body=event(), headers=[*KEY, ("x-write-key", name)])
    assert len(api.stored()) == 2


def test_what_was_not_stored_is_tried_again() -> None:
    api = Api()
    api.producer.deliveries = dict.fromkeys(range(8), "not_sent")
    assert api.ask(body=event(), headers=KEY).status == 503
    api.producer.deliveries = {}
    assert api.ask(body=event(), headers=KEY).status == 200
    assert len(api.stored()) == 1


def test_a_repetition_waits_with_the_first_and_gets_its_answer() -> None:
    api = Api()

    async def scenario() -> tuple[Answered, Answered]:
        held = Held(api)
        first = asyncio.create_task(ask(api.application, body=event(), headers=KEY))
        await held.waiting.wait()
        second = asyncio.create_task(ask(api.application, body=event(), headers=KEY))
        await asyncio.sleep(0)
        held.go.set()
        return await first, await second

    first, second = asyncio.run(scenario())
    assert first.status == second.status == 200
    assert first.body == second.body
    assert len(api.stored()) == 1


def test_who_is_cancelled_cancels_no_other() -> None:
    api = Api()

    async def scenario() -> Answered:
        held = Held(api)
        first = asyncio.create_task(ask(api.application, body=event(), headers=KEY))
        await held.waiting.wait()
        second = asyncio.create_task(ask(api.application, body=event(), headers=KEY))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        held.go.set()
        return await second

    assert asyncio.run(scenario()).status == 200
    assert len(api.stored()) == 1


def test_a_failure_goes_to_all_who_wait_and_is_not_kept() -> None:
    async def scenario() -> None:
        answers = IdempotentAnswers(lambda: 0.0)

        async def fail() -> Answer:
            await asyncio.sleep(0)
            raise ValueError

        async def succeed() -> Answer:
            return stored(1, (), 0)

        both = [asyncio.create_task(answers.answer(("a", b"k"), b"", fail)) for _ in range(2)]
        found = await asyncio.gather(*both, return_exceptions=True)
        assert [type(each) for each in found] == [ValueError, ValueError]
        assert await answers.answer(("a", b"k"), b"other", succeed) == stored(1, (), 0)

    asyncio.run(scenario())


def test_answers_are_kept_for_their_time_and_up_to_their_number() -> None:
    async def scenario() -> None:
        now_s = 0.0
        answers = IdempotentAnswers(lambda: now_s, kept_s=120, most=2)
        processed: list[bytes] = []

        async def answer(key: bytes) -> None:
            async def process() -> Answer:
                processed.append(key)
                return stored(1, (), 0)

            await answers.answer(("a", key), b"", process)

        await answer(b"1")
        now_s = 119.9
        await answer(b"1")
        assert processed == [b"1"]
        now_s = 120.0
        await answer(b"1")
        assert processed == [b"1", b"1"]
        for key in (b"2", b"3", b"1"):  # the third pushes out the oldest, which is processed again
            await answer(key)
        assert processed == [b"1", b"1", b"2", b"3", b"1"]

    asyncio.run(scenario())


def test_large_answers_are_kept_up_to_their_bytes() -> None:
    async def scenario() -> None:
        answers = IdempotentAnswers(lambda: 0.0, most_bytes=1_000)
        processed: list[int] = []

        async def answer(key: int) -> None:
            async def process() -> Answer:
                processed.append(key)
                return Answer(200, b"x" * 400)

            await answers.answer(("a", b"%d" % key), b"", process)

        for key in (1, 2, 3, 4, 4, 3, 1):
            await answer(key)
        assert processed == [1, 2, 3, 4, 1], "of 1,000 bytes two are kept"

    asyncio.run(scenario())


@pytest.mark.parametrize("limits", [{"most": 1}, {"most_bytes": 300}])
def test_a_repetition_waits_with_the_first_also_where_other_answers_are_too_many(
    limits: dict[str, int],
) -> None:
    async def scenario() -> None:
        answers = IdempotentAnswers(lambda: 0.0, **limits)
        go, processed = asyncio.Event(), 0

        async def slow() -> Answer:
            nonlocal processed
            processed += 1
            await go.wait()
            return Answer(200, b"slow")

        async def quick() -> Answer:
            return Answer(200, b"x" * 200)

        first = asyncio.create_task(answers.answer(("a", b"slow"), b"", slow))
        await asyncio.sleep(0)
        for n in range(3):
            await answers.answer(("a", b"%d" % n), b"", quick)
        second = asyncio.create_task(answers.answer(("a", b"slow"), b"", slow))
        await asyncio.sleep(0)
        go.set()
        assert await first == await second == Answer(200, b"slow")
        assert processed == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "headers", "place"),
    [
        ("/v1/events", [(IDEMPOTENCY_KEY, "k" * 65)], "Idempotency-Key"),
        ("/v1/events?idempotency_key=" + "%C3%A9" * 65, [], "?idempotency_key="),
    ],
)
def test_a_key_that_is_too_long_is_answered_with_what_is_too_long_and_what_is_allowed(
    path: str, headers: list[tuple[str, str]], place: str
) -> None:
    api = Api()
    answer = api.ask(path, event(), headers=headers)
    detail = f"{place}: has 65 characters, at most 64 are allowed"
    assert (answer.status, answer.json) == (400, {"error": "bad_request", "detail": detail})
    assert not api.stored()


def test_a_key_of_64_characters_is_taken_however_many_bytes_they_are() -> None:
    api = Api()
    assert api.ask("/v1/events?idempotency_key=" + "%C3%A9" * 64, event()).status == 200
