"""Who imports whom, read from source texts: no module is run.

Decides what counts as an import: every one, at the top of a module, inside a function or for type checkers
alone. ``from package import name`` is an import of ``package.name`` where that is a module, else of the
package. Knows no rule about imports (``tests.house``).
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple


class Import(NamedTuple):
    """One imported module or name: ``from a.b import c`` is module ``a.b``, name ``c``."""

    line: int
    module: str
    name: str | None

    @property
    def whole(self) -> str:
        """Dotted, the name included."""
        return f"{self.module}.{self.name}" if self.name else self.module


def module_of(path: str) -> str:
    """``worker/core/sessions.py`` -> ``worker.core.sessions``; a package's ``__init__.py`` is the package."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: str, tree: ast.AST) -> Iterator[Import]:
    """Every import of a file, in absolute names."""
    package = PurePosixPath(path).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, node.module] if node.module else base)
            for alias in node.names:
                yield Import(node.lineno, module, alias.name)


def graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> the modules of ``sources`` (path -> text) that it imports."""
    modules = {module_of(path): path for path in sources}
    edges: dict[str, set[str]] = {}
    for module, path in modules.items():
        found = {
            one.whole if one.whole in modules else one.module
            for one in imports(path, ast.parse(sources[path], filename=path))
        }
        edges[module] = {other for other in found if other in modules and other != module}
    return edges


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """One circle of each group of modules that import each other; the shortest first."""
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(edges):
        circle = _way_back(edges, start)
        if circle and not any(modules.issuperset(circle) for modules in found):
            found[frozenset(circle)] = circle
    return sorted(found.values(), key=len)


def _way_back(edges: Mapping[str, set[str]], start: str) -> list[str]:
    """The shortest way along imports from a module to itself, without its end; empty when there is none."""
    ways = [[start]]
    seen = {start}
    for way in ways:  # grows while it is read: breadth first
        for other in sorted(edges[way[-1]]):
            if other == start:
                return way
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []
