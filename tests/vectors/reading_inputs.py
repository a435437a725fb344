"""What the vectors about reading are made from: odd numbers, strings, brackets and values.

Those that can be are written in lines of text, apart from each other by two spaces.
"""

import re
from collections.abc import Iterator


def texts_of(block: str) -> Iterator[str]:
    """The texts of a block, which are two spaces or a line apart."""
    return iter(re.split(r"\n|  ", block.strip()))


def _bytes_of(block: str) -> Iterator[bytes]:
    return (text.encode() for text in texts_of(block))


NUMBERS = (
    *texts_of(
        r"""
0  -0  7  -7  00  01  -01  -  --1  +1  1.  .5  0.5  -0.5  -.5  1.5.5  1 2  1e5  1E5  1e+5  1e-5
1e05  1e  1e+  1e1.5  e5  1.e5  1.0e5  0e0  0.0  -0.0  -0e-0  1e400  -1e400  1e-400
1e99999999999999999999  0x10  1_000  1,5  NaN  Infinity  -Infinity  nan  1n  1f
"""
    ),
    *("1" * 400, "0." + "0" * 400 + "1", "\u0661", "1\u0661", "\uff11", "1 ", " 1", "1\x00"),
)

TIMESTAMPS = (
    *texts_of(
        r"""
1700000000000  1.7e12  17E+11  17e+000000000000000000000011  1700000000000.0
1700000000000.000000000  1700000000000.5  1700000000000.0001  1700000000000.0000000001  1.683e12
1.6830000000001e12  1.68300000000001e12  170000000000000e-2  17000000000001e-1  17000000000010e-1
0.00017e16  0.17e13  0.170000000000e13  0.1700000000000e13  0.17000000000001e13  99999999999
99999999999.9  1e11  100000000000  99999999999999  99999999999999.0  99999999999999.9
99999999999999.99999  100000000000000  1e14  0.1e15  10e13  1700000000  1700000000000000
1700000000000000000  18446744073709551616  18446744073709551616e-7  0  -0  -0.0  0e5  0.000e-99999
-1  -1700000000000  -1.5  -1e-20  1e-20  1e-400  1e400  -1e400  1e99999999999999999999
1e-99999999999999999999  0e99999999999999999999  9999999999999999999999999999999999999999
99999999999999999999999999999999999999999  "1700000000000"  null  true  false  []  {}  ""
"""
    ),
    *("9" * 400, "1" + "0" * 400 + "e-388", "1" + "0" * 400 + "e-389"),
    *("9" * 400 + ".0", "9" * 400 + ".5", "0." + "0" * 400 + "17e413"),
)

STRINGS = (
    *_bytes_of(
        r"""
""  "a"  "a  "  'a'  "a"b  "\""  "\\"  "\/"  "\b\f\n\r\t"  "\a"  "\'"  "\x41"  "\0"  "\N"  "\U0041"
"\u0041"  "\u00E9"  "\u00e9"  "\u12"  "\u12g4"  "\u"  "\u 041"  "\u+041"  "\u0000"  "\u001f"
"\u007f"  "\uffff"  "\ufeff"  "\u2028"  "\ud83d\ude00"  "\uD83D\uDE00"  "\ud800\udc00"
"\udbff\udfff"  "\ud800"  "\udc00"  "\ud800x"  "\ud800\u0041"  "\ud800\ud800"  "\udc00\ud800"
"\ud800\\udc00"  "\ud800\n"  "\ud800 \udc00"  "\ud83d\ud83d\ude00"  "\ud83d\ude00\ude00"
"\ud83d\ude0"  "\ud7ff\ue000"  "x\ud800  "\ud83d\u  " "  true  True  tru  truee  null  nul
undefined
"""
    ),
    *(
        b'"\x00"',
        b'"\t"',
        b'"\n"',
        b'"\x1f"',
        b'"\x7f"',
        b'"\\\n"',
        b'"\xc2\x80"',
        b'"\xc3\xa9"',
        b'"\xe2\x80\xa8"',
        b'"\xef\xbb\xbf"',
    ),
    *(
        b'\xef\xbb\xbf"a"',
        b'"\xf0\x9f\x98\x80"',
        b'"\xf4\x8f\xbf\xbf"',
        b'"\xef\xbf\xbf"',
        b'"a"\x00',
        b' "a"',
        b'"a"\t\r\n ',
    ),
    *(b'"a"\x0b', b'"a"\x0c', b'"a"\xc2\xa0', b'"a"\xc2\x85', b""),
)

UTF8 = (
    *(b"", b"\x00", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80"),
    *(b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf"),
)

NO_UTF8 = (
    *(b"\x80", b"\xbf", b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xc2"),
    *(
        b"\xc2A",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb8\x80",
    ),
    *(
        b"\xe2\x82",
        b"\xf0\x80\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
    ),
    *(b"\xfe", b"\xff", b"\xf0\x9f\x98"),
)

BRACKETS = (
    *texts_of(
        r"""
x  []  {}  [{}]  [][]  [}  {]  ]]]][[[[[  ]]]][[[[[[  ["[[[["]  ["[[[[  ["\"[[[",[]]  \[  \"[  "\\"[
"\[  [[[]]][[]]  }{  {"a":[1,{"b":2}],"a":1}  [1,[2,[3  '[[['
"""
    ),
    "",
)

SPLIT = (
    *texts_of(
        r"""
[]  [ ]  [1]  [1,2]  [ 1 , 2 ]  [1  [1,  [  [,  [,]  [,1]  [1,,2]  [1,]  [1, ]  [1,]x  [1]x  []]
[] [  [1}  [1}]  [}]  [}}},1]  [{]}]  [{],1]  [[1},2]  [[1],2  [1 2]  [1]]  [1],  ["]"]  ["],["]  ["
["]  ["a,b",1]  ["a\",b",1]  ["a\\",b]  [\",1,"]  ['a','b']  [x"]",1]  {}  {}x  {  {]  {"a":1
{"a":"}"}  {"a":"}  {{}  {}}  {"a":1},{"b":2}  {,}  [[[[1,2],[3]],4],5]
"""
    ),
    *("[1, ", "[ ", "[1] x ", '["a\\', "{} ", '{"a":1}\n{"b":2}'),
    *("[\t\r\n1\t\r\n]", "[\v1\f]", "[\xa01\x85]", "[\ufeff1]"),
    *("[" * 20, "[" * 20 + "]" * 20, "[" * 20 + "]" * 19, "[1,[" + "[" * 18 + "]" * 18 + ",2],3]"),
    *("[[" + '{"a":[' * 12 + '"]}"' + "]}" * 12 + "],1]", "[" + "[1," * 20 + "1" + "]" * 20 + ",2]"),
)

EVENT = b'{"id":"e1","type":"click","device_id":"d1","timestamp":1700000000000'
VALUES = (
    *_bytes_of(
        r"""
null  true  1  "a"  a  '  [1,"a",null,true,1.5,1e3,-0,[],{}]  [,]  [1,]  [1,] 2  [1,
[tru,truee,01,1.,+1]
"""
    ),
    *(
        b"",
        b" ",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\xef\xbb\xbf",
        b" \xef\xbb\xbf[]",
        b"\xef\xbb\xbf []",
        b"[\x00]",
        b"[ \x00]",
    ),
    *(b"[  \x00]", b"[   \x00]", b'"\xff"', b"\x80", b"\x0b[]", b"\xc2\xa0[]", b"[]\x0b", b"[]\x00"),
    *(b"[\xff,1]", b"[1,\xff", b"[1]\xff", b"[\xff", b"{\xff"),
    *(b"[" * 66, b"[1," + b"[" * 66, b"[]" + b"[" * 66, b"[[\xff" + b"[" * 66, b"[1,[" + b"[" * 66 + b"\xff"),
    *(
        b"[" + b"[" * 64 + b"]" * 64 + b"]",
        b"[" + b"[" * 65 + b"]" * 65 + b"]",
        b"[" + b"[" * 65 + b"x" + b"]" * 65 + b"]",
    ),
    b'["' + b"[" * 99 + b'"]',
    *(EVENT + rest for rest in _bytes_of('}  },  }]  ]  } x  ,"a":1]  }}  ,"data":{"a":"}"}  ,"x":tru}')),
    *(EVENT, EVENT + b"} "),
    *(b"[" + EVENT + rest for rest in _bytes_of('}]  }  },  },]  }] ]  }}]  ]]  ,"a":"]  ,}]  } 1,2]')),
)

PROPERTIES = (
    *texts_of(
        r"""
"id":"e2"  "\u0069d":"e2"  "event_id":"e1"  "event_id":"e2"  "event_id":null  "event_id":"\u00651"
"id":7,"event_id":"7"  "id":"7","event_id":7  "id":-0,"event_id":0  "id":7.0,"event_id":7.0
"id":[1],"event_id":[ 1]  "event":"click"  "event":"x"  "type":7,"event":"7"  "type":"7","event":7
"type":7  "type":null  "id":null  "id":true  "id":1e3  "id":-0  "id":""  "id":" \t\u3000"
"id":"\u001c"  "id":"\u200b"  "id":"\u0000"  "id":"a\u0085"  "id":"a\u00a0"  "device_id":7
"device_id":0  "device_id":-1  "device_id":"null"  "device_id":"\u0000"  "device_id":" "
"device_id":"{{x}}"  "device_id":{}  "user_id":""  "user_id":7  "user_id":0  "user_id":null
"user_id":"null"  "user_id":"nil"  "user_id":[]  "user_id":1.5  "user_id":"a\u0000"
"user_id":"\u0000"  "user_id":"\u001f"  "session_id":"null"  "session_id":"nil"  "session_id":0
"session_id":"-"  "view_id":false  "view_id":"NONE"  "session_id":1,"view_id":{}
"user_id":{},"session_id":[]  "user_id":"u1","user_id":"null"  "user_id":"null","user_id":"u1"
"data":null  "data":1  "data":-0.0  "data":"x"  "data":[]  "data":{}  "data":{ }  "data":{ "a" : 1 }
"data":{"a":null}  "data":{"a":{}}  "data":{"a":[],"a":1}  "data":{"a":"[{"}  "data":{"_a":1}
"data":{"a":1,"a":2,"_b":3}  "data":{"\u005fa":1}  "data":{"a_":1}  "data":{"":1}  "data":{"_a":[]}
"data":{"a":1},"data":null  "data":null,"data":{"a":1}  "data":{"a":1.0,"b":1e400}
"data":[1],"data":{"a":1}  "d\u0061ta":{"a":1}  "extra":1  "extra":{"a":1}  "x":1,"y":2,"x":3
"x":1,"\u0078":2  "\u0078":1,"x":2  "x" : [ 1 , 2 ]  "\/":1  "\u00e9":1  "user_id":"u1","x":null
"x":"\ud800"  "\ud800":1  "x":01  "x":NaN  "x":1,  "timestamp":1  "timestamp":null  "timestamp":"x"
"timestamp":1.5  "timestamp":17e11  "ID":"e2"  "x":1,"data":1,"user_id":[]  "x":[}
"""
    ),
    '"é":1',
    *(
        '"x":' + "[" * 63 + "]" * 63,
        '"x":' + "[" * 64 + "]" * 64,
        '"x":' + "[" * 64 + "]" * 64 + ',"x":1',
        '"x":"' + "[" * 64 + '"',
    ),
)
"""Properties behind those of ``EVENT``."""
