"""Which request is a repetition of an earlier one, and is answered as that was.

Decides by the sender's key and the body's hash; must not know what an answer says but its status. Invariants:
a repetition is never processed beside its first, however many answers are kept; a request that is cancelled
cancels no other that waits with it; no more than ``most`` answers are kept, nor more than ``most_bytes`` of
their bodies: the newest.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct

from worker.collect.answers import Answer

IdempotencyKey = tuple[str, bytes]
"""(name of the write key, text of the sender)."""

LONGEST_KEY = 64
KEPT_S = 120
MOST_KEPT = 100_000
MOST_KEPT_BYTES = 16 * 1024 * 1024
"""So many bytes of bodies are kept: 160 each, which only answers with refused elements exceed."""
_TO_BE_TRIED_AGAIN = frozenset({429, 500, 503})


class _Waiting(Struct, eq=False):
    body_hash: bytes
    answer: asyncio.Task[Answer]


class _Kept(Struct, eq=False):
    body_hash: bytes
    until_s: float
    answer: Answer


class IdempotentAnswers:
    """Answers of the last ``kept_s`` seconds, in memory: a help after a lost answer, no promise."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        kept_s: float = KEPT_S,
        most: int = MOST_KEPT,
        most_bytes: int = MOST_KEPT_BYTES,
    ) -> None:
        self._monotonic = monotonic
        self._kept_s = kept_s
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._waiting: dict[IdempotencyKey, _Waiting] = {}
        self._kept: dict[IdempotencyKey, _Kept] = {}  # in the order of their time

    async def answer(
        self, key: IdempotencyKey, body: bytes, process: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer | None:
        """What ``process`` answers, or has answered to the same key; None for one with another body.

        An answer that asks to send again goes to all who wait for it, and is not kept: what is sent then is
        a new try. Raises what ``process`` raises.
        """
        self._drop_old()
        body_hash = hashlib.blake2b(body, digest_size=16).digest()
        kept = self._kept.get(key)
        if kept is not None:
            return kept.answer if kept.body_hash == body_hash else None
        waiting = self._waiting.get(key)
        if waiting is None:
            task = asyncio.create_task(process())
            waiting = self._waiting[key] = _Waiting(body_hash, task)
            task.add_done_callback(lambda done: self._keep_if_final(key, done))
        elif waiting.body_hash != body_hash:
            return None
        return await asyncio.shield(waiting.answer)

    def _keep_if_final(self, key: IdempotencyKey, done: asyncio.Task[Answer]) -> None:
        waiting = self._waiting.pop(key)
        if done.cancelled() or done.exception() is not None or done.result().status in _TO_BE_TRIED_AGAIN:
            return
        kept = self._kept[key] = _Kept(waiting.body_hash, self._monotonic() + self._kept_s, done.result())
        self._bytes += len(kept.answer.body)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._drop_oldest()

    def _drop_old(self) -> None:
        now_s = self._monotonic()
        while self._kept and next(iter(self._kept.values())).until_s <= now_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._kept.pop(next(iter(self._kept))).answer.body)
