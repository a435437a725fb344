"""Decompresses a body up to a limit.

Decides what of a compressed body is damage; must not know what is in it. Invariant: no more than the limit
and one byte is ever held, and zstd's window is bounded, however much the body would give.
"""

import sys
import zlib

from worker.collect.media_types import Encoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_FORMAT = 31
_WINDOW_LOG = 23
"""8 MiB: so much a sender of ``Content-Encoding: zstd`` may ask for (RFC 9659)."""
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}


class MalformedError(Exception):
    """The body is damaged, cut off, or followed by other bytes."""


class TooLargeError(Exception):
    """The body would be larger than the limit."""


def inflate(body: bytes, encoding: Encoding, most_bytes: int) -> bytes:
    """The body as it was before it was compressed, once. Raises MalformedError and TooLargeError."""
    if encoding == "identity":
        return body
    try:
        stream = (
            zlib.decompressobj(_GZIP_FORMAT)
            if encoding == "gzip"
            else zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
        )
        text = stream.decompress(body, most_bytes + 1)
    except (zlib.error, zstd.ZstdError):
        raise MalformedError from None
    if len(text) > most_bytes:
        raise TooLargeError
    if not stream.eof or stream.unused_data:
        raise MalformedError
    return text
