"""Which request is a repetition of an earlier one, and is answered as that was.

Decides by the sender's key and the body's hash; must not know what an answer says but its status. Invariants:
a repetition is never processed beside its first; a request that is cancelled cancels no other that waits with
it; no more than ``most`` answers are kept, nor more than ``most_bytes`` of their bodies: the newest.
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


class _Kept(Struct, eq=False):
    """``answer``: as soon as there is one; until then ``waiting`` makes it."""

    body_hash: bytes
    until_s: float
    waiting: asyncio.Task[Answer] | None
    answer: Answer | None = None


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
        self._by_key: dict[IdempotencyKey, _Kept] = {}  # in the order of their time

    async def answer(
        self, key: IdempotencyKey, body: bytes, process: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer | None:
        """What ``process`` answers, or has answered to the same key; None for one with another body.

        An answer that asks to send again goes to all who wait for it, and is not kept: what is sent then is
        a new try. Raises what ``process`` raises.
        """
        now_s = self._monotonic()
        self._drop_old(now_s)
        body_hash = hashlib.blake2b(body, digest_size=16).digest()
        kept = self._by_key.get(key)
        if kept is None:
            task = asyncio.create_task(process())
            kept = self._by_key[key] = _Kept(body_hash, now_s + self._kept_s, task)
            task.add_done_callback(lambda done: self._keep_if_final(key, done))
        elif kept.body_hash != body_hash:
            return None
        if kept.waiting is not None:
            return await asyncio.shield(kept.waiting)
        return kept.answer

    def _keep_if_final(self, key: IdempotencyKey, done: asyncio.Task[Answer]) -> None:
        failed = done.cancelled() or done.exception() is not None
        kept = self._by_key.get(key)
        if kept is None or kept.waiting is not done:  # it was dropped while it waited
            return
        if failed or done.result().status in _TO_BE_TRIED_AGAIN:
            del self._by_key[key]
            return
        kept.answer, kept.waiting = done.result(), None
        self._bytes += len(kept.answer.body)

    def _drop_old(self, now_s: float) -> None:
        while self._by_key:
            key = next(iter(self._by_key))
            kept = self._by_key[key]
            is_full = len(self._by_key) >= self._most or self._bytes > self._most_bytes
            if kept.until_s > now_s and not is_full:
                return
            del self._by_key[key]
            if kept.answer is not None:
                self._bytes -= len(kept.answer.body)
