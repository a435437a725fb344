"""The tables for reading, as the engine is given them with the default rules."""

from tests.vectors.files import Vectors
from worker.core.engine_tables import reading_tables
from worker.model.rules import IdentityRules, InputRules


def tables() -> Vectors:
    """Limits and words in one table; pairs and longer rows in a table each, None as an empty text."""
    made = reading_tables(InputRules(), IdentityRules())
    refusals, aliases, compared = made.pop("refusals"), made.pop("aliases"), made.pop("as_compared")
    assert isinstance(refusals, dict)
    assert isinstance(aliases, dict)
    assert isinstance(compared, list)
    return {
        "reading": [
            {name: value for name, value in made.items() if isinstance(value, bool | int | str | list)}
        ],
        "refusal": [{"rule": rule, "words": words} for rule, words in refusals.items()],
        "alias": [{"field": field, "other": other} for field, other in aliases.items()],
        "compared": [{"code": code, "character": character or ""} for code, character in compared],
    }
