"""Who visits the shop: each persona is one habit that makes sessions or identity interesting.

A persona plays its whole story on one device. It knows nothing of batches, topics or rules; what
a worker should make of it is said in its docstring only.
"""

from collections.abc import Callable

from worker.demo.device import HOUR_MS, MINUTE_MS, Device


def _passer_by(device: Device) -> None:
    """Comes once, looks at a few pages, says nothing."""
    device.browse(device.rng.randint(3, 18))


def _idler(device: Device) -> None:
    """Leaves the tab open: short pauses inside a session, long ones between."""
    for _ in range(device.rng.randint(2, 5)):
        device.browse(device.rng.randint(2, 8))
        device.wait(8 * MINUTE_MS, 26 * MINUTE_MS)
        device.browse(device.rng.randint(1, 5))
        device.be_away(35 * MINUTE_MS, 6 * HOUR_MS)


def _member(device: Device) -> None:
    """Looks around anonymously for a visit or two, then logs in in the middle of one, and comes back."""
    for _ in range(device.rng.randint(1, 2)):
        device.browse(device.rng.randint(3, 9))
        device.be_away(1 * HOUR_MS, 7 * HOUR_MS)
    device.browse(device.rng.randint(3, 8))
    user_id = device.log_in()
    for _ in range(device.rng.randint(1, 2)):
        device.browse(device.rng.randint(4, 12), user_id)
        device.be_away(1 * HOUR_MS, 9 * HOUR_MS)


def _family(device: Device) -> None:
    """A tablet on the sofa: one logs in and out, later another does."""
    device.sdk = "ios-5.1"
    for _ in range(2):
        device.browse(device.rng.randint(2, 5))
        user_id = device.log_in()
        device.browse(device.rng.randint(3, 9), user_id)
        device.track("logout")
        device.flush()
        device.be_away(2 * HOUR_MS, 8 * HOUR_MS)


def _commuter(device: Device) -> None:
    """Loses the network under ground: what was noted there arrives hours later, after newer events."""
    device.sdk = "android-7.0"
    device.browse(device.rng.randint(2, 6))
    device.offline = True
    device.browse(device.rng.randint(3, 9))
    held = device.hold_back()
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


def _time_traveller(device: Device) -> None:
    """Set the clock by hand, and wrong."""
    device.clock_ahead_ms = device.rng.randint(10, 90) * MINUTE_MS
    device.browse(device.rng.randint(3, 9))


CAST: tuple[Callable[[Device], None], ...] = (
    _member,
    _passer_by,
    _idler,
    _family,
    _commuter,
    _app_user,
    _time_traveller,
)
WEIGHTS = (22, 38, 18, 7, 8, 6, 1)
