"""Vectors about characters and words: what is blank or compared otherwise, and which ids name nobody."""

from collections.abc import Iterator

from tests.vectors.files import Vector, Vectors
from tests.vectors.reading_inputs import texts_of
from worker.core.characters import AS_COMPARED, WHITE_SPACE, holds_control, is_blank
from worker.core.placeholders import NULL_WORDS, device_check, plain_word, user_check
from worker.model.rules import BLOCKED_IDS, IdentityRules

_is_no_user, _is_no_device = user_check(IdentityRules()), device_check(IdentityRules())
_OF_OTHERS = [0x180E, 0x212A, 0x0130, 0xD7FF, 0xE000, 0x10FFFF]

TEXTS = (
    *texts_of(
        r"""
a  d1  007  none-such  undefined-123  null  NULL  (null)  <null>  {"null"}  [[null]]  'null'  `null`
nu ll  null.  null,  undefined  none  NaN  nil  unknown  UNKNOWN  ID  -1  %s  \N  [object Object]  0
00  0.0  0x0  0X0  0x  x0  0x0x  1  00000000000000000000000000000000
00000000-0000-0000-0000-000000000000  00:00:00:00:00:00  -  ???  -x-  0-0x-0  null,null
undefined-undefined  null null  nullnull  null,,null  null,x  null,  ,null  nul,null  {{user.id}}
{{ user_id }}  {{}}  {{ }}  {{3}}  {{_3a}}  {{a  a}}  {{a}}x  {a}  {{{a}}}  '{{a}}'
{{7f3e0000-e89b-12d3-a456-426614174000}}  {7f3e0000-e89b-12d3-a456-426614174000}
${7f3e0000-e89b-12d3-a456-426614174000}  {{ 7F3E0000-E89B-12D3-A456-426614174000 }}
{{7f3e0000e89b12d3a456426614174000}}  {%a%}  {% if a %}  {%%}  ${user_id}  #{user_id}  %{user_id}
${}  ${1}  @{a}  $(user_id)  #(a)  %(user_id)s  %(user_id)d  %(1)s  <%a%>  <%= a %>  <%%>  %%USER%%
%%%%  %%1%%  %USER_ID%  %user.id%  %a-b%  %_%  %1%  %%  %a b%  100%  __NAME__  __NAME_1__  __name__
__1__  __N__  ____  _NAME_  __A-B__  [object Undefined]  [object a b]  [object ]  [OBJECT X]
object undefined  [object X  test  %7B%7Bid%7D%7D
"""
    ),
    *("", " ", "\t\n\x0b\x0c\r", "\x1c\x1d\x1e\x1f", "\x85"),
    *("\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000", "\u180e", "\u200b"),
    *("\u2800\u3164", " a", "Null ", "\xabnull\xbb", "\u300cnull\u300d", "nu\u200bll"),
    *("\ufeffnull", "null\xad", "null\xa0", "\x1fnull\x1f", "\x00null", "UNDEFINED\u200b"),
    *("un\u212anown", "anonymou\u017f", "n\u0131l", "\u0130d", "\uff4e\uff55\uff4c\uff4c"),
    *("\u22121", "\u2014", "\xbf", "\u2026", "0\u200b0", "\uff10", "0\x010", "nil\xb7nan"),
    *("none\x1fnan", "undefined\x85undefined", "null\x00null", "{{\u0438\u043c\u044f}}"),
    *("{{\u0663}}", "{{\u20ac}}", "{{\u2014a}}", "{{\x01a}}", "{{\x85a}}", "{{a}}\u200b"),
    *("{{a\nb}}", "%NAM\xc9%", "%\xc9%", "%a\u2014%", "__NAM\xc9__", "[object \u0663]"),
    *("x" * 600, "null" * 200, "null," * 200 + "null", "{{" * 300 + "a" + "}}" * 300),
)


def characters() -> Vectors:
    """All of them."""
    return {
        "character": [_character(code) for code in _codes()],
        "word": [_word(text) for text in (*TEXTS, *BLOCKED_IDS)],
    }


def _codes() -> Iterator[int]:
    """ASCII and Latin-1; of the rest where the tables begin and end, with the neighbours; some others."""
    special = {*AS_COMPARED, *map(ord, WHITE_SPACE)}
    edges = {
        near for code in special if not {code - 1, code + 1} <= special for near in (code - 1, code, code + 1)
    }
    return iter(sorted({*range(0x100), *edges, *_OF_OTHERS}))


def _character(code: int) -> Vector:
    """``compared_as`` is what stands for it where an id is compared with words, before ends are stripped."""
    text = chr(code)
    return {
        "code_point": code,
        "is_control": holds_control(text),
        "is_blank": is_blank(text),
        "compared_as": text.translate(AS_COMPARED),
    }


def _word(text: str) -> Vector:
    """With the words that are blocked by default. ``is_missing`` is for a session or a view."""
    return {
        "text": text,
        "plain_word": plain_word(text),
        "is_no_user": _is_no_user(text),
        "is_no_device": _is_no_device(text),
        "is_missing": plain_word(text) in NULL_WORDS,
    }
