"""The limits of the HTTP server: what a sender may send, how long it may take, how many there may be.

Decides names and defaults only. Invariant: every buffer that a sender can fill has a limit here, and every
wait for a sender has a deadline here.
"""

from msgspec import Struct


class HttpLimits(Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times in seconds; of one process. No byte that arrives puts a deadline off.

    ``body_timeout_s`` counts from a request's first byte. ``max_pending_bytes`` is for the bodies of all
    connections, from their first byte to the end of the application's work on them. ``write_timeout_s`` is
    how long an answer may wait for its reader. After the last answer, ``linger_s`` is for the peer to close.
    """

    max_body_bytes: int = 1_000_000
    max_url_bytes: int = 8 * 1024
    max_headers_bytes: int = 16 * 1024
    max_headers: int = 64
    max_chunks: int = 8_192
    max_framing_bytes: int = 128 * 1024
    max_waiting_requests: int = 8
    max_connections: int = 10_000
    max_pending_bytes: int = 64 * 1024 * 1024
    header_timeout_s: float = 5.0
    body_timeout_s: float = 10.0
    idle_timeout_s: float = 65.0
    handshake_timeout_s: float = 5.0
    write_timeout_s: float = 10.0
    linger_s: float = 2.0
    sweep_s: float = 0.5
