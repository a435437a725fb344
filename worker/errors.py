"""Failures, each with its remedy.

Adapters map a client's errors to these, once, with ``from``; the task decides by them. Invariant: who catches
one of them need not know the client.
"""


class TransactionLost(Exception):  # noqa: N818 - it is a fact with a remedy, not a bug
    """The transaction did not certainly commit: fenced, timed out, refused, cut off or unknown.

    Remedy: drop the draft and the producer, and if the partition is still assigned, fence again and restore
    the tail of the changelog: only the changelog knows what was committed. ``refused`` says that the broker
    will refuse the same records again (too large, bad timestamp, not authorized), so trying for ever is no
    remedy. ``missing_topic`` names the topic that the brokers do not know. ``timed_out`` says that the
    brokers answered, but the transaction was not done in its time: the next one must be smaller.
    """

    def __init__(
        self, cause: str, *, refused: bool = False, timed_out: bool = False, missing_topic: str = ""
    ) -> None:
        super().__init__(cause)
        self.refused = refused
        self.timed_out = timed_out
        self.missing_topic = missing_topic


class StateCorrupted(Exception):  # noqa: N818
    """The local store cannot be read, or is not of this changelog. Remedy: wipe it and restore."""


class Fatal(Exception):  # noqa: N818
    """Going on would lose or repeat events, or can never succeed; the worker exits with code 1.

    Remedy: in the message, for a human.
    """


class PartitionsAdded(Fatal):
    """The raw topic has another number of partitions than before. Remedy: replay into a new group."""

    def __init__(self, where: str, before: int, since: str, now: str) -> None:
        """``since`` and ``now`` as text, such as "this group began" and "4"."""
        super().__init__(
            f"{where} had {before} partitions when {since}, now {now}: devices belong to other partitions "
            "now, where their sessions are not. To grow, replay into a new group (docs/operations.md, More "
            "partitions)"
        )


class BrokersAway(Fatal):
    """No broker answers. Remedy: in the message; a worker waits for them instead."""


class LoginRefused(BrokersAway):
    """The brokers answer and refuse the login.

    Remedy: in the message; waiting helps only where somebody changes a file or the brokers meanwhile.
    """
