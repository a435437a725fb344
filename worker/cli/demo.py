"""``sessionizer demo``: one worker on generated traffic, with nothing installed but this package.

Decides where the broker is and what is printed; ``worker.demo`` does the work. The state directory is removed
at the end.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.config import Config, load, topic_variables
from worker.errors import Fatal
from worker.model.topics import OUTPUTS, TOPICS
from worker.signals import interrupted_by_signals

if TYPE_CHECKING:
    from rich.console import Console

    from worker.demo.run import DemoResult

RAW = TOPICS["raw"]
PARTITIONS = 4  # what the embedded broker gives; the same on a real one


def demo(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=1, max=500_000, help="Number of events to generate.")] = 50_000,
    seed: Annotated[int, typer.Option(help="Another seed gives other visitors.")] = 1,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A real broker. Topics named sessionizer-demo-... are created there, and not deleted.",
            show_default="a broker inside this process",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Directory for the output files and the log.")
    ] = Path("demo-output"),
    web: Annotated[
        bool,
        typer.Option(
            "--web", help="No traffic: a page on which your own clicks become sessions, until Ctrl-C."
        ),
    ] = False,
) -> None:
    """Run one worker on two days of a small shop's generated traffic, without Kafka, Docker or Java.

    Exit code 0: every event came out exactly once, enriched or as a dead letter; 1: one did not.
    """
    if web:
        for name in ("events", "seed"):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise typer.BadParameter(
                    "has no meaning with --web, which generates nothing", param_hint=f"--{name}"
                )
        _web(bootstrap_servers, output)
        return
    from rich.console import Console

    from worker.adapters.kafka.security import client_options
    from worker.demo.run import Place, run_demo, totals
    from worker.demo.traffic import make_traffic
    from worker.progress import ProgressView

    console = Console(highlight=False, soft_wrap=True)
    traffic = make_traffic(events, seed=seed, now_ms=time.time_ns() // 1_000_000)
    output.mkdir(parents=True, exist_ok=True)
    log = output / "worker.log"
    with interrupted_by_signals(), _logging_to(log), _broker(bootstrap_servers) as config:
        where = f"broker {bootstrap_servers}" if bootstrap_servers else "a broker inside this process"
        console.print(f"\n[bold]Two days of a small shop[/bold], seed {seed}, on {where}\n")
        place = Place(
            config=config,
            client=client_options(config.kafka),
            log=log,
            has_checksums=bootstrap_servers is not None,  # the embedded broker's markers have none
        )
        with ProgressView(console, totals(traffic)) as view:
            result = asyncio.run(run_demo(place, traffic, view))
    _write(result, output)
    _report(result, output, console, seed=seed)
    raise typer.Exit(0 if result.figures.audit.passed else 1)


def _web(bootstrap_servers: str | None, output: Path) -> None:
    """The demo in a browser, until a signal ends it."""
    from rich.console import Console

    try:
        from worker.demo.web import OPTIONS, run_web
    except ImportError as error:
        raise Fatal(
            f"the page needs the package {error.name}: pip install 'sessionizer[collect,demo]'"
        ) from error

    console = Console(highlight=False, soft_wrap=True)
    output.mkdir(parents=True, exist_ok=True)
    log = output / "worker.log"

    def opened(address: str) -> None:
        console.print(f"  open       [bold]{address}[/bold]")
        console.print(f"  log        {log}", markup=False)
        console.print("  end        Ctrl-C\n")

    where = f"broker {bootstrap_servers}" if bootstrap_servers else "a broker inside this process"
    console.print(f"\n[bold]Your own clicks[/bold], by collector and worker on {where}. Starting ...\n")
    with interrupted_by_signals(), _logging_to(log), _broker(bootstrap_servers, OPTIONS) as config:
        asyncio.run(run_web(config, log, opened, has_checksums=bootstrap_servers is not None))
    console.print("Ended; nothing is left running.")


@contextmanager
def _broker(bootstrap_servers: str | None, more: Mapping[str, str] | None = None) -> Iterator[Config]:
    """The configuration, for a broker on which the topics exist and are empty. ``more``: variables."""
    with tempfile.TemporaryDirectory(prefix="sessionizer-demo-") as state_directory:
        if bootstrap_servers is not None:
            from worker.adapters.kafka import topics as kafka_topics

            # Topics of its own for each run: an earlier run's records would be counted too.
            prefix = f"sessionizer-demo-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
            options = {**_options(bootstrap_servers, state_directory), **(more or {})}
            config = _config_on_real_broker(options, prefix)
            asyncio.run(kafka_topics.create(config, partitions=PARTITIONS))
            yield config
            return
        try:
            from worker.adapters.kafka.embedded_broker import embedded_broker
        except ImportError as error:
            raise Fatal(
                "the demo's own broker needs the package confluent-kafka: pip install 'sessionizer[demo]'; "
                "or name a real broker with --bootstrap-servers"
            ) from error
        with embedded_broker() as broker:
            config = load(None, {**_options(broker.bootstrap_servers, state_directory), **(more or {})})
            broker.create_topics(config.topic_names.values())
            yield config


def _options(servers: str, state_directory: str) -> dict[str, str]:
    return {
        "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": servers,
        "SESSIONIZER_KAFKA_GROUP_INSTANCE_ID": "",  # so that the group does not wait for it after it has left
        "SESSIONIZER_STATE_DIRECTORY": state_directory,
    }


def _config_on_real_broker(options: Mapping[str, str], prefix: str) -> Config:
    """Group and topics with that prefix. The login is read from the environment, as for ``run``."""
    section = "SESSIONIZER_KAFKA_"
    login = (f"{section}SECURITY_", f"{section}SASL_", f"{section}SSL_")
    return load(
        None,
        {
            **{name: value for name, value in os.environ.items() if name.startswith(login)},
            **options,
            "SESSIONIZER_KAFKA_GROUP_ID": prefix,
            **topic_variables(f"{prefix}."),
        },
    )


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the worker's log to a file instead of the screen."""
    from worker import log_output

    with path.open("w") as file:
        with redirect_stdout(file):  # the log goes to what is standard output when it is set up
            log_output.configure("json", "info")
        yield


def _write(result: "DemoResult", output: Path) -> None:
    from worker.demo.summary import write_raw, write_values

    write_raw(output / RAW.file_name, result.records["raw"])
    for role, spec in OUTPUTS.items():
        write_values(output / spec.file_name, result.records[role])


def _report(result: "DemoResult", output: Path, console: "Console", *, seed: int) -> None:
    from worker.demo import histogram
    from worker.demo.summary import describe
    from worker.demo.timeline import PLAIN_MARKS, Marks, by_device, choose, draw

    console.print(f"\n[bold]What became of {result.figures.audit.events_sent:,} events[/bold]\n")
    console.print(describe(result.figures), end="")
    utf = console.encoding.lower().startswith("utf")
    console.print(f"\n[bold]Its {len(result.sessions):,} sessions[/bold], merged ones left out")
    still_open = sum(session.is_open for session in result.sessions)
    console.print(f"{still_open:,} of them are still open: with all of their events so far\n")
    console.print(histogram.draw(result.sessions, "█" if utf else "#"), end="")
    devices = by_device(result.enriched)
    device_id = choose(devices)
    if device_id is not None:
        console.print(f"\n[bold]One device's timeline[/bold]: {device_id}\n")
        marks = Marks() if utf else PLAIN_MARKS
        console.print(draw(devices[device_id], marks), end="")
    _print_next_steps(output, console, device_id, seed)


FILES: dict[str, str] = {
    **{spec.file_name: spec.holds for spec in (*OUTPUTS.values(), RAW)},
    "worker.log": "the worker's log",
}


def _print_next_steps(output: Path, console: "Console", device_id: str | None, seed: int) -> None:
    """The files that were written, and commands to try next."""
    console.print("\n[bold]Files[/bold]\n")
    width = max(len(str(output / name)) for name in FILES)
    for name, what in FILES.items():
        console.print(f"  {output / name!s:<{width}}  {what}", markup=False)
    console.print("\n[bold]What to try next[/bold]\n")
    if device_id is not None:
        enriched = output / OUTPUTS["enriched"].file_name
        console.print(f"  the device above   grep {device_id} {enriched}", markup=False)
    raw = output / RAW.file_name
    called = Path(sys.argv[0])  # as it was started: it need not be on the PATH
    program = called if called.name == "sessionizer" else "sessionizer"
    console.print(f"  without a broker   {program} replay {raw} --output replayed", markup=False)
    console.print(f"  other visitors     {program} demo --seed {seed + 1}", markup=False)
    console.print(f"  on a real broker   {program} demo --bootstrap-servers localhost:9092\n", markup=False)
