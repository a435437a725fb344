"""The files of options that come with the project are true."""

import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from worker.config import Config, Secret, load
from worker.config.values import OPTIONS, default_of, value_of

CONFIGS = Path(__file__).parents[2] / "config"


# --- the files that come with the project ------------------------------------------------------------------


def test_the_reference_file_has_every_option_with_its_default() -> None:
    tables = tomllib.loads((CONFIGS / "worker.toml").read_text(encoding="utf-8"))
    found = {f"{section}.{name}" for section, table in tables.items() for name in table}
    assert found == set(OPTIONS)
    config = load(CONFIGS / "worker.toml", {})
    assert {key: value_of(config, key) for key in OPTIONS} == {key: default_of(key) for key in OPTIONS}


def test_the_reference_file_says_of_each_option_what_it_is_for() -> None:
    lines = (CONFIGS / "worker.toml").read_text(encoding="utf-8").splitlines()
    explained = False
    for line in lines:
        name = line.partition(" =")[0]
        if any(key.endswith(f".{name}") for key in OPTIONS):
            assert explained, line
        # A blank line or a section ends what a comment explains; options below one another share it.
        explained = line.startswith("#") or (explained and bool(line) and not line.startswith("["))


@pytest.mark.parametrize("name", ["minimal.toml", "local.toml"])
def test_the_other_files_are_valid(name: str) -> None:
    load(CONFIGS / name, {})


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert replace(Config().kafka, sasl_password=Secret("a")) == replace(
        Config().kafka, sasl_password=Secret("a")
    )
    assert Secret("a") != Secret("b")
