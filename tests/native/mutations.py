"""Values for fuzzing: known ones, changed by bytes, tokens, cuts, nesting and characters.

Decides which values are tried, and checks nothing. Invariant: the same seed gives the same values, on every
machine, as long as these tables and the corpus stay.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from testing.golden import golden_cases, input_bytes
from tests.properties.raw_values import NAMES, NO_EVENTS, ODD_TEXTS, ODD_TIMES, VALUES, joined
from worker.core.characters import AS_COMPARED, WHITE_SPACE
from worker.model.rules import BLOCKED_IDS

_MOST_BYTES = 1_500
_FIELDS = [
    "id",
    "event_id",
    "type",
    "event",
    "device_id",
    "timestamp",
    "user_id",
    "session_id",
    "view_id",
    "data",
]
_BYTES = b'"\\{}[],:0123456789-+.eE_tfnu \t\n\r\x00\x1f\x7f\x80\xbf\xc2\xe2\xed\xef\xf0\xf4\xff/x'
_BROKEN_UTF8 = [
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xe2\x80",
    b"\xf4\x90\x80\x80",
    b"\xf0\x9f\x98",
    b"\xc2",
]
_ESCAPES = [
    *(r"\n", r"\"", r"\\", r"\/", r"\b", r"\x", r"\u", r"\u00", r"\u0000", r"\u0041", r"\u005f"),
    *(r"\ud800", r"\udc00", r"\ud83d\ude00", r"\ud83d\ud83d", r"\ud83d\n", r"\uD83Dx", r"\uFEFF"),
    *(r"\u200b", r"\u0085", r"\u3000", r"\u212a", r"\U0041", r"\u00e9", r"\u0022", r"\u005c"),
]
_FORMS = [
    *("{{a}}", "{%a%}", "${a}", "#{a}", "%{a}", "$(a)", "%(a)s", "<%a%>", "%%a%%", "%A%", "__A__", "{{1}}"),
    *(
        "[object A]",
        "null,null",
        "nil nan",
        "0x0",
        "00x00x",
        "{{é}}",
        "%a.b-c%",
        "__A_1__",
        "(null)",
        "{}",
        "%é%",
    ),
    *("{{ffffffff-ffff-ffff-ffff-ffffffffffff}}", "${ffffffffffffffffffffffffffffffff}x}", "{{ _a}}", "nan-"),
]
_NUMBERS = [
    *("1.7e12", "17e11", "1.7E+12", "170000000000000e-2", "1700000000000.00", "1700000000000.01", "1e-400"),
    *(
        "-1.7e12",
        "0e99",
        "1e14",
        "99999999999999.0",
        "0.000001e18",
        "1e999999999999999999999",
        "1e-1",
        "-0.0",
    ),
]
_CHARACTERS = [
    *(chr(code) for code in sorted(AS_COMPARED)[::37]),
    *WHITE_SPACE,
    *("\u212a", "é", "😀", "\u0130", "\x7f", "\x9f", "ß", "\u0661"),
]
_WORDS = [f'"{word}"' for word in (*BLOCKED_IDS, *_FORMS)]
_TOKENS = [
    *(*ODD_TEXTS, *ODD_TIMES[:-1], *NAMES, *VALUES, *NO_EVENTS, *_NUMBERS, *_WORDS),
    *(f'"{name}"' for name in _FIELDS),
]
_REQUIRED = {'"id"', '"type"', '"device_id"', '"timestamp"'}
_PLAIN = {
    **dict.fromkeys(('"id"', '"type"', '"device_id"'), '"a"'),
    '"timestamp"': "1700000000000",
    **dict.fromkeys(('"user_id"', '"session_id"', '"view_id"'), '"b"'),
    '"data"': '{"a":1}',
}
_PIECES: Sequence[bytes] = [
    *(character.encode() for character in (*_CHARACTERS, *_CHARACTERS, *_ESCAPES, *_ESCAPES)),
    *_BROKEN_UTF8,
]
_EVENT = b'{"id":"a","type":"a","device_id":"a","timestamp":1700000000000}'


def _known() -> list[bytes]:
    """Where mutations begin: events of each kind, and the corpus but for what is large."""
    found = [_EVENT, b"[%b]" % _EVENT, b"[%b,%b]" % (_EVENT, _EVENT), b"[]", b"{}", b""]
    for kind in ("element", "tail", "value"):
        for case in golden_cases(kind).values():
            content = input_bytes(case)
            if content is not None and len(content) < _MOST_BYTES:
                found.append(content)
                if kind != "value":
                    found += [b"[%b]" % content, b"[%b,%b,%b]" % (_EVENT, content, _EVENT)]
    return found


_KNOWN: Sequence[bytes] = _known()


class _Mutations:
    """Changes values by chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kinds: Sequence[Callable[[bytes], bytes]] = (
            *(self._bytes, self._bytes, self._token, self._token, self._token, self._value_of_field),
            *(self._value_of_field, self._cut, self._nest, self._character, self._character, self._elements),
            *(self._property, self._property, self._splice),
        )

    def event(self) -> bytes:
        """An event as it should be, but for a value or two."""
        chance = self._chance
        pairs = {name: value for name, value in _PLAIN.items() if name in _REQUIRED or chance.random() < 0.3}
        for _ in range(chance.choice((0, 0, 1, 3))):
            pairs[chance.choice(NAMES)] = chance.choice(VALUES)
        for _ in range(chance.choice((0, 1, 1, 1, 2))):
            name = chance.choice(list(pairs))
            pairs[name] = self._odd(name)
        for name, other in (('"id"', '"event_id"'), ('"type"', '"event"')):
            if chance.random() < 0.1:
                pairs[other] = pairs[name]
            if chance.random() < 0.03:
                pairs[other] = self._odd(name)
        members = list(pairs.items())
        if chance.random() < 0.2:
            chance.shuffle(members)
        if chance.random() < 0.1:
            members.pop(chance.randrange(len(members)))
        if chance.random() < 0.1:
            members.append((chance.choice(list(pairs)), chance.choice(_TOKENS)))
        return joined([f"{name}:{value}" for name, value in members], "", "{}").encode()

    def _odd(self, name: str) -> str:
        """A value for the property that is odd in one of the ways that its rules are about."""
        chance = self._chance
        kind = chance.randrange(8)
        if kind == 0:
            return chance.choice(_TOKENS)
        if name == '"timestamp"':
            return chance.choice((*ODD_TIMES[:-1], *_NUMBERS))
        if name == '"data"':
            count = chance.choice((0, 1, 2, 5, 8))
            members = [f"{chance.choice(NAMES)}:{chance.choice(VALUES)}" for _ in range(count)]
            return joined(members, "", "{}")
        if kind < 4:
            return chance.choice(_WORDS)
        text = chance.choice(("", "a", "abc ", "null", "x" * 39, "{{a}}", "0", "é" * 19))
        place = chance.randint(0, len(text))
        return f'"{text[:place]}{chance.choice((*_CHARACTERS, *_ESCAPES))}{text[place:]}"'

    def changed(self, value: bytes) -> bytes:
        """The value with some changes."""
        for _ in range(self._chance.choice((1, 1, 2, 3, 5))):
            change: Callable[[bytes], bytes] = self._chance.choice(self._kinds)
            value = change(value)[:_MOST_BYTES]
        return value

    def _piece(self) -> bytes:
        return self._chance.choice(_TOKENS).encode()

    def _place(self, value: bytes) -> int:
        return self._chance.randint(0, len(value))

    def _bytes(self, value: bytes) -> bytes:
        place, length = self._place(value), self._chance.choice((0, 0, 1, 1, 2))
        piece = bytes([self._chance.choice(_BYTES)]) if self._chance.random() < 0.8 else b""
        return value[:place] + piece + value[place + length :]

    def _token(self, value: bytes) -> bytes:
        """Another token in place of one, or between two."""
        places = [place for place, byte in enumerate(value) if byte in b"[]{},:"]
        if not places:
            return value + self._piece()
        start = self._chance.choice(places) + 1
        end = min((place for place in places if place >= start), default=len(value))
        return value[:start] + self._piece() + value[self._chance.choice((start, end, end)) :]

    def _value_of_field(self, value: bytes) -> bytes:
        """Another value for a field that is there."""
        name = b'"%b":' % self._chance.choice(_FIELDS).encode()
        start = value.find(name)
        if start < 0:
            return self._token(value)
        start += len(name)
        end = min(
            (at for at in (value.find(b",", start), value.find(b"}", start)) if at >= 0), default=len(value)
        )
        return value[:start] + self._piece() + value[end:]

    def _cut(self, value: bytes) -> bytes:
        start, end = sorted((self._place(value), self._place(value)))
        return self._chance.choice((value[:end], value[start:], value[:start] + value[end:]))

    def _nest(self, value: bytes) -> bytes:
        start, end = sorted((self._place(value), self._place(value)))
        levels = self._chance.choice((1, 1, 2, 5, 6, 70))
        opening, closing = self._chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[{", b"]"), (b"]", b"[")))
        return value[:start] + opening * levels + value[start:end] + closing * levels + value[end:]

    def _character(self, value: bytes) -> bytes:
        place = self._place(value)
        if self._chance.random() < 0.6:  # into a string, where there is one
            quote = value.find(b'"', place)
            place = quote + 1 if quote >= 0 else place
        return value[:place] + self._chance.choice(_PIECES) + value[place:]

    def _elements(self, value: bytes) -> bytes:
        """Parts between commas in another order, more than once, or not at all."""
        parts = value.split(b",")
        first, second = self._chance.randrange(len(parts)), self._chance.randrange(len(parts))
        match self._chance.randrange(3):
            case 0:
                parts[first], parts[second] = parts[second], parts[first]
            case 1:
                parts.insert(second, parts[first])
            case _:
                del parts[first]
        return b",".join(parts)

    def _property(self, value: bytes) -> bytes:
        """One more property in front of others."""
        place = value.find(b"{", self._place(value) // 2)
        if place < 0:
            return self._bytes(value)
        name = self._chance.choice((*NAMES, *_PLAIN)).encode()
        return value[: place + 1] + name + b":" + self._piece() + b"," + value[place + 1 :]

    def _splice(self, value: bytes) -> bytes:
        other = self._chance.choice(_KNOWN)
        return value[: self._place(value)] + other[self._place(other) :]


VALUES_A_SEED = 1_000


def values(seed: int) -> Iterator[bytes]:
    """A thousand values: those that were changed are changed again."""
    chance = random.Random(seed)
    mutations = _Mutations(chance)
    pool = chance.choices(_KNOWN, k=20)
    for _ in range(VALUES_A_SEED):
        match chance.randrange(4):
            case 0:
                value = b"[%b]" % b",".join(
                    [mutations.event() for _ in range(chance.choice((1, 1, 2, 3, 9)))]
                )
            case 1:
                value = mutations.changed(b"[%b]" % mutations.event())
            case _:
                place = chance.randrange(len(pool))
                value = mutations.changed(pool[place])
                pool[place] = value if chance.random() < 0.7 else chance.choice(_KNOWN)
        yield value
