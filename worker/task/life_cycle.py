"""The life of a task as a table: four states and the moves between them. An illegal move is a bug and
asserts.
"""

from enum import Enum, auto


class TaskState(Enum):
    """Where a task is in its life."""

    NEW = auto()
    RESTORING = auto()
    RUNNING = auto()
    CLOSED = auto()


_LEGAL_MOVES = {
    (TaskState.NEW, TaskState.RESTORING),
    (TaskState.RESTORING, TaskState.RESTORING),  # lost while starting: once more from the beginning
    (TaskState.RESTORING, TaskState.RUNNING),
    (TaskState.RUNNING, TaskState.RESTORING),  # lost a transaction: the changelog knows what was committed
    (TaskState.NEW, TaskState.CLOSED),
    (TaskState.RESTORING, TaskState.CLOSED),
    (TaskState.RUNNING, TaskState.CLOSED),
}


def moved(before: TaskState, after: TaskState) -> TaskState:
    """``after``, if a task may go there from ``before``."""
    assert (before, after) in _LEGAL_MOVES, f"illegal move {before} -> {after}"
    return after
