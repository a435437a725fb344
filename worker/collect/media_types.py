"""Which content types and encodings a body may have.

Decides what of two headers is supported, and must not look at the body. Invariant: what is called text or
JSON in UTF-8 is read as JSON in UTF-8, whatever else it is called, because browsers and curl choose for
themselves.
"""

from typing import Literal

Encoding = Literal["identity", "gzip", "zstd"]

_TYPES = {b"", b"application/json", b"text/plain", b"application/x-www-form-urlencoded"}
_CHARSETS = {b"utf-8", b"utf8", b"us-ascii"}
_ENCODINGS: dict[bytes, Encoding] = {
    b"": "identity",
    b"identity": "identity",
    b"gzip": "gzip",
    b"x-gzip": "gzip",
    b"zstd": "zstd",
}


def is_supported(content_type: bytes) -> bool:
    """Whether a body of that content type is read; an empty one is none at all.

    >>> is_supported(b"text/plain; charset=UTF-8"), is_supported(b"application/vnd.api+json")
    (True, True)
    >>> is_supported(b"text/xml"), is_supported(b"application/json; charset=utf-16")
    (False, False)
    """
    if content_type in _TYPES:
        return True
    media_type, *parameters = [part.strip() for part in content_type.lower().split(b";")]
    if media_type not in _TYPES and not media_type.endswith(b"+json"):
        return False
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in _CHARSETS:
            return False
    return True


def encoding_of(content_encoding: bytes) -> Encoding | None:
    """How the body is compressed; None where that is not supported, as more than one layer is not."""
    return _ENCODINGS.get(content_encoding) or _ENCODINGS.get(content_encoding.strip().lower())
