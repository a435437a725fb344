"""Reads a TOML file and the environment into a checked ``Config``, or reports all faults at once.

Decides which value of an option wins (environment, then file, then default) and how a fault reads: ``place:
option = value: what is allowed``, one line each. Knows no single option. The invariant: no line holds a
secret; an unknown name may be a misspelt secret, so its value is not shown either.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from worker.config.checks import faults
from worker.config.options import SECTIONS, Config, Secret
from worker.config.plausibility import implausible
from worker.config.values import OPTIONS, convert, from_text, is_secret, show, value_of
from worker.model.topics import TOPICS

PREFIX = "SESSIONIZER_"
_of_kubernetes = re.compile(
    r"(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?=|PORT=\w+://).*", re.DOTALL
).fullmatch
"""Variables, without the prefix, that Kubernetes sets in every pod where a Service's name begins with
sessionizer.
"""

TEST_PREFIX = "SESSIONIZER_TEST_"
"""Variables of the project's own tests, which are no options."""

VARIABLES: dict[str, str] = {PREFIX + key.replace(".", "_").upper(): key for key in OPTIONS}
SECRET_FILES: dict[str, str] = {
    file: name
    for name, key in VARIABLES.items()
    if is_secret(key)
    and (file := f"{name}_FILE") not in VARIABLES  # collect.keys_file, which takes both forms
}


class ConfigError(Exception):
    """The configuration cannot be used. ``lines`` has one line for each fault. Exit code 2."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def load(
    path: Path | None, environ: Mapping[str, str], *, connects: bool = True, collects: bool = False
) -> Config:
    """The configuration: the environment's values, then those of the file at ``path`` (if any), then
    defaults.

    Raises ``ConfigError`` with every fault of both. Without ``connects`` nothing is read or checked that only
    a connection to brokers needs; ``collects`` adds what only the collector needs, its keys and certificate.
    Source: docs/operations.md, Set up.
    """
    reading = _Reading(connects=connects)
    if path is not None:
        reading.file(path)
    reading.environment(environ)
    return reading.result(collects=collects)


def topic_variables(prefix: str) -> dict[str, str]:
    """The variables that give the raw topic and every output a name with this prefix."""
    return {
        f"{PREFIX}TOPICS_{role.upper()}": f"{prefix}{spec.slug}"
        for role, spec in TOPICS.items()
        if spec.kind != "internal"
    }


def warnings(config: Config, machine_mb: int | None, processes: int = 1) -> list[str]:
    """What is allowed and looks like a mistake (``plausibility``), one line each, as faults read."""
    return [
        _line(config.sources, keys[0], value_of(config, keys[0]), reason)
        for keys, reason in implausible(config, machine_mb, processes)
    ]


class _Reading:
    """What was read so far: values, where they came from, and faults."""

    def __init__(self, *, connects: bool) -> None:
        self._connects = connects
        self.values: dict[str, object] = {}
        self.sources: dict[str, str] = {}
        self.faulty: set[str] = set()
        self.lines: list[str] = []

    def file(self, path: Path) -> None:
        try:
            tables = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            self.lines.append(f"{path}: cannot be read: {error.strerror}")
            return
        except UnicodeDecodeError:
            self.lines.append(f"{path}: is not UTF-8 text")
            return
        except tomllib.TOMLDecodeError as error:
            self.lines.append(f"{path}: is not TOML: {error}")
            return
        for section, table in tables.items():
            if section not in SECTIONS:
                hint = _did_you_mean(_near(section, SECTIONS)) or f": expected one of {', '.join(SECTIONS)}"
                self.lines.append(f"{path}: unknown section [{section}]{hint}")
            elif not isinstance(table, dict):
                self.lines.append(
                    f"{path}: {section}: expected a section, [{section}], with options below it"
                )
            else:
                for name, value in table.items():
                    self._file_option(path, f"{section}.{name}", value)

    def _file_option(self, path: Path, key: str, value: object) -> None:
        if key in OPTIONS:
            self._set(key, value, source=str(path))
        else:
            self.lines.append(f"{path}: unknown option {key}{_did_you_mean(_near_option(key))}")

    def environment(self, environ: Mapping[str, str]) -> None:
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable.startswith(TEST_PREFIX):
                continue
            if variable in VARIABLES:
                key = VARIABLES[variable]
                self._set(key, from_text(key, environ[variable]), source=variable)
            elif _of_kubernetes(f"{variable.removeprefix(PREFIX)}={environ[variable]}"):
                continue
            elif variable not in SECRET_FILES:
                hint = _did_you_mean(_near_variable(variable))
                self.lines.append(f"{variable}: unknown variable{hint}")
            elif SECRET_FILES[variable] in environ:
                self.lines.append(f"{variable}: {SECRET_FILES[variable]} is set too: keep one of them")
            else:
                self._secret_file(variable, Path(environ[variable]))

    def _secret_file(self, variable: str, path: Path) -> None:
        key = VARIABLES[SECRET_FILES[variable]]
        if not self._connects:  # all secrets are for connecting
            return
        try:
            secret = Secret.read(path)
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            problem = "is not UTF-8 text"
        else:
            self._set(key, secret.reveal(), source=variable)
            self.values[key] = secret  # with its file, which is read again at each login
            return
        self.faulty.add(key)
        self.lines.append(f"{variable} = {show(str(path))}: {problem}")

    def _set(self, key: str, value: object, *, source: str) -> None:
        """Set an option, in place of an earlier value, or note why the value is wrong."""
        self.sources[key] = source
        self.faulty.discard(key)
        try:
            self.values[key] = convert(key, value)
        except ValueError as expected:
            self.faulty.add(key)
            self._fault(key, Secret("any") if is_secret(key) else value, str(expected))

    def result(self, *, collects: bool) -> Config:
        """The configuration. Raises ``ConfigError`` where anything is wrong."""
        config = self._config()
        for keys, reason in faults(config, connects=self._connects, collects=collects):
            if self.faulty.isdisjoint(keys):
                others = [f"{key} = {show(value_of(config, key))}{self._set_by(key)}" for key in keys]
                self._fault(keys[0], value_of(config, keys[0]), reason.format(*others))
        if self.lines:
            raise ConfigError(self.lines)
        return config

    def _config(self) -> Config:
        """What was read, with defaults in place of wrong values, so that the rest can be checked."""
        sections: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
        for key, value in self.values.items():
            if key not in self.faulty:
                section, name = key.split(".")
                sections[section][name] = value
        structs: dict[str, Any] = {
            section: SECTIONS[section](**values) for section, values in sections.items()
        }
        return Config(**structs, sources=dict(self.sources))

    def _set_by(self, key: str) -> str:
        return f" ({self.sources[key]})" if key in self.sources else ""

    def _fault(self, key: str, value: object, reason: str) -> None:
        self.lines.append(_line(self.sources, key, value, reason))


def _line(sources: Mapping[str, str], key: str, value: object, reason: str) -> str:
    source = sources.get(key, "default")
    place = source if source in VARIABLES or source in SECRET_FILES else f"{source}: {key}"
    return f"{place} = {show(value)}: {reason}"


def _near(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)), None)


def _near_option(key: str) -> str | None:
    """The same name in another section, or else a similar one."""
    name = key.partition(".")[2]
    elsewhere = (option for option in OPTIONS if option.endswith(f".{name}"))
    return next(elsewhere, None) or _near(key, OPTIONS)


def _near_variable(variable: str) -> str | None:
    """A similar variable. The common prefix is not compared: it would make all of them similar."""
    rests = [name.removeprefix(PREFIX) for name in (*VARIABLES, *SECRET_FILES)]
    near = _near(variable.removeprefix(PREFIX), rests)
    return near and PREFIX + near


def _did_you_mean(near: str | None) -> str:
    return f": did you mean {near}?" if near else ""
