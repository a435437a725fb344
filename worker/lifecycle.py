"""How a process runs its main coroutine: what runs beside it, and the exit code that it ends with.

Decides what a failure means: one beside the main coroutine stops the process in order, and every failure has
its reason in the log. Knows nothing of what the coroutines do. The invariant: no exception is lost, and
nothing that was started beside outlives the block.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from worker import telemetry
from worker.errors import Fatal

Failure = type[telemetry.WorkerFailed] | type[telemetry.CollectFailed] | type[telemetry.LiveFailed]
"""The log event that says why a process ends with exit code 1."""


def exit_code(
    main: Callable[[], Coroutine[Any, Any, int]],
    *,
    failure: Failure = telemetry.WorkerFailed,
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Run ``main`` in an event loop; its exit code, or 1 where it raises Fatal.

    An unexpected exception is logged without its arguments, which may be people's data, and raised.
    ``new_loop`` makes another event loop than asyncio's own.
    """
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main())
    except Fatal as fatal:
        telemetry.emit(failure(reason=str(fatal)))
        return 1
    except Exception as error:
        reason = f"unexpected {_names(error)}, a bug: please report it with the traceback on stderr"
        telemetry.emit(failure(reason=reason))
        raise


def _names(error: BaseException) -> str:
    """The types of what was raised, the last first: closing what the first left may have failed, too."""
    names: list[str] = []
    earlier: BaseException | None = error
    while earlier is not None:
        names.append(type(earlier).__name__)
        earlier = earlier.__cause__ or (None if earlier.__suppress_context__ else earlier.__context__)
    return " after ".join(names)


@asynccontextmanager
async def in_background(stop: asyncio.Event, *coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the coroutines until the block ends. Where one of them fails before, ``stop`` is set.

    Raises the failure's exception after the block, unless the block itself raised one.
    """

    def stop_where_failed(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            stop.set()

    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(stop_where_failed)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
