"""Makes the ids of assigned sessions. The same events give the same ids, for ever; nothing else goes in."""

from hashlib import blake2b

_48_BITS = (1 << 48) - 1
_VARIANTS = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}  # the first two bits are 10


def session_id(device_id: str, t_ms: int, number: int) -> str:
    """A UUID version 8 (RFC 9562) for the device's session of that number, opened at ``t_ms``.

    The opening time in ms fills the first 48 bits, so that ids sort by it; the rest is a hash of device id,
    time and session number.
    """
    digits = blake2b(f"{number} {t_ms} {device_id}".encode(), digest_size=10).hexdigest()
    time = f"{t_ms & _48_BITS:012x}"
    return f"{time[:8]}-{time[8:]}-8{digits[1:4]}-{_VARIANTS[digits[4]]}{digits[5:8]}-{digits[8:]}"
