"""The examples of docs/collect.md, each run as it stands there, against a collector on a real broker.

Address and write key are replaced, nothing else. An example (curl, Python, Java, Go) is right when the raw
topic has its events. A test fails where an example is neither run, here or in a browser, nor listed.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from testing.child_process import end_with_parent
from tests.conftest import Kafka
from tests.integration.collect_place import KEY, CollectPlace, collecting
from worker.config import key_entries
from worker.model.events import Event

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "collect.md").read_text()
README = (ROOT / "README.md").read_text()
ADDRESS, PAGE_KEY = "http://127.0.0.1:8080", "wk_example"
SDK_PATH = "/v1/batch"

COMMANDS = {
    "curl": ("example.sh", ["bash", "-eu", "example.sh"]),
    "python": ("example.py", [sys.executable, "example.py"]),
    "java": ("Send.java", ["java", "Send.java"]),
    "go": ("example.go", ["go", "run", "example.go"]),
}
"""What runs an example -> the file it is written to, and the command."""

IN_A_BROWSER = {"fetch", "beacon"}
"""What tests/browser/test_collect_examples.py runs."""

NOT_RUN = {
    "sessionizer topics create": "test_documented_commands.py runs the same commands of README.md",
    "sessionizer collect keys": "the test of the commands of write keys, below",
    "export SESSIONIZER_LIVE_WRITE_KEY": "its key is made below; the page has tests of its own, in a browser",
    "<script src": "the snippet has tests of its own, in a browser",
    "sz.track(": "the same",
}
"""How a block begins -> why it is not run here."""


@dataclass(frozen=True)
class Example:
    """A block of the page, what runs it, and the answer that the page shows below it, if it does."""

    runs_in: str
    code: str
    answer: str | None

    @property
    def name(self) -> str:
        first = next(line for line in self.code.splitlines() if re.search(r"\w", line))
        return f"{self.runs_in}: {first[:40]}"


EXAMPLES = [
    Example(runs_in, code, answer or None)
    for runs_in, code, answer in re.findall(
        r"^<!-- run: (\w+) -->\n```\w+\n(.*?)^```\n(?:\n```json\n(.*?)^```\n)?",
        PAGE,
        re.MULTILINE | re.DOTALL,
    )
]
IN_A_SHELL = [example for example in EXAMPLES if example.runs_in in COMMANDS]


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectPlace]:
    directory = tmp_path_factory.mktemp("collect-examples")
    with collecting(kafka.bootstrap_servers, directory, {"COLLECT_PATHS": SDK_PATH}) as place:
        yield place


def here(code: str, place: CollectPlace) -> str:
    """The example with the collector's address, and a key that it knows."""
    return code.replace(ADDRESS, place.collector.url).replace(PAGE_KEY, KEY)


def run(example: Example, code: str, directory: Path) -> str:
    """Run the example's code there; it must succeed. What it printed."""
    file, command = COMMANDS[example.runs_in]
    (directory / file).write_text(code)
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=240, preexec_fn=end_with_parent()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_time(answer: str) -> str:
    return re.sub(r'("received_at":)\d+', r"\1...", answer.strip())


def test_the_first_example_arrives_whole_in_both_spellings(place: CollectPlace, tmp_path: Path) -> None:
    before = len(place.records())
    run(EXAMPLES[0], here(EXAMPLES[0].code, place), tmp_path)
    assert len(place.records()) == before + 1
    found = [fields_of(event) for event in place.events()[-2:]]
    assert found == [
        (
            *("e1", "page_view", "phone-1", 1_764_453_600_000, "ada", "s1", "v1"),
            '{"url": "/", "referrer": null}',
        ),
        (
            *("e2", "add_to_cart", "phone-1", 1_764_453_601_000, "ada", "s1", "v2"),
            '{"sku": "K-12", "price": 9.5, "gift": true}',
        ),
    ]


def fields_of(event: Event) -> tuple[object, ...]:
    """Every documented field."""
    ids = (event.id, event.type, event.device_id, event.timestamp)
    return (*ids, event.user_id, event.session_id, event.view_id, bytes(event.data).decode())


def test_all_documents_begin_with_the_same_example() -> None:
    commands = re.findall(r"^curl .*?^\]'$", README + PAGE, re.MULTILINE | re.DOTALL)
    assert commands[0] == commands[1]
    sent = json.loads(commands[0].partition("-d '")[2].rstrip("'"))
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    content = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    described = content["examples"]["two_spellings"]["value"]
    assert described == sent


@pytest.mark.parametrize("example", IN_A_SHELL, ids=lambda example: example.name)
def test_an_example_stores_its_events(example: Example, place: CollectPlace, tmp_path: Path) -> None:
    before = len(place.events())
    printed = run(example, here(example.code, place), tmp_path)
    stored = len(place.events()) - before
    if example.answer is not None:
        assert without_time(printed) == without_time(example.answer)
        assert json.loads(printed)["accepted"] == stored
    elif (image := tmp_path / "pixel.gif").exists():
        assert image.read_bytes().startswith(b"GIF89a")
        assert len(image.read_bytes()) == 43
        assert stored == 1
    else:
        assert re.search(r"""accepted['"]: ?1\b""", printed), printed
        assert stored == 1


def printed_by(commands: str, directory: Path) -> str:
    """What the commands of a shell print, run in that directory."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_live_page_gets_the_key_that_its_command_makes(tmp_path: Path) -> None:
    (command,) = re.findall(r"^(export SESSIONIZER_LIVE_WRITE_KEY=.*)\nsessionizer live$", PAGE, re.MULTILINE)
    key = printed_by(f'{command}\nprintf "%s" "$SESSIONIZER_LIVE_WRITE_KEY"', tmp_path)
    (written,) = key_entries.read(tmp_path / "keys.toml").keys
    assert (written.sha256, written.origins) == (
        key_entries.digest_of(key.encode()),
        ("http://127.0.0.1:8700",),
    )


def test_the_commands_of_write_keys_make_a_file_as_the_page_shows_it(tmp_path: Path) -> None:
    (commands,) = re.findall(r"^```sh\n(sessionizer collect keys .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    printed = printed_by(commands, tmp_path)
    assert len(re.findall(r"^wk_\S+$", printed, re.MULTILINE)) == 2
    shop, backend = key_entries.read(tmp_path / "keys.toml").keys
    assert (shop.name, shop.origins, shop.requests_per_s) == ("shop", ("https://shop.example",), 200)
    assert (backend.name, backend.origins) == ("backend", ())
    (written,), faults = key_entries.from_file(shown.encode())
    assert not faults
    assert (written.name, written.requests_per_s) == (shop.name, shop.requests_per_s)


def test_every_example_is_run_or_is_listed_with_the_reason() -> None:
    blocks = re.findall(r"^```(sh|js|python|java|go|html)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    run_here = {example.code for example in EXAMPLES}
    unknown = [code for _, code in blocks if code not in run_here and not code.startswith(tuple(NOT_RUN))]
    assert not unknown
    assert {example.runs_in for example in EXAMPLES} == {*COMMANDS, *IN_A_BROWSER}


@contextmanager
def listening(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server that runs as long as the block."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class BusyOnce(http.server.BaseHTTPRequestHandler):
    """Answers the first request 503, with the time to wait, and later ones 200."""

    protocol_version = "HTTP/1.1"
    received: list[bytes]

    def do_POST(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = (
            (503, b'{"error":"unavailable"}') if len(self.received) == 1 else (200, b'{"accepted":1}')
        )
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the library's own name
        pass


@pytest.mark.parametrize("client", ["python", "java", "go"])
def test_a_client_sends_the_same_again_where_it_is_asked_to(client: str, tmp_path: Path) -> None:
    (example,) = [example for example in EXAMPLES if example.runs_in == client]
    bodies: list[bytes] = []

    class Handler(BusyOnce):
        received = bodies

    with listening(Handler) as address:
        printed = run(example, example.code.replace(ADDRESS, address), tmp_path)
    assert "200" in printed
    first, second = bodies
    assert first == second
