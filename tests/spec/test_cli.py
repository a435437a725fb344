"""The commands that need no broker, and the exit code of every way to end."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import Ended, Sessionizer
from worker import __version__
from worker.config import load

COMMANDS = (
    ("run",),
    ("collect",),
    ("check",),
    ("topics", "create"),
    ("config", "show"),
    ("replay", "raw.ndjson", "--output", "out"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(sessionizer: Sessionizer, command: tuple[str, ...]) -> None:
    ended = sessionizer(*command, "--help")
    assert ended.code == 0
    assert "--config" in ended.out


def test_the_version_is_the_packages(sessionizer: Sessionizer) -> None:
    assert sessionizer("--version") == Ended(0, f"sessionizer {__version__}\n", "")


STOPPED_WHILE_IT_LOADS = """
import os, sys
from worker.cli.main import main

class SignalsAtTheFirstImport:
    def find_spec(self, name, path=None, target=None):
        if name == "worker.app":
            os.kill(os.getpid(), number)

number = int(sys.argv.pop())
sys.meta_path.insert(0, SignalsAtTheFirstImport())
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_stopped_before_it_has_begun_ends_well(number: signal.Signals) -> None:
    command = [sys.executable, "-c", STOPPED_WHILE_IT_LOADS, "run", str(number.value)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_python_dash_m_worker_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"sessionizer {__version__}\n"


def test_help_loads_neither_the_client_nor_the_store() -> None:
    """They take most of a second, which is felt at every use of the command line."""
    code = (
        "import sys; sys.argv = ['sessionizer', '--help']\n"
        "from worker.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('aiokafka', 'rocksdict') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("config", "fly"),
        ("check", "--fast"),
        ("topics", "create", "--partitions", "0"),
        ("demo", "--web", "--seed", "2"),
        (),
    ],
)
def test_wrong_usage_ends_with_2(sessionizer: Sessionizer, arguments: tuple[str, ...]) -> None:
    assert sessionizer(*arguments).code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_configuration_ends_with_2_and_one_line_a_fault(
    sessionizer: Sessionizer, command: tuple[str, ...]
) -> None:
    ended = sessionizer(*command, LOG_LEVEL="loud", STATE_STORE="redis", COLLECT_ANONYMOUS="true")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.splitlines() == [
        'SESSIONIZER_LOG_LEVEL = "loud": expected one of debug, info, warning, error',
        'SESSIONIZER_STATE_STORE = "redis": expected one of rocksdb, memory',
    ]


def test_a_configuration_file_that_is_not_there_ends_with_2(sessionizer: Sessionizer, tmp_path: Path) -> None:
    ended = sessionizer("run", "--config", str(tmp_path / "no.toml"))
    assert ended.code == 2
    assert ended.err == f"{tmp_path}/no.toml: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("command", [("check",), ("topics", "create", "--partitions", "3")])
def test_brokers_that_do_not_answer_end_with_1_and_one_line(
    sessionizer: Sessionizer, command: tuple[str, ...]
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody_listens.getsockname()[1]}"
        ended = sessionizer(*command, KAFKA_BOOTSTRAP_SERVERS=address)
    assert ended.code == 1
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith(f"cannot talk to the brokers at {address} as PLAINTEXT (kafka.bootstrap_servers")
    assert "Connect call failed" in line


@pytest.mark.parametrize(
    "command",
    [("check",), ("topics", "create", "--partitions", "3"), ("demo", "--output", "shown")],
    ids=lambda command: command[0],
)
def test_a_refused_login_is_one_line_and_nothing_on_standard_output(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    with speaking_no_tls() as address:
        servers = ("--bootstrap-servers", address) if command[0] == "demo" else ()
        variables = {
            "PYTHONPATH": str(Path.cwd()),
            "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": address,
            "SESSIONIZER_KAFKA_SECURITY_PROTOCOL": "SSL",
        }
        done = subprocess.run(
            [sys.executable, "-m", "worker", *command, *servers],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{address} refuses the login by SSL: it speaks no TLS at this port")


@contextmanager
def speaking_no_tls() -> Iterator[str]:
    """The address of a server that answers every connection in plain text."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1024)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


# --- config show -------------------------------------------------------------------------------------------


def test_config_show_prints_each_value_and_where_it_came_from(
    sessionizer: Sessionizer, tmp_path: Path
) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[session]\ngap_ms = 60000\n", encoding="utf-8")
    ended = sessionizer("config", "show", "--config", str(path), KAFKA_GROUP_ID="eu")
    assert ended.code == 0
    rows = {
        row[0]: row[1:] for line in ended.out.splitlines() if len(row := line.strip("│ ").split("│")) == 3
    }
    shown = {name.strip(): tuple(cell.strip() for cell in cells) for name, cells in rows.items()}
    assert shown["kafka.group_id"] == ('"eu"', "SESSIONIZER_KAFKA_GROUP_ID")
    assert shown["session.gap_ms"][0] == "60000"
    assert str(path).startswith(shown["session.gap_ms"][1])  # a long path goes on in the next line
    assert shown["session.grace_ms"] == ("300000", "default")


def test_config_show_as_toml_can_be_read_back(sessionizer: Sessionizer, tmp_path: Path) -> None:
    ended = sessionizer(
        *("config", "show", "--format", "toml"),
        SESSION_EVENT_TYPES='{"logout": "unlink", "a \\"b\\"": "end"}',
        IDENTITY_BLOCKED_USER_IDS='["[object object]", "\\\\"]',
        STATE_DIRECTORY="zustand/ä",
    )
    assert ended.code == 0
    path = tmp_path / "again.toml"
    path.write_text(ended.out, encoding="utf-8")
    again = load(path, {})
    assert again.session.event_types == {"logout": "unlink", 'a "b"': "end"}
    assert again.identity.blocked_user_ids == ("[object object]", "\\")
    assert again.state.directory == "zustand/ä"


@pytest.mark.parametrize("form", ["table", "toml"])
def test_config_show_never_shows_a_secret(sessionizer: Sessionizer, form: str) -> None:
    ended = sessionizer(
        *("config", "show", "--format", form),
        KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="worker",
        KAFKA_SASL_PASSWORD="hunter2",
    )
    assert ended.code == 0
    assert "hunter2" not in ended.out + ended.err
    assert "***" in ended.out
    if form == "toml":
        assert "sasl_password" not in tomllib.loads(ended.out)["kafka"]
