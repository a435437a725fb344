"""Which request is a repetition of an earlier one, and is answered as that was.

Decides by the sender's key and the body's hash; must not know what an answer says but its status. Invariants:
a repetition is never processed beside its first; a request that is cancelled cancels no other that waits with
it; no more than ``most`` answers are kept, the newest.
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
_TO_BE_TRIED_AGAIN = frozenset({429, 500, 503})


class _Kept(Struct, eq=False):
    body_hash: bytes
    answer: asyncio.Task[Answer]
    until_s: float


class IdempotentAnswers:
    """Answers of the last ``kept_s`` seconds, in memory: a help after a lost answer, no promise."""

    def __init__(self, monotonic: Callable[[], float], kept_s: float = KEPT_S, most: int = MOST_KEPT) -> None:
        self._monotonic = monotonic
        self._kept_s = kept_s
        self._most = most
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
            kept = self._by_key[key] = _Kept(body_hash, task, now_s + self._kept_s)
            task.add_done_callback(lambda _: self._drop_unless_final(key, task))
        elif kept.body_hash != body_hash:
            return None
        return await asyncio.shield(kept.answer)

    def _drop_unless_final(self, key: IdempotencyKey, task: asyncio.Task[Answer]) -> None:
        final = not task.cancelled() and task.exception() is None
        if final and task.result().status not in _TO_BE_TRIED_AGAIN:
            return
        if (kept := self._by_key.get(key)) is not None and kept.answer is task:
            del self._by_key[key]

    def _drop_old(self, now_s: float) -> None:
        while self._by_key:
            key = next(iter(self._by_key))
            if self._by_key[key].until_s > now_s and len(self._by_key) < self._most:
                return
            del self._by_key[key]
