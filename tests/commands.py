"""The command line inside the test's process: arguments and variables in, exit code and texts out."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from worker.cli.main import main


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Sessionizer = Callable[..., Ended]


def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sessionizer:
    """Runs a command as the console script does, with only the given SESSIONIZER_ variables."""
    for variable in [name for name in os.environ if name.startswith("SESSIONIZER_")]:
        monkeypatch.delenv(variable)

    def run(*arguments: object, **variables: str) -> Ended:
        for name, value in variables.items():
            monkeypatch.setenv(f"SESSIONIZER_{name}", value)
        monkeypatch.setattr(sys, "argv", ["sessionizer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, *capsys.readouterr())

    return run
