"""What the senders of a fault run send: requests that can be made again from sender, number and attempt.

Decides what is in a body, how it is packed, and how its sender behaves. Knows neither sockets nor answers.
Invariants: the same three give the same bytes; every element says in its id who sent it, when, and at which
place, and in ``data`` at which attempt, so that each copy of it in a topic belongs to one request.
"""

import gzip
import zlib
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from random import Random

from backports import zstd
from msgspec import Struct, field, json

KEY = "wk_chaos_0123456789abcdef"
DEVICES = 12
"""Of each sender; nobody else sends for them."""

_BEGINS_MS = 1_760_000_000_000
_BOMB_BYTES = 64 * 1024 * 1024
_DECLARED_TOO_LARGE = 1_500_000

FAIR = {"waits": 90, "drips": 2}
RUDE = {
    "hangs up": 20,
    "leaves": 20,
    "stalls": 6,
    "drips": 6,
    "bomb": 3,
    "too large": 5,
    "no key": 8,
    "bad http": 8,
    "waits": 10,
}
"""Way of a sender -> how often. All but those of ``UNFINISHED`` send a whole request."""

UNFINISHED = ("hangs up", "stalls", "too large")
"""Ways in which the end of the body never goes out."""

_FORMS = {"one": 30, "object": 8, "device": 22, "devices": 22, "mixed": 10, "refused": 3, "envelope": 5}
_PACKED = {"": 70, "gzip": 15, "zstd": 10, "chunked": 10, "broken": 3}


class Origin(Struct, frozen=True, order=True):
    """Which request of whom, and at which attempt."""

    sender: str
    number: int
    attempt: int = 0


class Shipment(Struct, frozen=True, dict=True):
    """One request. ``elements`` in order; ``good`` are the places of those that are events.

    ``way``: how its sender behaves. ``key``: the idempotency key, empty without one. ``cut``: the body ends
    within an element.
    """

    origin: Origin
    way: str
    elements: tuple[bytes, ...]
    good: tuple[int, ...]
    envelope: bool = False
    packed: str = ""
    key: str = ""

    @property
    def cut(self) -> bool:
        return self.packed == "broken"

    @property
    def whole(self) -> bool:
        """Whether all of it is going to be written."""
        return self.way not in UNFINISHED

    @cached_property
    def text(self) -> bytes:
        """The body before it is packed."""
        if len(self.elements) == 1 and not self.envelope and self.origin.number % 2:
            text = self.elements[0]
        else:
            text = b"[" + b",".join(self.elements) + b"]"
        if self.envelope:
            text = b'{"sent_at":"2026-01-01T00:00:00Z","events":' + text + b"}"
        return text[: -len(text) // 3].rstrip(b"},") if self.cut else text

    @property
    def complete(self) -> int:
        """How many of the elements the body holds to their end."""
        if not self.cut:
            return len(self.elements)
        ends = accumulate((len(element) + 1 for element in self.elements), initial=self.text.find(b"[") + 1)
        return sum(end - 1 <= len(self.text) for end in list(ends)[1:]) if b"[" in self.text else 0


def shipment(origin: Origin, ways: dict[str, int]) -> Shipment:
    """The request with this origin, of a sender that behaves in these ways."""
    rng = Random(f"{origin.sender}/{origin.number}")
    form, packed, way = (_drawn(rng, weights) for weights in (_FORMS, _PACKED, ways))
    count = 1 if form in ("one", "object") else rng.randint(2, 20)
    one_device = rng.randrange(DEVICES)
    elements, good = [], []
    for place in range(count):
        is_good = form != "refused" and not (form == "mixed" and place % 3 == 1)
        device = rng.randrange(DEVICES) if form == "devices" else one_device
        elements.append(_element(origin, place, device, is_good=is_good))
        if is_good:
            good.append(place)
    key = f"{origin.sender}-{origin.number}" if way == "waits" and rng.random() < 0.15 else ""
    if key:  # to be sent again as it is
        elements = [_element_as_first(origin, element) for element in elements]
    return Shipment(origin, way, tuple(elements), tuple(good), form == "envelope", packed, key)


def wire_body(one: Shipment) -> tuple[dict[str, str], bytes]:
    """The body as it goes over the wire, and the headers that say how."""
    if one.way == "bomb":
        return {"Content-Encoding": "gzip"}, _bomb(one.text)
    if one.way == "too large":
        return {}, one.text
    if one.packed == "gzip":
        return {"Content-Encoding": "gzip"}, gzip.compress(one.text, 1, mtime=0)
    if one.packed == "zstd":
        return {"Content-Encoding": "zstd"}, zstd.compress(one.text)
    if one.packed == "chunked":
        return {"Transfer-Encoding": "chunked"}, _in_chunks(one.text)
    return {}, one.text


def wire_request(one: Shipment, port: int) -> tuple[bytes, bytes]:
    """Head and body. What is wrong in some ways is wrong here: no key, two lengths, more than is sent."""
    headers, body = wire_body(one)
    length = _DECLARED_TOO_LARGE if one.way == "too large" else len(body)
    head = ["POST /v1/events HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    if one.way != "no key":
        head.append(f"Authorization: Bearer {KEY}")
    if one.key:
        head.append(f"Idempotency-Key: {one.key}")
    if "Transfer-Encoding" not in headers:
        head.append(f"Content-Length: {length}")
    if one.way == "bad http":
        head.append(f"Content-Length: {length + 1}")
    return "\r\n".join([*head, "", ""]).encode(), body


class _Data(Struct):
    attempt: int


class ElementName(Struct):
    """What an element says of itself."""

    id: str
    device_id: str = ""
    data: _Data = field(default_factory=lambda: _Data(-1))

    @property
    def origin(self) -> Origin:
        """Raises ValueError for an id that nobody here makes."""
        sender, number, _ = self.id.split("/")
        return Origin(sender, int(number), self.data.attempt)

    @property
    def place(self) -> int:
        return int(self.id.rpartition("/")[2])


read_element = json.Decoder(ElementName).decode


def _element(origin: Origin, place: int, device: int, *, is_good: bool) -> bytes:
    sender, number = origin.sender, origin.number
    device_id = f'"device_id":"{sender}-d{device}",' if is_good else ""
    return (
        f'{{"id":"{sender}/{number}/{place}","type":"page_view",{device_id}'
        f'"timestamp":{_BEGINS_MS + number * 1000 + place},'
        f'"data":{{"attempt":{origin.attempt},"text":"crème {number * 7919 % 1000}"}}}}'
    ).encode()


def _element_as_first(origin: Origin, element: bytes) -> bytes:
    return element.replace(b'"attempt":%d,' % origin.attempt, b'"attempt":0,')


def _drawn(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _bomb(text: bytes) -> bytes:
    """Less than 300 KB that become 64 MB; what is in front are good events."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    spaces = b" " * (1 << 20)
    packed = [packer.compress(text[:-1])]
    packed += [packer.compress(spaces) for _ in range(_BOMB_BYTES >> 20)]
    return b"".join([*packed, packer.compress(text[-1:]), packer.flush()])


def _in_chunks(text: bytes, size: int = 700) -> bytes:
    pieces: Sequence[bytes] = [text[start : start + size] for start in range(0, len(text), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
