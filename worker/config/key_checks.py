"""Checks of the write keys, applied where the collector is to run: without keys nobody may send.

The same form as ``checks``. Decides when requests without a key may be accepted. Knows no request. The
invariant: no configuration passes with which everybody on a network may write events.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from worker.config.address import address_of
from worker.config.fault import Fault
from worker.config.key_entries import KeyEntries, from_pairs, merged, read
from worker.config.options import Config


def _keys(config: Config) -> Iterator[Fault]:
    collect = config.collect
    of_file = read(Path(collect.keys_file)) if collect.keys_file else KeyEntries()
    of_option = from_pairs(collect.keys.reveal()) if collect.keys else KeyEntries()
    yield from (Fault(("collect.keys_file",), _quoted(fault)) for fault in of_file.faults)
    yield from (Fault(("collect.keys",), _quoted(fault)) for fault in of_option.faults)
    if not of_file.faults and not of_option.faults:
        for fault in merged(of_file, of_option).faults:
            yield Fault(("collect.keys", "collect.keys_file"), f"together with {{1}}: {_quoted(fault)}")


def _anonymous(config: Config) -> Iterator[Fault]:
    collect = config.collect
    if collect.anonymous:
        listen = address_of(collect.listen)
        if listen is not None and not listen.is_loopback:
            yield Fault(
                ("collect.anonymous", "collect.listen"),
                "is for loopback addresses only: with {1} everybody there may write events",
            )
    elif not collect.keys_file and not collect.keys:
        yield Fault(
            ("collect.keys_file",),
            "is needed, or collect.keys: without write keys nobody may send. Make one with `sessionizer "
            "collect keys add NAME`, or try it without on this machine: collect.anonymous = true",
        )


def _quoted(text: str) -> str:
    """Text that stands in a reason as it is: ``str.format`` is applied to that."""
    return text.replace("{", "{{").replace("}", "}}")


KEY_CHECKS: tuple[Callable[[Config], Iterator[Fault]], ...] = (_keys, _anonymous)
