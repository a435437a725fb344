"""The rules of the house as data, and what finds a breach of them in a source text.

A rule is a row of a table; a finding names file and line and the remedy. It reads texts only: it imports no
module of the worker, so that code that cannot be imported is judged as well.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "core": {"model"},
    "ports": {"model"},
    "errors": {"model"},
    "config": {"model"},
    "telemetry": {"model", "core", "ports", "errors", "config"},
    "library_log": {"telemetry"},
    "log_output": {"library_log"},
    "adapters": {"model", "core", "ports", "errors", "config", "telemetry"},
    "task": {"model", "core", "ports", "errors", "config", "telemetry"},
    "watchdog": set(),
    "health": set(),
    "process_limits": set(),
    "signals": {"telemetry"},
    "preflight": {"config", "errors", "health", "process_limits", "telemetry"},
    "assembly": {
        *("model", "core", "ports", "errors", "config", "telemetry", "adapters", "task"),
        "process_limits",
    },
    "app": {
        *("config", "errors", "telemetry", "adapters", "task", "assembly"),
        *("watchdog", "health", "log_output", "process_limits", "preflight", "signals"),
    },
    "processes": {"config", "errors", "telemetry", "health", "log_output", "signals"},
    "replay": {"model", "core", "ports", "errors", "config", "adapters", "task"},
    "demo": {"model", "config", "errors", "telemetry", "app"},
    "cli": {
        *("model", "core", "config", "errors", "telemetry", "adapters", "app", "demo", "replay", "health"),
        *("processes", "log_output", "preflight", "process_limits", "signals"),
    },
    "__main__": {"cli"},
    "__init__": set(),
}
"""Layer -> the other layers it may import. A layer is a module or package directly below ``worker``."""

LIBRARIES: dict[str, set[str]] = {
    "msgspec": {
        "assembly",
        "model",
        "core",
        "ports",
        "config",
        "telemetry",
        "library_log",
        "adapters",
        "task",
        "demo",
        "replay",
        "cli",
    },
    "structlog": {"telemetry", "log_output"},
    "aiokafka": {"adapters", "demo"},
    "confluent_kafka": {"adapters"},
    "rocksdict": {"adapters"},
    "cramjam": {"adapters"},
    "backports": {"adapters"},
    "rich": {"cli", "demo"},
    "typer": {"cli"},
}
"""Library -> the layers that may import it. Whoever uses another one adds it here and to pyproject.toml."""

_TIME = "no clock: take t as an argument"
_CHANCE = "no chance: derive it from the input, as session ids are"
_WAIT = "no waiting: return a value and let the task await"
_IO = "no I/O: take bytes or values as an argument, return writes"
_SPEECH = "no voice: return what happened, the task logs it"

CORE_BANS: dict[str, str] = {
    "time": _TIME,
    "datetime": _TIME,
    "random": _CHANCE,
    "secrets": _CHANCE,
    "uuid": _CHANCE,
    "asyncio": _WAIT,
    "threading": _WAIT,
    "concurrent": _WAIT,
    "logging": _SPEECH,
    "warnings": _SPEECH,
    "os": _IO,
    "io": _IO,
    "pathlib": _IO,
    "socket": _IO,
    "subprocess": _IO,
    "sys": _IO,
    "tempfile": _IO,
}
"""What ``model`` and ``core`` never import, and what to do instead."""

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}
"""No name of a module, package, class or function: it does not say of what."""

MOST_LINES = 400

FOREIGN_PLACES: dict[str, str] = {
    r"(?<![\w.$~-])/(?:work|root|home|Users)/[\w.]": "a path of one machine: make it relative, or an option",
    r"/opt/wh[e]els": "a path of one machine: leave it out",
    r"\b(?:pypi|files\.pythonhosted|repo1?\.maven|repo\.maven\.apache|registry\.npmjs)\.org\b": (
        "a package registry: its client knows it, or is told by the machine's settings"
    ),
}
"""Patterns that no tracked file may contain, with the remedy. None matches its own text."""


def layer_of(path: str) -> str:
    """``worker/core/sessions.py`` -> ``core``; ``worker/app.py`` -> ``app``."""
    return PurePosixPath(path).parts[1].removesuffix(".py")


def breaches(path: str, source: str) -> list[str]:
    """All findings in one Python file of ``worker/``: imports, names and length."""
    tree = ast.parse(source, filename=path)
    found = [*_of_imports(path, tree), *_of_names(path, tree)]
    lines = source.count("\n")
    if lines > MOST_LINES:
        found.append(
            f"{path}: {lines} lines, at most {MOST_LINES}: find the second thing it decides, and part it"
        )
    return found


def foreign_places(path: str, text: str) -> list[str]:
    """Machine paths and registry hosts in one file of any kind."""
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1} names {match.group()!r}: {remedy}"
        for pattern, remedy in FOREIGN_PLACES.items()
        for match in re.finditer(pattern, text)
    ]


def _of_imports(path: str, tree: ast.AST) -> Iterator[str]:
    layer = layer_of(path)
    if layer not in MAY_IMPORT:
        yield f"{path}: worker.{layer} has no layer yet: give it a row in MAY_IMPORT (tests/house.py)"
        return
    for line, module in _imports(path, tree):
        top, _, rest = module.partition(".")
        if top == "worker":
            other = rest.partition(".")[0] or "__init__"
            if other not in MAY_IMPORT[layer] | {layer, "__init__"}:
                allowed = ", ".join(sorted(MAY_IMPORT[layer])) or "none"
                yield (
                    f"{path}:{line} imports {module}: {layer} may import of the worker {allowed}; "
                    "take it as an argument or behind a port"
                )
        elif top in LIBRARIES:
            if layer not in LIBRARIES[top]:
                homes = ", ".join(sorted(LIBRARIES[top]))
                yield f"{path}:{line} imports {top}: only {homes} may; move the code there"
        elif layer in {"model", "core"} and top in CORE_BANS:
            yield f"{path}:{line} imports {top}: the {layer} has {CORE_BANS[top]}"


def _imports(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import, those inside functions too, with absolute names; ``from worker import x`` is worker.x."""
    package = PurePosixPath(path).with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join([*base, module] if module else base)
            if module == "worker":
                for alias in node.names:
                    dunder = alias.name.startswith("__")
                    yield node.lineno, "worker" if dunder else f"worker.{alias.name}"
            else:
                yield node.lineno, module


def _of_names(path: str, tree: ast.AST) -> Iterator[str]:
    for part in PurePosixPath(path).with_suffix("").parts:
        if part in VAGUE_NAMES:
            yield f"{path}: {part!r} says nothing of what is inside: name it after what it decides"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.lower() in VAGUE_NAMES:
            yield f"{path}:{node.lineno} {node.name!r} says nothing: name it after what it does"
