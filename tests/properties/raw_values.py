"""Raw values from odd pieces, so that most are nearly right; some are damaged byte by byte.

Limits are small, so that they are met.
"""

from collections.abc import Callable

from hypothesis import strategies as st

from worker.core.decode import Decoder
from worker.model.events import DecodedValue
from worker.model.rules import IdentityRules, InputRules

limits = InputRules(max_events=8, max_text_bytes=40, max_object_bytes=120, max_properties=4, max_depth=5)
decoder = Decoder(limits, IdentityRules())

ODD_TEXTS = [
    *(
        '"null"',
        '" NaN "',
        r'"\"undefined\""',
        "\"'none'\"",
        '""',
        '"  "',
        r'"\t"',
        r'"\u0000"',
        '"\x7f"',
        '"\x85"',
    ),
    *(
        '"\xa0"',
        '"\x1c"',
        '"un\u212anown"',
        '"{{\u0661}}"',
        '"\u2028"',
        '"\u3000x"',
        '"\u200b"',
        r'"\u00e9"',
        r'"\ud83d\ude00"',
        r'"\ud800"',
        r'"\/x"',
        '"_x"',
    ),
    *('"xxxxxxxxx"', '"xxxxxxxxxxx"', f'"{"x" * 40}"', f'"{"x" * 41}"', f'"{"é" * 20}"', f'"{"é" * 21}"'),
    *(
        '"00000000-0000-0000-0000-000000000000"',
        '"[object Object]"',
        '"undefinedx"',
        '"{{user_id}}"',
        '"(null)"',
        '"nu\u200bll"',
        '"0000"',
        '"0001"',
        '"null,nan"',
        '"-"',
        '"it\'s"',
        "'x'",
        '"\x01"',
    ),
    *("0", "-1", "12", "-0", "1.5", "1e3", "01", "NaN", "9" * 50, "true", "null", "[1]", '{"a":1}'),
]
ODD_TIMES = [
    *(
        "1.7e12",
        "1700000000000.0",
        "1700000000000.5",
        "1700000000",
        "17e11",
        "1E+12",
        "1e400",
        "9" * 5000,
        "-0",
        "-1e-20",
        "1e-400",
        "-0e5",
        "1700000000000.0000000001",
        "170000000000000e-2",
        "17000000000001e-1",
        "0.00017e16",
        "1e99999999999999999999",
        "17e+000000000000000000000011",
    ),
    *(
        "99999999999",
        "100000000000",
        "99999999999999",
        "100000000000000",
        '"1700000000000"',
        "null",
        "true",
        "[]",
    ),
]
NAMES = [
    *(
        '"a"',
        '"b"',
        '"e"',
        '"id2"',
        '"c d"',
        '""',
        '"é"',
        '"k_"',
        '"_x"',
        r'"\u005fy"',
        r'"\u0061"',
        r'"\"_"',
    ),
    *(r'"x\\"', r'"\/"', '"__proto__"', '"extra"'),
]
VALUES = [
    *(
        "1",
        "-0",
        "1E+2",
        "1e400",
        "true",
        "null",
        '"x"',
        '"é"',
        '"{"',
        '"[a"',
        '": {"',
        '"_b"',
        r'"_c\"x"',
        r'", \"_"',
    ),
    *('"a:b:c:d:e"', r'"\u005fq"', "{}", "[]", ' {"a" : 1}', "[[[1]]]", "[[[[1]]]]", '{"_":[[[[[]]]]]}'),
]
NO_EVENTS = [
    *(
        "1",
        "[]",
        "null",
        "{}",
        "{'a':1}",
        "",
        "{",
        "}",
        "]",
        '"',
        "x",
        "[[[[[[]]]]]]",
        '{"a":[[[[[[1]]]]]]}',
        "{1:2}",
        "}[[[[[[]]]]]]",
        '{"a":"}',
        '"\\ud800x"',
    ),
]
SPACES = st.sampled_from(["", "", "", " ", "\n\t"])


def joined(members: list[str], space: str, brackets: str) -> str:
    return brackets[0] + space + (space + "," + space).join(members) + space + brackets[1]


@st.composite
def objects(draw: st.DrawFn, most: int) -> str:
    space = draw(SPACES)
    pairs = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=most))
    return joined([name + space + ":" + space + value for name, value in pairs], space, "{}")


@st.composite
def events(draw: st.DrawFn) -> str:
    """An event's JSON; one in two is as it should be, the others have a fault or a few."""
    plain = draw(st.booleans())

    def text() -> str:
        return '"a"' if plain or draw(st.integers(0, 5)) else draw(st.sampled_from(ODD_TEXTS))

    properties = [
        (draw(st.sampled_from(['"id"', '"id"', '"event_id"', r'"\u0069d"'])), text()),
        (draw(st.sampled_from(['"type"', '"type"', '"event"'])), text()),
        ('"device_id"', text()),
        ('"timestamp"', "1700000000000" if plain else draw(st.sampled_from(["1700000000000", *ODD_TIMES]))),
    ]
    properties += [
        (name, text()) for name in ('"user_id"', '"session_id"', '"view_id"') if draw(st.booleans())
    ]
    if draw(st.booleans()):
        odd = st.one_of(
            objects(6), st.sampled_from(["null", "1", '"x"', '"{"', "[]", '{"a":"' + "x" * 120 + '"}'])
        )
        properties.append(('"data"', '{"a":1}' if plain else draw(odd)))
    if draw(st.booleans()):
        value = draw(st.one_of(st.sampled_from(VALUES), st.sampled_from(ODD_TEXTS), objects(3)))
        names = st.sampled_from([*NAMES, '"id"', '"event_id"', '"event"', '"data"', '"device_id"'])
        properties.append((draw(names), value))
    if not plain and draw(st.booleans()):
        properties.pop(draw(st.integers(0, len(properties) - 1)))
    space = draw(SPACES)
    order = draw(st.permutations(properties)) if draw(st.booleans()) else properties
    return joined([name + space + ":" + space + value for name, value in order], space, "{}")


elements = st.one_of(events(), events(), events(), st.sampled_from(NO_EVENTS))
batches = st.builds(joined, st.lists(elements, max_size=9), SPACES, st.just("[]"))
whole_texts = st.one_of(batches, batches, batches, events()).map(str.encode)
DAMAGES: list[Callable[[bytes, int, bytes], bytes]] = [
    lambda text, place, piece: text[:place],
    lambda text, place, piece: text[:place] + text[place + 1 :],
    lambda text, place, piece: text[:place] + piece + text[place:],
    lambda text, place, piece: text + piece,
    lambda text, place, piece: b"\xef\xbb\xbf" + text,
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    text = draw(whole_texts)
    for _ in range(draw(st.integers(1, 3))):
        damage = draw(st.sampled_from(DAMAGES))
        pieces = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\xff", b"\xc2", b"\0", b" ", b"x"]
        text = damage(text, draw(st.integers(0, len(text))), draw(st.sampled_from(pieces)))
    return text


values = st.one_of(whole_texts, whole_texts, damaged(), st.binary(max_size=40))


def same(one: DecodedValue, other: DecodedValue) -> bool:
    return list(one.events) == list(other.events) and list(one.rejections) == list(other.rejections)
