"""``python -m tests.integration.failing_collector collect``: the collector, with a mistake in it.

Whoever sends ``X-Request-Id: mistake`` meets it, when the body was read and before anything is sent to Kafka.
What the mistake says holds what was sent, as errors of libraries do.
"""

from worker.cli.main import main
from worker.collect.answers import Answer
from worker.collect.storage import EventStorage, Submission

REQUEST_ID = "mistake"

_store = EventStorage.store


async def _store_or_fail(self: EventStorage, submission: Submission) -> Answer:
    if submission.request_id == REQUEST_ID.encode():
        raise LookupError(submission.value)
    return await _store(self, submission)


if __name__ == "__main__":
    EventStorage.store = _store_or_fail  # type: ignore[method-assign]
    main()
