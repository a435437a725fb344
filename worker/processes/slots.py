"""What each process has of its own: state directory, member id, health file and a share of the memory.

Decides what differs from slot to slot, as environment variables, which win over every other source. Knows
nothing of how a process is started. The invariants: no two slots share a directory, a lock or a member id
(two members with one id would take the partitions from each other for ever), and together they take no more
than ``state.memory_mb``.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from worker.config import Config, ConfigError
from worker.config.load import PREFIX
from worker.config.options import BOUNDS


class Slot(NamedTuple):
    """One process to keep running: its number from 0, its command line and its whole environment.

    ``descriptors`` are open files of the supervisor that each start of the process inherits.
    """

    number: int
    command: tuple[str, ...]
    environment: dict[str, str]
    health_file: Path | None = None
    descriptors: tuple[int, ...] = ()


def cores() -> int:
    """The number of cores that this process may use. A container's CPU quota is not considered."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def slots(config: Config, count: int, command: Sequence[str], log_format: str) -> list[Slot]:
    """``count`` slots, each with ``command`` and ``--slot N``. Raises ConfigError for too little memory."""
    least_mb, _ = BOUNDS["state.memory_mb"]
    memory_mb = config.state.memory_mb // count
    if memory_mb < least_mb:
        line = f"state.memory_mb = {config.state.memory_mb}: must be at least {least_mb * count}, "
        raise ConfigError([f"{line}for {count} processes share it"])
    return [_slot(config, number, command, log_format, memory_mb) for number in range(count)]


def _slot(config: Config, number: int, command: Sequence[str], log_format: str, memory_mb: int) -> Slot:
    own = {"STATE_MEMORY_MB": str(memory_mb), "LOG_FORMAT": log_format}
    if number:  # slot 0 has the directory of a single process, so that its stores are used again
        own["STATE_DIRECTORY"] = str(Path(config.state.directory) / f"slot-{number}")
    if config.kafka.group_instance_id not in {"", "auto"}:  # "auto" keeps an id in each directory
        own["KAFKA_GROUP_INSTANCE_ID"] = f"{config.kafka.group_instance_id}-{number}"
    health_file = None if config.health_file is None else Path(f"{config.health_file}.{number}")
    own["HEALTH_FILE"] = "" if health_file is None else str(health_file)
    variables = {f"{PREFIX}{name}": value for name, value in own.items()}
    return Slot(number, (*command, "--slot", str(number)), {**os.environ, **variables}, health_file)
