"""Who visits the shop: each persona has one habit that matters to sessions or identity.

Decides what a visitor does on one device. Knows nothing of batches, topics or the worker's rules.
"""

from collections.abc import Callable

from worker.demo.device import HOUR_MS, MINUTE_MS, Device


def _passer_by(device: Device) -> None:
    """Comes once, looks at a few pages, never logs in."""
    device.browse(device.rng.randint(3, 18))


def _idler(device: Device) -> None:
    """Leaves the tab open: short pauses inside a session, long ones between."""
    for _ in range(device.rng.randint(2, 5)):
        device.browse(device.rng.randint(2, 8))
        device.wait(8 * MINUTE_MS, 26 * MINUTE_MS)
        device.browse(device.rng.randint(1, 5))
        device.be_away(35 * MINUTE_MS, 6 * HOUR_MS)


def _member(device: Device) -> None:
    """Comes once or twice anonymously, logs in during the next visit, and comes back."""
    for _ in range(device.rng.randint(1, 2)):
        device.browse(device.rng.randint(3, 9))
        device.be_away(1 * HOUR_MS, 7 * HOUR_MS)
    device.browse(device.rng.randint(3, 8))
    user_id = device.log_in()
    for _ in range(device.rng.randint(1, 2)):
        device.browse(device.rng.randint(4, 12), user_id)
        device.be_away(1 * HOUR_MS, 9 * HOUR_MS)


def _family(device: Device) -> None:
    """A shared tablet: one user logs in and out, later another one does."""
    device.sdk = "ios-5.1"
    for _ in range(2):
        device.browse(device.rng.randint(2, 5))
        user_id = device.log_in()
        device.browse(device.rng.randint(3, 9), user_id)
        device.track("logout")
        device.flush()
        device.be_away(2 * HOUR_MS, 8 * HOUR_MS)


def _commuter(device: Device) -> None:
    """Loses the network in a tunnel: the events from there arrive hours later, after newer ones."""
    device.sdk = "android-7.0"
    device.browse(device.rng.randint(2, 6))
    device.offline = True
    device.browse(device.rng.randint(3, 9))
    held = device.take_queue()
    device.offline = False
    device.be_away(1 * HOUR_MS, 5 * HOUR_MS)
    device.browse(device.rng.randint(2, 6))
    device.post(held)
    device.browse(device.rng.randint(1, 4))


def _app_user(device: Device) -> None:
    """Uses an app that names its sessions itself, and keeps the name over a long pause."""
    device.sdk = "android-7.0"
    for _ in range(device.rng.randint(1, 3)):
        device.session_id = f"app-{device.rng.getrandbits(32):08x}"
        device.browse(device.rng.randint(3, 8))
        device.wait(20 * MINUTE_MS, 50 * MINUTE_MS)
        device.browse(device.rng.randint(1, 6))
        device.be_away(2 * HOUR_MS, 9 * HOUR_MS)


def _wrong_clock(device: Device) -> None:
    """Has a device whose clock is ahead."""
    device.clock_ahead_ms = device.rng.randint(10, 90) * MINUTE_MS
    device.browse(device.rng.randint(3, 9))


PERSONAS: tuple[Callable[[Device], None], ...] = (
    _member,
    _passer_by,
    _idler,
    _family,
    _commuter,
    _app_user,
    _wrong_clock,
)
WEIGHTS = (22, 38, 18, 7, 8, 6, 1)
