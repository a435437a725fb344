"""When a change of the keys file counts, and what a broken one changes: docs/collect.md, Write keys."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from testing.wait import eventually
from worker.adapters import key_file
from worker.adapters.key_file import KeyFile
from worker.config import Secret
from worker.config.key_entries import MOST_BYTES, WriteKey
from worker.config.options import Collect
from worker.errors import Fatal

SECRET = "wk_0123456789abcdef"


def entry(name: str, *lines: str) -> str:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return "\n".join(["[[keys]]", f'name = "{name}"', f'sha256 = "{sha256}"', *lines, ""])


class Watched:
    """A keys file that is watched, and what was reported of it."""

    def __init__(self, path: Path, keys: str = "") -> None:
        self.path = path
        self.reports: list[list[str] | str] = []
        collect = Collect(keys_file=str(path), keys=Secret(keys))
        self.file = KeyFile(collect, self._loaded, self.reports.append)

    def _loaded(self, keys: Sequence[WriteKey]) -> None:
        self.reports.append([f"{key.name}{' disabled' * key.disabled}" for key in keys])

    async def reported(self, count: int) -> None:
        """Wait for so many reports in all; more are an error."""

        async def enough() -> bool:
            return len(self.reports) >= count

        await eventually(enough, what=f"{count} reports, of {self.reports}")
        assert len(self.reports) == count

    async def reread(self, count: int) -> None:
        self.file.reread()
        await self.reported(count)


def while_watched(watched: Watched, scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        watched.file.load()
        watching = asyncio.create_task(watched.file.watch())
        try:
            await scenario()
        finally:
            assert not watching.done()
            watching.cancel()

    asyncio.run(run())


def test_a_change_is_noticed_by_itself(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "keys.toml")
    watched.path.write_text(entry("a"))

    async def scenario() -> None:
        watched.path.write_text(entry("a", "disabled = true") + entry("b"))
        await watched.reported(2)

    while_watched(watched, scenario)
    assert watched.reports == [["a"], ["a disabled", "b"]]


def test_a_broken_file_is_reported_once_and_the_next_good_one_counts(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "keys.toml")
    watched.path.write_text(entry("a"))

    async def scenario() -> None:
        watched.path.write_text(f"[[keys]]\nname = {SECRET}")
        await watched.reported(2)
        watched.path.unlink()
        await watched.reported(3)
        watched.path.write_text(entry("a"))
        await watched.reported(4)

    while_watched(watched, scenario)
    assert watched.reports == [
        ["a"],
        f"collect.keys_file: {watched.path}: is not TOML: at line 2, column 8",
        f"collect.keys_file: {watched.path}: does not exist: sessionizer collect keys add NAME makes it",
        ["a"],
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "holds no write key"),
        ("x" * (MOST_BYTES + 1), f"is larger than {MOST_BYTES} bytes"),
        (entry("a") + entry("a"), "a: is the name of 2 keys"),
        (entry("option"), "option: is the name of 2 keys"),
        (entry("a", "x = 1", "requests_per_s = 0"), "[[keys]] 1, a: has an unknown field (and 1 more)"),
    ],
)
def test_whatever_is_wrong_is_one_line(tmp_path: Path, content: str, fault: str) -> None:
    watched = Watched(tmp_path / "keys.toml", f"option:{SECRET}")
    watched.path.write_text(entry("a"))

    async def scenario() -> None:
        watched.path.write_text(content)
        await watched.reread(2)

    while_watched(watched, scenario)
    assert watched.reports == [["option", "a"], f"collect.keys_file: {watched.path}: {fault}"]


def test_who_asks_gets_a_report_of_what_has_not_changed(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "keys.toml")
    watched.path.write_text(entry("a"))

    async def scenario() -> None:
        await watched.reread(2)
        watched.path.write_text("broken")
        await watched.reread(3)
        await watched.reread(4)

    while_watched(watched, scenario)
    assert watched.reports[0] == watched.reports[1] == ["a"]
    assert watched.reports[2] == watched.reports[3] != ["a"]


def test_a_file_that_is_being_written_does_not_count_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first half is a right file without the other key, whose requests would be refused for good."""
    half, whole = entry("a").encode(), (entry("a") + entry("b")).encode()
    readings = iter([whole, half, b"", half, whole])
    monkeypatch.setattr(key_file, "content_of", lambda _: next(readings, whole))
    watched = Watched(tmp_path / "keys.toml")

    async def scenario() -> None:
        await watched.reread(2)

    while_watched(watched, scenario)
    assert watched.reports == [["a", "b"], ["a", "b"]]
    assert next(readings, None) is None


def test_a_change_that_is_taken_back_at_once_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, other = entry("a").encode(), entry("b").encode()
    readings = [content, other, content, content, content]
    monkeypatch.setattr(key_file, "content_of", lambda _: readings.pop(0) if readings else content)
    watched = Watched(tmp_path / "keys.toml")

    async def all_read() -> bool:
        return not readings

    async def scenario() -> None:
        await eventually(all_read, what="the next look after it")

    while_watched(watched, scenario)
    assert watched.reports == [["a"]]


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """Kubernetes changes a mounted secret so."""
    watched = Watched(tmp_path / "keys.toml")
    (tmp_path / "one").write_text(entry("a"))
    (tmp_path / "two").write_text(entry("b"))
    watched.path.symlink_to("one")

    async def scenario() -> None:
        (tmp_path / "link").symlink_to("two")
        (tmp_path / "link").rename(watched.path)
        await watched.reported(2)

    while_watched(watched, scenario)
    assert watched.reports == [["a"], ["b"]]


def test_at_the_start_a_broken_file_is_fatal(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "keys.toml")
    with pytest.raises(Fatal, match="does not exist: sessionizer collect keys add NAME makes it"):
        watched.file.load()
    assert watched.reports == []


def test_without_a_file_the_option_counts_and_nothing_is_watched() -> None:
    loaded: list[Sequence[WriteKey]] = []
    for keys in ("", f"option:{SECRET}"):
        file = KeyFile(Collect(keys=Secret(keys)), loaded.append, pytest.fail)
        file.load()
        asyncio.run(file.watch())
    assert [[key.name for key in keys] for keys in loaded] == [[], ["option"]]
