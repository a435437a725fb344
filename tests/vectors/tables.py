"""The tables for reading, as the engine is given them with the default rules."""

from typing import Any

from tests.vectors.files import Vectors
from worker.core.engine_tables import reading_tables
from worker.model.rules import IdentityRules, InputRules


def tables() -> Vectors:
    """Limits and words in one table; pairs and longer rows in a table each, None as an empty text."""
    made: dict[str, Any] = {**reading_tables(InputRules(), IdentityRules())}
    refusals, kinds, aliases = made.pop("refusals"), made.pop("kinds"), made.pop("aliases")
    compared = made.pop("as_compared")
    return {
        "reading": [made],
        "refusal": [{"rule": rule, "words": words} for rule, words in refusals.items()],
        "kind": [{"kind": kind, "words": words} for kind, words in kinds.items()],
        "alias": [{"field": field, "other": other} for field, other in aliases.items()],
        "compared": [
            {"first": first, "last": last, "character": character or ""}
            for first, last, character in compared
        ],
    }
