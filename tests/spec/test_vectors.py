"""The vectors that other implementations of the core are held to say what the readable engine says."""

import pytest

from tests.vectors.files import DIRECTORY, read, written
from tests.vectors.made import MADE


@pytest.mark.parametrize("name", MADE)
def test_the_vectors_are_what_the_readable_engine_says(name: str) -> None:
    made = MADE[name]()
    assert (DIRECTORY / f"{name}.toml").read_text(encoding="utf-8") == written(made), (
        "python -m tests.vectors"
    )


@pytest.mark.parametrize("name", MADE)
def test_a_file_of_vectors_comes_back_as_it_was_made(name: str) -> None:
    def plain(value: object) -> object:
        return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

    made = {rule: [{k: plain(v) for k, v in one.items()} for one in of] for rule, of in MADE[name]().items()}
    assert read(name) == made
