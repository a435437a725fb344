"""The rules of the house as data, and what finds a breach of them in source texts.

A rule is a row of a table; a finding names file and line and the remedy. It reads texts only: it imports no
module of the worker, so that code that cannot be imported is checked as well. Invariant: nothing is allowed
that nobody uses (``unused_allowances``).
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from tests.import_graph import Import, circles, graph, imports

TREES: dict[str, set[str]] = {
    "worker": set(),
    "testing": {"worker"},
    "bench": {"worker", "testing"},
    "tests": {"worker", "testing"},
}
"""Tree of packages -> the other trees it may import. What bench and tests share is in ``testing``."""

MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "core": {"model"},
    "ports": {"model"},
    "errors": set(),
    "native": {"model", "core", "errors", "telemetry"},
    "engine": {"model", "core", "errors"},
    "config": {"model"},
    "collect": {"model", "core", "ports", "config"},
    "telemetry": set(),
    "library_log": {"telemetry"},
    "log_output": {"library_log"},
    "adapters": {"model", "core", "ports", "errors", "config", "telemetry", "native"},
    "task": {"model", "core", "engine", "ports", "errors", "telemetry"},
    "lifecycle": {"errors", "telemetry"},
    "watchdog": set(),
    "health": set(),
    "process_limits": set(),
    "signals": {"telemetry"},
    "preflight": {"adapters", "config", "errors", "health", "process_limits", "telemetry"},
    "assembly": {
        *("model", "core", "engine", "ports", "errors", "config", "adapters", "task"),
        *("process_limits", "native"),
    },
    "app": {
        *("config", "errors", "telemetry", "adapters", "task", "assembly", "native"),
        *("lifecycle", "watchdog", "health", "log_output", "process_limits", "preflight", "signals"),
    },
    "collector": {
        *("model", "errors", "config", "telemetry", "adapters", "collect", "lifecycle", "watchdog"),
        *("health", "log_output", "process_limits", "preflight", "signals", "native"),
    },
    "asgi": {"config", "errors", "telemetry", "collector", "log_output"},
    "processes": {"lifecycle", "config", "errors", "telemetry", "health", "signals"},
    "progress": set(),
    "replay": {"model", "core", "engine", "ports", "errors", "config", "adapters", "task"},
    "live": {
        *("model", "config", "telemetry", "adapters", "collect", "collector", "lifecycle", "log_output"),
        "signals",
    },
    "demo": {
        *("model", "config", "errors", "telemetry", "adapters", "app", "collector", "live", "progress"),
        "signals",
    },
    "cli": {
        *("model", "config", "errors", "telemetry", "adapters", "app", "demo", "replay", "health"),
        *(
            "processes",
            "progress",
            "live",
            "collector",
            "log_output",
            "preflight",
            "process_limits",
            "signals",
        ),
    },
    "__main__": {"cli"},
    "__init__": set(),
}
"""Layer -> the other layers it may import. A layer is a module or package directly below ``worker``."""

LIBRARIES: dict[str, set[str]] = {
    "msgspec": {
        *("assembly", "model", "core", "engine", "ports", "config", "telemetry", "library_log", "adapters"),
        *("task", "demo", "replay", "collect", "collector", "live", "native"),
    },
    "sessionizer_native": {"native", "adapters"},
    "httptools": {"adapters"},
    "prometheus_client": {"collector"},
    "uvloop": {"collector"},
    "uvicorn": {"adapters"},
    "structlog": {"telemetry", "log_output"},
    "aiokafka": {"adapters", "demo"},
    "confluent_kafka": {"adapters"},
    "rocksdict": {"adapters"},
    "cramjam": {"adapters"},
    "backports": {"adapters", "collect"},
    "rich": {"cli", "demo", "progress"},
    "starlette": {"live"},
    "typer": {"cli"},
}
"""Library -> the layers that may import it. A new one gets a row here and in pyproject.toml."""

CLIENT_MODULES: set[str] = {"", "abc", "admin", "errors", "helpers", "partitioner", "structs"}
"""Modules of aiokafka that it documents for its users; "" is the package itself."""

CLIENT_BORDER = "worker/adapters/kafka/client_internals/"
"""The one place that may use what a library does not promise: other modules of aiokafka, private names."""

CORE_LIBRARY: set[str] = {
    *(
        "base64",
        "bisect",
        "collections",
        "copy",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "operator",
        "re",
    ),
    *("struct", "typing", "zlib"),
}
"""What ``model``, ``core`` and ``engine`` may import of Python's own library: what only computes."""

_PURE = {"model", "core", "engine"}

_TIME = "no clock: take t as an argument"
_CHANCE = "no chance: derive it from the input, as session ids are"
_WAIT = "no waiting: return a value and let the task await"
_IO = "no I/O: take bytes or values as an argument, return writes"
_LOG = "no log: return what happened, the task logs it"

CORE_REMEDIES: dict[str, str] = {
    **dict.fromkeys(("time", "datetime", "zoneinfo", "calendar"), _TIME),
    **dict.fromkeys(("random", "secrets", "uuid"), _CHANCE),
    **dict.fromkeys(("asyncio", "threading", "concurrent"), _WAIT),
    **dict.fromkeys(("logging", "warnings"), _LOG),
    **dict.fromkeys(("os", "io", "pathlib", "socket", "subprocess", "sys", "tempfile"), _IO),
}
"""What the core must not import most of all, and what to do instead."""

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}
"""No name of a module, package, class or function: it does not say of what."""

NOUNS_IN_ING: dict[str, str] = {
    "closing": "the field's noun: the closing of sessions",
    "session_merging": "the same: the merging of sessions",
    "testing": "the package that tests and benchmark share",
}
"""Modules are named by nouns: what ends in -ing has a row here with its reason."""

MOST_LINES = 400
MOST_FUNCTION_LINES = 70
MOST_PARAMETERS = 6
"""``self`` and ``cls`` are not counted; all else is, keyword-only ones too. Of what pytest calls, tests and
fixtures, nothing is counted: they ask for fixtures by name, and for the values of a table.
"""
MOST_SENTENCE = 160
"""Characters of the first sentence of a public docstring."""

FOREIGN_PLACES: dict[str, str] = {
    r"(?<![\w.$~-])/(?:work|root|home|Users)/[\w.]": "a path of one machine: make it relative, or an option",
    r"/opt/wh[e]els": "a path of one machine: leave it out",
    r"\b(?:pypi|files\.pythonhosted|repo1?\.maven|repo\.maven\.apache|registry\.npmjs)\.org\b": (
        "a package registry: its client knows it, or has it from the machine's settings"
    ),
}
"""Patterns that no tracked file may contain, with the remedy. None matches its own text."""


def layer_of(path: str) -> str:
    """``worker/core/sessions.py`` -> ``core``; ``worker/app.py`` -> ``app``."""
    return PurePosixPath(path).parts[1].removesuffix(".py")


def breaches(path: str, source: str) -> list[str]:
    """All findings in one Python file of one of ``TREES``."""
    tree = ast.parse(source, filename=path)
    found = [
        *_of_trees(path, tree),
        *_of_names(path, tree),
        *_of_sizes(path, source, tree),
        *_of_sentences(path, tree),
    ]
    if path.startswith("worker/"):
        found += _of_layers(path, tree)
        found += _of_client_border(path, tree)
        found += _of_identity(path, tree)
    return found


def import_circles(sources: Mapping[str, str]) -> list[str]:
    """Modules (path -> text) that import each other, however many are between."""
    return [
        f"{' imports '.join([*circle, circle[0]])}: move what both need into a module of its own"
        for circle in circles(graph(sources))
    ]


def unused_allowances(sources: Mapping[str, str]) -> list[str]:
    """Entries of the tables above that no file (path -> text) has a use for."""
    tops: dict[str, set[str]] = {tree: set() for tree in TREES}
    layers: dict[str, set[str]] = {layer: set() for layer in MAY_IMPORT}
    client_modules: set[str | None] = set()
    for path, source in sources.items():
        for one in imports(path, ast.parse(source, filename=path)):
            top = one.module.partition(".")[0]
            tops[PurePosixPath(path).parts[0]].add(top)
            if path.startswith("worker/"):
                layers[layer_of(path)].add(_layer_imported(one) or top)
            client_modules.add(_client_module(one) if path.startswith("worker/") else None)
    core = {top for layer in _PURE for top in layers[layer]}
    modules = {part for path in sources for part in PurePosixPath(path).with_suffix("").parts}
    return [
        *(f"TREES: {tree} imports no {other}" for tree in TREES for other in TREES[tree] - tops[tree]),
        *(
            f"MAY_IMPORT: {of} imports no {other}"
            for of in MAY_IMPORT
            for other in MAY_IMPORT[of] - layers[of]
        ),
        *(
            f"LIBRARIES: {of} imports no {top}"
            for top in LIBRARIES
            for of in LIBRARIES[top]
            if top not in layers[of]
        ),
        *(f"CORE_LIBRARY: the core imports no {name}" for name in CORE_LIBRARY - core),
        *(f"CLIENT_MODULES: nobody imports aiokafka.{name}" for name in CLIENT_MODULES - client_modules),
        *(f"NOUNS_IN_ING: no module is called {name}" for name in NOUNS_IN_ING.keys() - modules),
    ]


def foreign_places(path: str, text: str) -> list[str]:
    """Machine paths and registry hosts in one file of any kind."""
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1} names {match.group()!r}: {remedy}"
        for pattern, remedy in FOREIGN_PLACES.items()
        for match in re.finditer(pattern, text)
    ]


def _of_trees(path: str, tree: ast.AST) -> Iterator[str]:
    own = PurePosixPath(path).parts[0]
    for one in imports(path, tree):
        top = one.module.partition(".")[0]
        if top in TREES and top != own and top not in TREES[own]:
            allowed = ", ".join(sorted(TREES[own])) or "none"
            yield f"{path}:{one.line} imports {one.module}: {own} may import of the other trees {allowed}"


def _of_layers(path: str, tree: ast.AST) -> Iterator[str]:
    layer = layer_of(path)
    if layer not in MAY_IMPORT:
        yield f"{path}: worker.{layer} has no layer yet: give it a row in MAY_IMPORT (tests/house.py)"
        return
    for one in imports(path, tree):
        top = one.module.partition(".")[0]
        if (other := _layer_imported(one)) is not None:
            if other not in MAY_IMPORT[layer] | {layer, "__init__"}:
                allowed = ", ".join(sorted(MAY_IMPORT[layer])) or "none"
                named = one.module if "." in one.module else one.whole
                yield (
                    f"{path}:{one.line} imports {named}: {layer} may import of the worker {allowed}; "
                    "take it as an argument or behind a port"
                )
        elif top in LIBRARIES:
            if layer not in LIBRARIES[top]:
                homes = ", ".join(sorted(LIBRARIES[top]))
                yield f"{path}:{one.line} imports {top}: only {homes} may; move the code there"
        elif layer in _PURE and top not in CORE_LIBRARY:
            remedy = CORE_REMEDIES.get(top, "its list in CORE_LIBRARY (tests/house.py): computing only")
            yield f"{path}:{one.line} imports {top}: the {layer} has {remedy}"


def _of_identity(path: str, tree: ast.AST) -> Iterator[str]:
    """Nothing may depend on which object it is: another engine has others."""
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    for node in asked if layer_of(path) in _PURE else ():
        for kind, other in zip(node.ops, map(ast.unparse, node.comparators), strict=True):
            if isinstance(kind, ast.Is | ast.IsNot) and other not in ("None", "NO_JSON"):
                yield f"{path}:{node.lineno} asks whether it is {other}: compare values or numbers"


def _of_client_border(path: str, tree: ast.AST) -> Iterator[str]:
    if path.startswith(CLIENT_BORDER):
        return
    for one in imports(path, tree):
        if (module := _client_module(one)) is not None and module not in CLIENT_MODULES:
            yield (
                f"{path}:{one.line} imports aiokafka.{module}, which the client does not promise: put what "
                f"it is for into {CLIENT_BORDER}"
            )
    if layer_of(path) != "adapters":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not _is_own(node):
            yield (
                f"{path}:{node.lineno} uses {ast.unparse(node)}, a private name: put what it is for into "
                f"{CLIENT_BORDER}"
            )


def _client_module(one: Import) -> str | None:
    """``from aiokafka.errors import KafkaError`` and ``from aiokafka import errors`` -> ``errors``.

    None for other packages, "" for the names of aiokafka itself.
    """
    names_a_module = one.name is not None and one.name.islower()
    top, _, rest = (one.whole if names_a_module else one.module).partition(".")
    return rest.partition(".")[0] if top == "aiokafka" else None


def _is_own(attribute: ast.Attribute) -> bool:
    """Whether a private name is one of the class itself, or a dunder that Python defines."""
    of = attribute.value
    is_own = isinstance(of, ast.Name) and of.id in ("self", "cls")
    return is_own or (attribute.attr.startswith("__") and attribute.attr.endswith("__"))


def _layer_imported(one: Import) -> str | None:
    """``from worker import ports`` and ``import worker.ports`` -> ``ports``; None for other packages."""
    top, _, rest = one.whole.partition(".")
    if top != "worker":
        return None
    other = rest.partition(".")[0]
    return "__init__" if other.startswith("__") or not other else other


def _of_names(path: str, tree: ast.AST) -> Iterator[str]:
    *packages, module = PurePosixPath(path).with_suffix("").parts
    for part in (*packages, module):
        if part in VAGUE_NAMES:
            yield f"{path}: {part!r} says nothing of what is inside: name it after what it decides"
    if module.endswith("ing") and module.removeprefix("test_") not in NOUNS_IN_ING:
        yield f"{path}: {module!r} is a participle: name it by a noun, or give it a row in NOUNS_IN_ING"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | Function) and node.name.lower() in VAGUE_NAMES:
            yield f"{path}:{node.lineno} {node.name!r} says nothing: name it after what it does"


def _of_sizes(path: str, source: str, tree: ast.AST) -> Iterator[str]:
    lines = source.count("\n")
    if lines > MOST_LINES:
        yield f"{path}: {lines} lines, at most {MOST_LINES}: find the second thing it decides, and part it"
    for name, function in _functions(tree):
        at = f"{path}:{function.lineno} {name}"
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        if lines > MOST_FUNCTION_LINES:
            yield f"{at}: {lines} lines, at most {MOST_FUNCTION_LINES}: take a step of it out and name it"
        if (count := _parameters(function)) > MOST_PARAMETERS and not _is_called_by_pytest(path, function):
            yield f"{at}: {count} parameters, at most {MOST_PARAMETERS}: make a type of some of them"


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(tree: ast.AST, within: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its name, that of its class in front of it."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, ast.ClassDef | Function)
        name = f"{within}.{node.name}".lstrip(".") if isinstance(node, ast.ClassDef | Function) else within
        if isinstance(node, Function):
            yield name, node
        yield from _functions(node, name if named else within)


def _parameters(function: Function) -> int:
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"])) + bool(given.vararg) + bool(given.kwarg)


def _is_called_by_pytest(path: str, function: Function) -> bool:
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    is_test = function.name.startswith("test_") and PurePosixPath(path).name.startswith("test_")
    return is_test or any(name.startswith("pytest.fixture") for name in decorators)


def _of_sentences(path: str, tree: ast.Module) -> Iterator[str]:
    documented: list[tuple[int, ast.Module | ast.ClassDef | Function]] = [(1, tree)]
    documented += [
        (node.lineno, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_")
    ]
    for line, node in documented:
        text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
        sentence = re.split(r"(?<=[.!?]) ", text, maxsplit=1)[0]
        if len(sentence) > MOST_SENTENCE:
            yield (
                f"{path}:{line} has a first sentence of {len(sentence)} characters, at most {MOST_SENTENCE}: "
                "say first, and shortly, what it is"
            )
