"""Makes the ids of assigned sessions. The same events give the same ids, for ever; nothing else goes in."""

from hashlib import blake2b

_48_BITS = (1 << 48) - 1


def session_id(device_id: str, t_ms: int, number: int) -> str:
    """A UUID version 8 (RFC 9562) for the device's session of that number, opened at ``t_ms``.

    The opening time in ms fills the first 48 bits, so that ids sort by it; the rest is a hash of device id,
    time and session number.
    """
    digest = blake2b(f"{number} {t_ms} {device_id}".encode(), digest_size=10).digest()
    text = f"{t_ms & _48_BITS:012x}{digest.hex()}"
    variant = "89ab"[digest[2] >> 4 & 3]
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
