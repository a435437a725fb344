"""Which events repeat an earlier one, for the slow reference; written from docs/input.md."""

from collections.abc import Mapping
from typing import Any

from tests.reference.devices import Device, Options


def is_duplicate(device: Device, event: Mapping[str, Any], t: int, options: Options) -> bool:
    """Whether its device remembers an event of the same id, not more than the window before or after t."""
    if options["duplicates"] == "keep":
        return False
    times = [time for id_, time in device["recent"] if id_ == event["id"]]
    return any(abs(t - time) <= options["duplicates_ms"] for time in times)


def remember(device: Device, event: Mapping[str, Any], t: int, options: Options) -> None:
    """Remember an event that is no duplicate.

    The oldest arrivals are dropped: beyond the number, and as long as they are over the window before t.
    """
    if options["duplicates"] == "keep":
        return
    device["recent"] = [*device["recent"], (event["id"], t)][-options["duplicates_remembered"] :]
    while device["recent"][0][1] < t - options["duplicates_ms"]:
        del device["recent"][0]
