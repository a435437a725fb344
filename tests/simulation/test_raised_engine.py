"""An engine that has raised is not asked again: another takes its place, and nothing is lost or repeated."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, cast

import pytest

from tests.engines import twin
from tests.simulation.faults import simulate
from tests.simulation.process import Parts
from worker.engine.protocol import Engine, EngineOptions, StoredDevice
from worker.errors import StateCorrupted

_CORRUPTED_STEP = 3


class Corrupted:
    """One that finds a state's record broken in the given step of all that take numbers from ``steps``."""

    def __init__(self, engine: Engine, steps: Iterator[int]) -> None:
        self._engine = engine
        self._steps = steps
        self._has_raised = False

    def __getattr__(self, name: str) -> Any:
        assert not self._has_raised, f"{name} of an engine that had raised"
        return getattr(self._engine, name)

    def step(self, found: Sequence[StoredDevice | None]) -> None:
        if next(self._steps) == _CORRUPTED_STEP:
            self._has_raised = True
            raise StateCorrupted("a record does not decode")
        self._engine.step(found)


@pytest.mark.parametrize("seed", range(5))
def test_the_task_goes_on_with_another_engine(seed: int) -> None:
    steps = count()

    def engine(options: EngineOptions) -> Engine:
        return cast("Engine", Corrupted(twin(options), steps))

    simulate(seed, Parts(engine=engine))
    assert next(steps) > _CORRUPTED_STEP + 1
