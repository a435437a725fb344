"""One collector process, from its start to its exit code: sockets, server, probes, signals, drain.

Decides how the process starts and ends. Must not know events, keys or Kafka: those are ``service``. The
invariants: every end with exit code 1 has its reason in the log; a request that was read before the end has
an answer, or the log says how many have none.
"""

import asyncio
import signal

import uvloop

from worker import __version__, log_output, signals, telemetry
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer
from worker.adapters.http.tls import TlsFiles
from worker.collector.drain import Drain, finish_s, stop_s
from worker.collector.listeners import Sockets, address_in_use, bind
from worker.collector.probes import Probes
from worker.collector.service import Load, Service
from worker.config import Config
from worker.config.address import address_of
from worker.errors import Fatal
from worker.lifecycle import exit_code, in_background
from worker.preflight import check_assertions, warn_of_options
from worker.process_limits import collect_garbage_seldom, keep_files_private, raise_file_limit
from worker.watchdog import watch

_BESIDE_CONNECTIONS = 100
"""Open files that are no connections of senders: brokers, listeners, keys, the event loop."""

_ADMIN_CONNECTIONS = 50
_ADMIN_BYTES = 65_536
_LOOK_S = 0.5


def check_machine(config: Config) -> None:
    """Raises Fatal where Python runs without assertions, or too few files may be open."""
    check_assertions()
    allowed, wanted = raise_file_limit(), config.collect.max_connections + _BESIDE_CONNECTIONS
    if allowed < wanted:
        raise Fatal(
            f"collect.max_connections = {config.collect.max_connections}: needs {wanted:,} open files, and "
            f"{allowed:,} are allowed here: raise the limit (ulimit -n, LimitNOFILE=), or lower the option"
        )


def stops_within_s(config: Config) -> float:
    """The time after SIGTERM within which a process has ended."""
    collect = config.collect
    return stop_s(collect.drain_delay_s, HttpLimits().body_timeout_s, collect.ack_timeout_ms)


def run(config: Config, slot: int | None = None, inherited: Sockets | None = None) -> int:
    """Run one collector in this process until it is asked to stop; returns the exit code.

    ``slot`` is its number among the processes of one supervisor, and ``inherited`` the supervisor's sockets.
    """
    log_output.configure(
        log_output.format_here(config.log.format),
        config.log.level,
        instance=log_output.instance_here(config.log.instance),
        slot=slot,
    )
    keep_files_private()
    if slot is None:  # else the supervisor has warned for all processes
        warn_of_options(config)
    collect_garbage_seldom()

    async def until_signalled() -> int:
        check_machine(config)
        (sockets,) = [inherited] if inherited else bind(config)
        await serve(config, sockets)
        return 0

    return exit_code(until_signalled, failure=telemetry.CollectFailed, new_loop=uvloop.new_event_loop)


async def serve(config: Config, sockets: Sockets) -> None:
    """Serve on the sockets until a signal stops it. Raises Fatal where only a human can help."""
    drain = Drain(config.collect.drain_delay_s)
    service = Service(config, load=lambda: Load(server.connections, server.pending_bytes))
    server = _server(config, service, sockets)
    within_s = finish_s(HttpLimits().body_timeout_s, config.collect.ack_timeout_ms)
    admin = HttpServer(
        Probes(service.application.ready, service.figures),
        sockets=list(sockets.admin),
        limits=HttpLimits(max_connections=_ADMIN_CONNECTIONS, max_body_bytes=_ADMIN_BYTES),
    )

    def reload(_: signal.Signals) -> None:
        service.reread_keys()
        if server.certificate is not None:
            server.certificate.reread()

    signals.listen(drain.asked, on_stop=drain.note, on_reload=reload)
    beside = (watch(), _log_certificates(config, server))
    async with in_background(drain.asked, *beside), service.running(drain.asked):
        _log_start(config, sockets, native=service.is_native)
        probed = asyncio.create_task(admin.serve())
        # Until then connections wait in the queue: one of several processes that starts again answers no 503.
        await service.first_ready(drain.asked)
        serving = asyncio.create_task(server.serve())
        for task in (serving, probed):
            task.add_done_callback(lambda _: drain.asked.set())
        await drain.asked.wait()
        if not serving.done():
            await _drain(service, server, drain, within_s)
        unanswered = await serving
        admin.drain()
        await probed
    if unanswered:
        raise Fatal(f"{unanswered} requests were not answered within {within_s:g} s, and were cut off")
    telemetry.emit(telemetry.CollectStopped(uptime_s=service.uptime_s))


async def _drain(service: Service, server: HttpServer, drain: Drain, within_s: float) -> None:
    """End the server in order; returns when it accepts no more."""
    service.application.draining = True
    telemetry.emit(telemetry.CollectDraining(delay_s=drain.delay_s, connections=server.connections))
    await drain.delay()
    service.application.drained = True
    server.drain(within_s=within_s)


async def _log_certificates(config: Config, server: HttpServer) -> None:
    """Log when another certificate is used, or the files cannot be. Until cancelled."""
    certificate = server.certificate
    if certificate is None:
        return
    context, failure = certificate.context, certificate.failure
    while True:
        await asyncio.sleep(_LOOK_S)
        if certificate.context is not context:
            context = certificate.context
            files = [config.collect.tls_certfile, config.collect.tls_keyfile]
            telemetry.emit(telemetry.CredentialsReloaded(files=files))
        if certificate.failure != failure:
            failure = certificate.failure
            if failure is not None:
                telemetry.emit(telemetry.CollectKeysInvalid(reason=failure))


def _server(config: Config, service: Service, sockets: Sockets) -> HttpServer:
    collect = config.collect
    files = TlsFiles(certificate=collect.tls_certfile, key=collect.tls_keyfile)
    return HttpServer(
        service.application,
        sockets=list(sockets.public),
        limits=HttpLimits(
            max_body_bytes=collect.max_body_bytes,
            max_connections=collect.max_connections,
            max_pending_bytes=collect.pending_mb * 2**20,
        ),
        tls=files if collect.tls_certfile else None,
        refusal=service.refusal,
        on_failure=service.on_failure,
    )


def _log_start(config: Config, sockets: Sockets, *, native: bool) -> None:
    listen, admin = address_of(config.collect.listen), address_of(config.collect.admin_listen)
    assert listen is not None, "the configuration is checked"
    telemetry.emit(
        telemetry.CollectStarted(
            version=__version__,
            listen=address_in_use(sockets.public, listen),
            admin_listen=address_in_use(sockets.admin, admin) if admin else None,
            tls=bool(config.collect.tls_certfile),
            raw_topic=config.topics.raw,
            native=native,
        )
    )
