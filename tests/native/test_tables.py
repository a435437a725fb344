"""Tables that the native library does not know, or that lack something, are refused when it is made."""

from typing import Any

import pytest

from worker.core.engine_tables import reading_tables
from worker.model.rules import IdentityRules, InputRules
from worker.native.library import native_library


@pytest.fixture
def tables() -> dict[str, Any]:
    return dict(reading_tables(InputRules(), IdentityRules()))


def reader(tables: dict[str, Any]) -> Any:
    library = native_library().module
    assert library is not None
    return library.ValueReader(tables)


@pytest.mark.parametrize("name", ["max_owls", "words_for_owls"])
def test_a_table_or_a_limit_that_is_new_is_refused(tables: dict[str, Any], name: str) -> None:
    tables[name] = 1
    with pytest.raises(ValueError, match="does not know"):
        reader(tables)


@pytest.mark.parametrize("name", ["refusals", "kinds", "aliases"])
def test_a_name_in_a_table_that_is_new_is_refused(tables: dict[str, Any], name: str) -> None:
    some = next(iter(tables[name].values()))
    tables[name] = {**tables[name], "owl": some}
    with pytest.raises(ValueError, match=r"engine knows|unknown"):
        reader(tables)


@pytest.mark.parametrize("name", ["refusals", "kinds"])
def test_a_name_in_a_table_that_is_missing_is_an_error(tables: dict[str, Any], name: str) -> None:
    some = next(iter(tables[name]))
    tables[name] = {key: words for key, words in tables[name].items() if key != some}
    with pytest.raises(ValueError, match=some):
        reader(tables)


@pytest.mark.parametrize("name", sorted(reading_tables(InputRules(), IdentityRules())))
def test_each_table_is_needed(tables: dict[str, Any], name: str) -> None:
    del tables[name]
    with pytest.raises(KeyError):
        reader(tables)


def test_words_for_kinds_have_names_and_no_order(tables: dict[str, Any]) -> None:
    value = b"[1,null,[],{}]"
    before = reader(tables).decode(value)
    tables["kinds"] = dict(reversed(tables["kinds"].items()))
    assert reader(tables).decode(value) == before
