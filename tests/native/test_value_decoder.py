"""The native reading of a value gives what the readable one gives: every outcome, refusals word for word."""

import pytest
from hypothesis import given, settings

from testing.golden import Case, golden_cases, input_bytes
from tests.native.comparison import SMALL, Comparison
from tests.native.mutations import VALUES_A_SEED, values
from tests.properties import raw_values
from worker.model.events import CutValue
from worker.model.rules import IdentityRules, InputRules

SHORT, DEFAULT = Comparison(SMALL), Comparison(InputRules())
FUZZED_VALUES = 200_000
PARTS = 8
GOOD = b'{"id":"good","type":"click","device_id":"other","timestamp":1700000000001,"data":{"a":"\xc3\xa9"}}'


def placed(case: Case, kind: str) -> list[bytes | None]:
    """The values that a case is at home in: alone, and at each place among good events."""
    content = input_bytes(case)
    if content is None or kind == "value":
        return [content]
    if kind == "tail":
        return [b"[" + (GOOD + b",") * before + content for before in range(3)]
    around = [(before, after) for before in range(3) for after in range(3)]
    return [
        content,
        *(b"[%b]" % b",".join([GOOD] * before + [content] + [GOOD] * after) for before, after in around),
    ]


@pytest.mark.parametrize("kind", ["element", "tail", "value"])
def test_the_corpus_has_the_same_outcomes_at_every_place(kind: str) -> None:
    for name, case in golden_cases(kind).items():
        compared = [Comparison(InputRules(**case["limits"]))] if "limits" in case else [DEFAULT, SHORT]
        for value in placed(case, kind):
            for comparison in compared:
                difference = comparison.difference(value)
                assert difference is None, f"{name}: {difference.shown()}"


@settings(max_examples=1_000)
@given(raw_values.values)
def test_values_from_odd_pieces_have_the_same_outcomes(value: bytes) -> None:
    for comparison in (SHORT, DEFAULT):
        difference = comparison.difference(value)
        assert difference is None, difference.shown()


@pytest.mark.parametrize("part", range(PARTS))
def test_changed_values_have_the_same_outcomes(part: int) -> None:
    seeds = FUZZED_VALUES // VALUES_A_SEED
    for seed in range(part * seeds // PARTS, (part + 1) * seeds // PARTS):
        for place, value in enumerate(values(seed)):
            difference = (SHORT, DEFAULT)[place % 2].difference(value)
            assert difference is None, f"seed {seed}: {difference.shown()}"


def test_a_value_that_is_cut_is_refused_in_the_same_words() -> None:
    cut = CutValue.of(b'[{"id":' + b" " * 100_000, 9_000_000, "ab" * 32)
    difference = DEFAULT.difference(cut)
    assert difference is None, difference.shown()


SOMEBODY = "\u043a\u0442\u043e"


@pytest.mark.parametrize("forms", [True, False])
def test_other_blocked_words_are_the_same_words(forms: bool) -> None:
    identity = IdentityRules(
        blocked_user_ids=(" Nobody ", SOMEBODY.upper(), '"{x}"'),
        blocked_device_ids=("Kiosk", ""),
        blocked_forms=forms,
    )
    comparison = Comparison(InputRules(), identity)
    texts = ("NOBODY", "(nobody)", SOMEBODY, SOMEBODY.upper(), "x", "kiosk", "\u212aiosk", "000", "{{a}}")
    for text in (*texts, "null,null"):
        for field in ("user_id", "device_id"):
            event = f'{{"id":"a","type":"a","device_id":"a","timestamp":1700000000000,"{field}":"{text}"}}'
            difference = comparison.difference(event.encode())
            assert difference is None, difference.shown()
