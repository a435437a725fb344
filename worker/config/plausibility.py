"""Values that are allowed and probably a mistake: seconds where milliseconds are meant, and the like.

Yields the same ``Fault`` as ``checks``, for a warning instead of an error. Knows no file, no network and no
machine: its memory is an argument. The invariant: no value that somebody may use on purpose is warned of.
"""

from collections.abc import Iterator

from worker.config.address import address_of
from worker.config.fault import Fault
from worker.config.options import Config
from worker.config.values import value_of

BESIDE_MB = 256
"""Memory of a process without ``state.memory_mb`` (docs/operations.md, Memory and disk), in MiB."""

_MIN_MS = {
    "session.gap_ms": 60_000,
    "session.grace_ms": 10_000,
    "session.max_future_ms": 10_000,
    "session.max_duration_ms": 60_000,
    "session.bounce_ms": 500,
    "input.duplicates_ms": 10_000,
    "kafka.heartbeat_interval_ms": 100,
    "kafka.commit_interval_ms": 10,
    "collect.ack_timeout_ms": 100,
    "collect.stall_ms": 20,
}
"""Shorter durations are probably seconds. 0 has a meaning of its own and is not warned of."""

_MAX_MS = {
    "session.gap_ms": 7 * 86_400_000,
    "session.grace_ms": 7 * 86_400_000,
    "session.max_future_ms": 7 * 86_400_000,
}
"""Longer durations are probably microseconds: sessions would stay open that long."""

_MAX_STATS_INTERVAL_S = 3_600


def implausible(config: Config, machine_mb: int | None, processes: int) -> Iterator[Fault]:
    """What is allowed and looks like a mistake.

    ``machine_mb``: the memory in MiB that all ``processes`` together may use; None where it is not known.
    """
    for key, least in _MIN_MS.items():
        value = value_of(config, key)
        if isinstance(value, int) and 0 < value < least:
            yield Fault((key,), f"is {value / 1000:g} s. If {value} s were meant, it must be {value * 1000}")
    for key, most in _MAX_MS.items():
        value = value_of(config, key)
        if isinstance(value, int) and value > most:
            yield Fault((key,), f"is {value / 86_400_000:.0f} days: the unit is milliseconds")
    if config.log.stats_interval_s > _MAX_STATS_INTERVAL_S:
        yield Fault(("log.stats_interval_s",), "is more than an hour: the unit is seconds")
    if _is_plaintext_in_public(config):
        yield Fault(
            ("collect.listen",),
            "answers anybody without TLS, so keys and events can be read between here and there: set "
            "collect.tls_certfile and tls_keyfile, or name the proxy in front that ends TLS in "
            "collect.trusted_proxies",
        )
    if any(network.endswith("/0") for network in config.collect.trusted_proxies):
        yield Fault(
            ("collect.trusted_proxies",),
            "trusts every address, so a sender may choose the one that is recorded: name the proxies only",
        )
    beside_mb = processes * BESIDE_MB
    if machine_mb is not None and config.state.memory_mb + beside_mb > machine_mb:
        yield Fault(
            ("state.memory_mb",),
            f"together with the {beside_mb} MiB that it takes besides, it is more than the {machine_mb} MiB "
            "of memory here (the unit is MiB)",
        )


def _is_plaintext_in_public(config: Config) -> bool:
    address = address_of(config.collect.listen)
    protected = config.collect.tls_certfile or config.collect.trusted_proxies
    return address is not None and not address.is_private and not protected
