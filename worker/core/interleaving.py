"""Decides from which of a task's inputs the next records are taken, when several have some waiting.

A pure decision about times. The rule: the oldest first, by when records were received, in pieces of about a
second so that one piece is worth a step. So a device whose events come by two ways has them in the order in
which they were received, to about a second, also where the task is far behind.
"""

from collections.abc import Sequence

PIECE_MS = 1_000


def oldest_piece(waiting: Sequence[Sequence[int]]) -> tuple[int, int]:
    """(which input, how many of its waiting records): for each input the times (ms) of what waits, in order.

    At least one input has something waiting. The piece ends before the first record that is more than a
    second newer than the first one of another input; it has at least one record.
    """
    first_ms, place = min((times_ms[0], place) for place, times_ms in enumerate(waiting) if times_ms)
    others_ms = [times_ms[0] for other, times_ms in enumerate(waiting) if times_ms and other != place]
    last_ms = min(others_ms, default=first_ms) + PIECE_MS
    times_ms = waiting[place]
    if not others_ms:
        return place, len(times_ms)
    return place, next((count for count, time in enumerate(times_ms) if time > last_ms), len(times_ms))
