"""What an engine is given in its constructor: plain values, every word once, nothing that no rule uses."""

import ast
import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from msgspec import json

from testing.golden import golden_cases, input_bytes
from worker.core.characters import AS_COMPARED
from worker.core.decode import Decoder
from worker.core.engine_tables import engine_tables, reading_tables
from worker.core.refusals import REFUSALS, refuse
from worker.model.events import DecodedValue, Reason
from worker.model.outputs import CloseReason, Flag, SessionCause
from worker.model.rules import IdentityRules, InputRules, Rules, SessionRules

CORE = Path(__file__).parents[2] / "worker" / "core"
TABLES = engine_tables(Rules())
PLACES: dict[str, str | int] = {
    "field": "id",
    "other": "event_id",
    "got": "null",
    "size": 7,
    "most": 3,
    "shown": "1.5",
    "all": "ab",
}


def test_tables_are_plain_values() -> None:
    """What comes back the same from JSON holds no tuple, no set and no object of the worker's."""
    assert json.decode(json.encode(TABLES)) == TABLES


def test_the_same_rules_give_the_same_tables_in_the_same_order() -> None:
    assert list(TABLES) == list(engine_tables(Rules()))
    assert json.encode(engine_tables(Rules())) == json.encode(TABLES)


def test_options_are_in_the_tables() -> None:
    rules = Rules(
        input=InputRules(max_depth=3, duplicates="flag", duplicates_ms=5),
        session=SessionRules(gap_ms=7, event_types={"logout": "unlink"}),
        identity=IdentityRules(blocked_user_ids=(" Nobody ",), blocked_forms=False),
        retention_ms=11,
    )
    tables = engine_tables(rules)
    for name, value in {
        "max_depth": 3,
        "duplicates": "flag",
        "duplicates_ms": 5,
        "gap_ms": 7,
        "event_types": {"logout": "unlink"},
        "blocked_user_words": ["", "nobody"],
        "blocked_forms": False,
        "retention_ms": 11,
    }.items():
        assert tables[name] == value, name


def test_those_for_reading_are_among_them() -> None:
    reading = reading_tables(InputRules(), IdentityRules())
    assert reading.items() <= TABLES.items()


def test_closed_lists_are_whole() -> None:
    assert TABLES["flags"] == list(get_args(Flag))
    assert TABLES["session_causes"] == list(get_args(SessionCause))
    assert TABLES["close_reasons"] == list(get_args(CloseReason))
    assert {reason for reason, _ in REFUSALS.values()} == set(get_args(Reason))


def test_ranges_of_characters_are_all_of_them() -> None:
    ranges = reading_tables(InputRules(), IdentityRules())["as_compared"]
    assert isinstance(ranges, list)
    found: dict[int, object] = {}
    for first, last, character in ranges:  # type: ignore[misc, str-unpack]
        found.update(dict.fromkeys(range(first, last + 1), character))  # type: ignore[arg-type, operator]
    assert found == AS_COMPARED
    assert len(ranges) < len(AS_COMPARED) // 20


def test_a_detail_names_only_what_an_engine_can_fill_in() -> None:
    for rule, (_, detail) in REFUSALS.items():
        named = {name for _, name, _, _ in Formatter().parse(detail) if name is not None}
        assert named <= set(PLACES), rule
        assert refuse(rule, **PLACES)[1] == detail.format(**PLACES)


def test_no_word_of_a_refusal_stands_anywhere_else_in_the_core() -> None:
    reasons = set(get_args(Reason))
    found = [
        f"{file.name}:{node.lineno} {node.value!r}"
        for file in sorted(CORE.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in reasons - set(REFUSALS)
    ]
    assert all(place.startswith("refusals.py:") for place in found), found


@pytest.mark.parametrize("rule", REFUSALS)
def test_every_template_is_some_values_refusal(rule: str) -> None:
    reason, detail = REFUSALS[rule]
    pattern = re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(detail)))
    assert any(reason == given and pattern.fullmatch(text) for given, text in REFUSED), detail


def refusals_of(decoded: DecodedValue) -> set[tuple[str, str]]:
    return {(rejection.reason, rejection.detail) for rejection in decoded.rejections}


def refused() -> set[tuple[str, str]]:
    """The refusals of the golden cases, with their own limits."""
    found = refusals_of(Decoder(InputRules(max_value_bytes=1), IdentityRules()).decode(b"[]"))
    for kind in ("element", "tail", "value"):
        for case in golden_cases(kind).values():
            limits, content = InputRules(**case.get("limits", {})), input_bytes(case)
            decoder = Decoder(limits, IdentityRules())
            wrapped = content if kind == "value" or content is None else b"[%b" % content
            if kind == "element":
                wrapped = b"[%b]" % (content or b"")
            found |= refusals_of(decoder.decode(wrapped))
    return found


REFUSED = refused()
