"""A PostgreSQL of the tests' own, on a Unix socket in a directory that goes away with it; and its client.

It decides where the programs are: on the PATH, or where Debian puts them. A server never runs as root, so
where the tests do, it runs as the user that the package has made.
"""

import csv
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.child_process import end_with_parent
from testing.scratch import scratch_directory
from testing.wait import wait_until

NEEDED = ("initdb", "postgres", "psql", "pg_isready")
SUPERUSER = "recipes"


def programs() -> Path | None:
    """The directory of the newest PostgreSQL's programs; None when there is none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: -int(path.parent.name))
    return next((path for path in found if all((path / name).exists() for name in NEEDED)), None)


def described() -> str:
    """One line about it, for the head of a test run."""
    found = programs()
    if found is None:
        return "recipes: no PostgreSQL found, so its recipe is not run (install the package postgresql)"
    version = subprocess.run([found / "postgres", "--version"], capture_output=True, text=True, check=True)
    return f"recipes: {version.stdout.strip()} in {found}"


class Database:
    """One database of a running server."""

    def __init__(self, psql: Path, socket: Path, name: str) -> None:
        self._psql = psql
        self._socket = socket
        self.name = name

    def created(self, name: str) -> "Database":
        """Another, empty one."""
        self.run(f"create database {name}")
        return Database(self._psql, self._socket, name)

    def run(self, script: str) -> None:
        """Run statements."""
        self._client("--command", script)

    def run_file(self, script: Path, *, directory: Path | None = None) -> None:
        """Run a file of statements, as ``psql --file`` does in that directory."""
        self._client("--file", str(script), directory=directory)

    def rows(self, query: str) -> list[dict[str, str]]:
        """What a query answers, as text; null is an empty one."""
        return list(csv.DictReader(self._client("--csv", "--command", query).splitlines()))

    def _client(self, *arguments: str, directory: Path | None = None) -> str:
        command: list[str | Path] = [self._psql, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
        command += ["--host", self._socket, "--username", SUPERUSER, "--dbname", self.name, *arguments]
        ended = subprocess.run(
            command, cwd=directory, env=_environment(), capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@contextmanager
def running_server(found: Path) -> Iterator[Database]:
    """A fresh server of these programs. Its directory has a short name: a socket's has 107 bytes."""
    owner = _owner()
    with scratch_directory("postgresql") as directory:
        if owner is not None:
            os.chown(directory, pwd.getpwnam(owner).pw_uid, -1)
        data = directory / "data"
        initdb: list[str | Path] = [
            found / "initdb",
            "--pgdata",
            data,
            "--username",
            SUPERUSER,
            "--encoding",
            "UTF8",
        ]
        initdb += ["--no-locale", "--auth", "trust", "--no-sync"]
        environment = _environment()
        subprocess.run(initdb, user=owner, cwd=directory, env=environment, check=True, capture_output=True)
        log = (directory / "log").open("wb")
        command: list[str | Path] = [
            found / "postgres",
            "-D",
            data,
            "-k",
            directory,
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
        ]
        with (
            log,
            _ended_in_order(
                subprocess.Popen(
                    command,
                    user=owner,
                    cwd=directory,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the terminal's interrupt is for the tests alone
                    preexec_fn=end_with_parent(),
                )
            ) as process,
        ):
            asking: list[str | Path] = [
                found / "pg_isready",
                "--quiet",
                "--host",
                directory,
                "--dbname",
                "postgres",
            ]

            def answers() -> bool:
                assert process.poll() is None, (directory / "log").read_text()
                return subprocess.run(asking, env=environment, check=False).returncode == 0

            wait_until(answers, what="PostgreSQL answers")
            yield Database(found / "psql", directory, "postgres")


@contextmanager
def _ended_in_order(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """This process's, without what would send a client to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _owner() -> str | None:
    """The user to run it as: None for the one that runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
