"""``sessionizer collect keys``, on a real file: docs/collect.md, Write keys."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.commands import Sessionizer
from worker.adapters.key_file_edit import add_key
from worker.collect.write_keys import WriteKeys
from worker.config.key_entries import WriteKey, digest_of, from_file

KEYS = ("collect", "keys")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def keys_in(path: Path) -> tuple[WriteKey, ...]:
    entries = from_file(path.read_bytes())
    assert entries.faults == ()
    return entries.keys


# --- add ---------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_its_hash_is_kept(sessionizer: Sessionizer, path: Path) -> None:
    ended = sessionizer(*KEYS, "add", "shop", "--file", path)
    assert ended.code == 0
    key = ended.out.removesuffix("\n")
    assert re.fullmatch(r"wk_[A-Za-z0-9_-]{32}", key)
    assert ended.err == f"added shop to {path}. This is the only time that the key is shown.\n"
    assert key not in path.read_text()
    found = WriteKeys(keys_in(path)).find(key.encode())
    assert found == WriteKey(name="shop", sha256=digest_of(key.encode()))


def test_origins_and_rates_are_those_of_the_entry(sessionizer: Sessionizer, path: Path) -> None:
    origins = ("--origin", "https://Shop.example:443", "--origin", "http://localhost:3000")
    rates = ("--rate", "requests=10", "--rate", "bytes=2000000", "--rate", "events=300")
    assert sessionizer(*KEYS, "add", "shop", *origins, *rates, "--file", path).code == 0
    (key,) = keys_in(path)
    assert key.origins == ("https://shop.example", "http://localhost:3000")
    assert (key.requests_per_s, key.events_per_s, key.bytes_per_s) == (10, 300, 2_000_000)


def test_each_key_is_another_one(sessionizer: Sessionizer, path: Path) -> None:
    shown = {sessionizer(*KEYS, "add", f"shop-{n}", "--file", path).out for n in range(5)}
    assert len(shown) == 5
    assert [key.name for key in keys_in(path)] == [f"shop-{n}" for n in range(5)]


def test_the_configured_file_is_used(sessionizer: Sessionizer, path: Path, tmp_path: Path) -> None:
    config = tmp_path / "worker.toml"
    config.write_text(f'[collect]\nkeys_file = "{path}"\n')
    assert sessionizer(*KEYS, "add", "shop", "--config", config).code == 0
    assert sessionizer(*KEYS, "add", "other", COLLECT_KEYS_FILE=str(path)).code == 0
    assert [key.name for key in keys_in(path)] == ["shop", "other"]


def test_without_a_file_to_write_to_nothing_is_made(sessionizer: Sessionizer) -> None:
    ended = sessionizer(*KEYS, "add", "shop")
    assert ended.code == 2
    assert "--file: is needed where collect.keys_file is not set" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a b",), "expected a name"),
        (("wk_0123456789abcdef",), "expected a name"),
        (("anonymous",), "expected a name"),
        (("shop", "--origin", "shop.example"), "expected origins such as"),
        (("shop", "--origin", "https://shop.example/path"), "expected origins such as"),
        (("shop", "--rate", "10"), "expected requests=N, events=N or bytes=N"),
        (("shop", "--rate", "events=0"), "expected requests=N"),
        (("shop", "--rate", "events=1.5"), "expected requests=N"),
    ],
)
def test_wrong_arguments_change_nothing(
    sessionizer: Sessionizer, path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    ended = sessionizer(*KEYS, "add", *arguments, "--file", path)
    assert ended.code == 2
    assert expected in " ".join(ended.err.replace("│", " ").split())
    assert not path.exists()


def test_a_name_is_given_once(sessionizer: Sessionizer, path: Path) -> None:
    sessionizer(*KEYS, "add", "shop", "--file", path)
    before = path.read_bytes()
    ended = sessionizer(*KEYS, "add", "shop", "--file", path)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"{path}: has a key named shop already: choose another name for the new one\n"
    ended = sessionizer(*KEYS, "add", "server", "--file", path, COLLECT_KEYS="server:wk_0123456789abcdef")
    assert ended.err == "collect.keys: has a key named server already: choose another name for the new one\n"
    assert path.read_bytes() == before


# --- the file ----------------------------------------------------------------------------------------------


WRITTEN_BY_HAND = """\
# of the web team
[[keys]]  # the shop
name = "shop"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
disabled = false # until May

[[ keys ]]
name = "disabled = false"
origins = [
  "https://shop.example",  # the new one
]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
""".replace('"disabled = false"', '"app"')


def test_comments_and_order_stay(sessionizer: Sessionizer, path: Path) -> None:
    path.write_text(WRITTEN_BY_HAND)
    sessionizer(*KEYS, "add", "new", "--file", path)
    sessionizer(*KEYS, "disable", "shop", "--file", path)
    sessionizer(*KEYS, "disable", "app", "--file", path)
    text = path.read_text()
    assert text.startswith(
        WRITTEN_BY_HAND.replace("disabled = false", "disabled = true").replace(
            "[[ keys ]]", "[[ keys ]]\ndisabled = true"
        )
    )
    assert [(key.name, key.disabled) for key in keys_in(path)] == [
        ("shop", True),
        ("app", True),
        ("new", False),
    ]


def test_a_new_file_is_its_users_alone_and_an_old_one_keeps_its_rights(
    sessionizer: Sessionizer, path: Path
) -> None:
    sessionizer(*KEYS, "add", "shop", "--file", path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    sessionizer(*KEYS, "disable", "shop", "--file", path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(sessionizer: Sessionizer, path: Path, tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("")
    path.symlink_to("real.toml")
    sessionizer(*KEYS, "add", "shop", "--file", path)
    assert path.is_symlink()
    assert [key.name for key in keys_in(tmp_path / "real.toml")] == ["shop"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("keys = []\n", "is not written as [[keys]] entries"),
        ("shop:wk_0123456789abcdef\n", "holds name:key pairs"),
        ("[[keys]]\nname = 1\n", "expected a name"),
        ("[[keys]\n", "is not TOML: at line 1, column 7: correct it first"),
        ("\x00", "is not TOML"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(
    sessionizer: Sessionizer, path: Path, content: str, expected: str
) -> None:
    path.write_text(content)
    ended = sessionizer(*KEYS, "add", "shop", "--file", path)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{path}: ")
    assert expected in ended.err
    assert path.read_text() == content


def test_entries_in_another_form_are_changed_by_hand(sessionizer: Sessionizer, path: Path) -> None:
    path.write_text(f'keys = [{{ name = "shop", sha256 = "{"0" * 64}" }}]\n')
    ended = sessionizer(*KEYS, "disable", "shop", "--file", path)
    assert ended.code == 1
    assert ended.err.endswith("is not written as [[keys]] entries, so that this must be done by hand\n")


def test_a_text_that_looks_like_an_entry_is_none(sessionizer: Sessionizer, path: Path) -> None:
    text = (
        f'[[keys]]\nname = "a"\nsha256 = """\\\n{"0" * 64}"""\n[[keys]]\nname = "b"\nsha256 = "{"1" * 64}"\n'
    )
    path.write_text(text)
    assert sessionizer(*KEYS, "disable", "b", "--file", path).code == 0
    assert [key.disabled for key in keys_in(path)] == [False, True]


def test_a_directory_that_is_not_there_is_one_line(sessionizer: Sessionizer, tmp_path: Path) -> None:
    ended = sessionizer(*KEYS, "add", "shop", "--file", tmp_path / "none" / "keys.toml")
    assert (ended.code, ended.out, ended.err) == (
        1,
        "",
        f"{tmp_path}/none: No such file or directory\n",
    )


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_key(path, WriteKey(name="old", sha256=b"0" * 32))
    before = path.read_bytes()

    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space left"):
        add_key(path, WriteKey(name="new", sha256=b"1" * 32))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_commands_at_once_lose_no_key(path: Path) -> None:
    command = [sys.executable, "-m", "worker", *KEYS, "add"]
    running = [
        subprocess.Popen([*command, f"key-{n}", "--file", path], stdout=subprocess.PIPE, text=True)
        for n in range(6)
    ]
    shown = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0] * 6
    known = WriteKeys(keys_in(path))
    assert {key.name for text in shown if (key := known.find(text.encode()))} == {
        f"key-{n}" for n in range(6)
    }


# --- disable and list --------------------------------------------------------------------------------------


def test_a_disabled_key_stays_in_the_file_and_is_refused(sessionizer: Sessionizer, path: Path) -> None:
    key = sessionizer(*KEYS, "add", "shop", "--file", path).out.strip()
    ended = sessionizer(*KEYS, "disable", "shop", "--file", path)
    assert (ended.code, ended.out) == (0, f"disabled shop in {path}\n")
    assert WriteKeys(keys_in(path)).find(key.encode()) is None
    ended = sessionizer(*KEYS, "disable", "shop", "--file", path)
    assert (ended.code, ended.out) == (0, f"shop in {path} was disabled already\n")


def test_a_key_that_is_not_there_is_named_with_those_that_are(sessionizer: Sessionizer, path: Path) -> None:
    sessionizer(*KEYS, "add", "shop", "--file", path)
    ended = sessionizer(*KEYS, "disable", "shpo", "--file", path)
    assert (ended.code, ended.err) == (1, f"{path}: has no key of that name; there are: shop\n")


def test_the_list_has_everything_but_keys(sessionizer: Sessionizer, path: Path) -> None:
    shown = [
        sessionizer(*KEYS, "add", "shop", "--origin", "https://shop.example", "--file", path).out.strip(),
        sessionizer(*KEYS, "add", "server", "--rate", "events=300", "--file", path).out.strip(),
    ]
    sessionizer(*KEYS, "disable", "shop", "--file", path)
    ended = sessionizer(
        *KEYS, "list", "--file", path, COLLECT_KEYS="robot:wk_option-0123456789", COLLECT_ANONYMOUS="true"
    )
    assert ended.code == 0
    lines = [" ".join(re.sub("[^!-~]", " ", line).split()) for line in ended.out.splitlines()]
    for expected in (
        "shop disabled https://shop.example no limit",
        "server enabled servers 300 events",
        "robot enabled servers no limit collect.keys",
    ):
        assert any(line.startswith(expected) for line in lines), expected
    for secret in (*shown, "option", *(key.sha256.hex() for key in keys_in(path))):
        assert secret not in ended.out + ended.err


def test_a_file_of_pairs_is_listed_too(sessionizer: Sessionizer, path: Path) -> None:
    path.write_text("shop:wk_0123456789abcdef\n")
    ended = sessionizer(*KEYS, "list", "--file", path)
    assert ended.code == 0
    assert "shop" in ended.out
    assert "wk_" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "does not exist: sessionizer collect keys add NAME makes it"),
        ("", "holds no write key"),
        ("\x00", "is not TOML"),
    ],
)
def test_a_list_of_nothing_says_why(
    sessionizer: Sessionizer, path: Path, content: str | None, fault: str
) -> None:
    if content is not None:
        path.write_text(content)
    ended = sessionizer(*KEYS, "list", "--file", path)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{path}: {fault}")


def test_the_written_file_is_toml_for_people(sessionizer: Sessionizer, path: Path) -> None:
    sessionizer(*KEYS, "add", "shop", "--origin", "https://shop.example", "--file", path)
    (entry,) = tomllib.loads(path.read_text())["keys"]
    assert list(entry) == ["name", "sha256", "origins"]
    assert path.read_text().startswith("# The write keys of `sessionizer collect`")


# --- the page ----------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "collect.md"


def blocks(language: str) -> list[str]:
    section = PAGE.read_text().partition("### Write keys")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_commands_of_the_page_work(
    sessionizer: Sessionizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks("sh")
    for command in commands.splitlines():
        program, *arguments = command.split()
        assert program == "sessionizer"
        assert sessionizer(*arguments).code == 0
    assert [key.name for key in keys_in(tmp_path / "keys.toml")] == ["shop", "backend"]


def test_the_file_of_the_page_is_right() -> None:
    (text,) = blocks("toml")
    (key,) = from_file(text.encode()).keys
    assert key.sha256 == digest_of(b"wk_example")
