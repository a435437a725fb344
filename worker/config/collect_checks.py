"""Checks of the HTTPS API's options: which contradict each other, or name what cannot be.

The same form as ``checks``. ``COLLECTOR_CHECKS`` concern only a machine where the collector runs, so other
commands leave them out. Knows no network. The invariant: a configuration that passes can be served, as
far as this machine alone can say.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.config.address import address_of
from worker.config.fault import Fault, unreadable
from worker.config.options import Config
from worker.config.values import value_of

OWN_PATHS = ("/v1/events", "/v1/pixel.gif", "/s.js", "/openapi.json", "/healthz", "/readyz", "/metrics")
"""Paths that have a meaning already, so that ``collect.paths`` cannot give them another."""

_PATH = re.compile(r"/[A-Za-z0-9._~/-]{1,199}")
_EXPECTED_ADDRESS = "expected host:port, e.g. 127.0.0.1:8080 or [::1]:8080"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_TLS = ("collect.tls_certfile", "collect.tls_keyfile")


def _addresses(config: Config) -> Iterator[Fault]:
    optional = ("collect.admin_listen",)
    found = {}
    for key in ("collect.listen", "collect.admin_listen", "live.listen"):
        text = str(value_of(config, key))
        address = address_of(text)
        if address is not None:
            found[key] = address
        elif text or key not in optional:
            nothing = ", or nothing" if key in optional else ""
            yield Fault((key,), _EXPECTED_ADDRESS + nothing)
    public, admin = found.get("collect.listen"), found.get("collect.admin_listen")
    if public is not None and admin is not None and admin.meets(public):
        yield Fault(
            ("collect.admin_listen", "collect.listen"),
            "must be another address than {1}: the figures are not for the public",
        )


def _paths(config: Config) -> Iterator[Fault]:
    paths = config.collect.paths
    for path in paths:
        if _PATH.fullmatch(path) is None:
            yield Fault(
                ("collect.paths",),
                "expected paths that begin with '/' and have at most 200 letters, digits, '.', '_', '~', '-' "
                "and '/', e.g. /e",
            )
            return
        if path in OWN_PATHS:
            yield Fault(("collect.paths",), f"{path} has a meaning already: choose another path")
    if len(set(paths)) != len(paths):
        yield Fault(("collect.paths",), "a path is there twice")


def _proxies(config: Config) -> Iterator[Fault]:
    for text in config.collect.trusted_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            yield Fault(
                ("collect.trusted_proxies",),
                "expected networks or addresses, e.g. 10.0.0.0/8 (the bits behind the mask must be 0)",
            )
            return


def _live(config: Config) -> Iterator[Fault]:
    live = config.live
    address = address_of(live.listen)
    if address is not None and not address.is_loopback and not live.token:
        yield Fault(
            ("live.token", "live.listen"),
            "is needed with {1}: other machines reach it, and the page shows what every device does",
        )
    if live.token and not _TOKEN.fullmatch(live.token.reveal()):
        yield Fault(("live.token",), "expected 16 to 200 letters, digits, '-', '_', '.' and '~'")
    if live.collector and not _ORIGIN.fullmatch(live.collector):
        yield Fault(
            ("live.collector",), "expected http:// or https:// and a host, e.g. https://collect.example"
        )


def _limits(config: Config) -> Iterator[Fault]:
    collect = config.collect
    if collect.pending_mb * 2**20 < 2 * collect.max_body_bytes:
        yield Fault(
            ("collect.pending_mb", "collect.max_body_bytes"),
            "must hold twice {1}, a body as it arrives and inflated, else no such body is ever accepted",
        )
    if collect.stall_ms >= collect.ack_timeout_ms:
        yield Fault(
            ("collect.stall_ms", "collect.ack_timeout_ms"),
            "must be below {1}, else requests wait for a partition that is known to be stalled",
        )
    if collect.linger_ms >= collect.stall_ms:
        yield Fault(
            ("collect.linger_ms", "collect.stall_ms"),
            "must be below {1}, else every batch counts as stalled",
        )


def _limits_of_the_worker(config: Config) -> Iterator[Fault]:
    """Only for the collector: a worker without one may have smaller limits than the collector's defaults."""
    collect, accepted = config.collect, config.input
    if collect.max_body_bytes > accepted.max_value_bytes:
        yield Fault(
            ("collect.max_body_bytes", "input.max_value_bytes"),
            "must not be above {1}, else the worker refuses whole what was answered 200",
        )
    if collect.max_events > accepted.max_events:
        yield Fault(
            ("collect.max_events", "input.max_events"),
            "must not be above {1}, else the worker refuses what was answered 200",
        )


def _tls(config: Config) -> Iterator[Fault]:
    for key, other in (_TLS, _TLS[::-1]):
        if value_of(config, other) and not value_of(config, key):
            yield Fault((key, other), "is needed with {1}: TLS has a certificate and its key")


def _tls_files(config: Config) -> Iterator[Fault]:
    for key in _TLS:
        path = str(value_of(config, key))
        if path and (problem := unreadable(Path(path))):
            yield Fault((key,), problem)


COLLECT_CHECKS: tuple[Callable[[Config], Iterator[Fault]], ...] = (
    _addresses,
    _paths,
    _proxies,
    _limits,
    _tls,
    _live,
)
COLLECTOR_CHECKS: tuple[Callable[[Config], Iterator[Fault]], ...] = (
    _limits_of_the_worker,
    _tls_files,
)
"""What is checked besides where the collector itself is to run."""
