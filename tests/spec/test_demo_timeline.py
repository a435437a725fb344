"""One device's timeline: its users, sessions and gaps, on a narrow screen."""

from tests.builders import ms
from worker.demo.timeline import PLAIN_MARKS, Marks, by_device, choose, draw
from worker.model.outputs import EnrichedEvent, Flag


def event(
    at: str,
    session: int,
    *,
    user: str | None = None,
    own: bool = False,
    flags: tuple[Flag, ...] = (),
    device: str = "d1",
) -> EnrichedEvent:
    return EnrichedEvent(
        id=f"{device}@{at}",
        type="login" if "linked" in flags else "page_view",
        device_id=device,
        timestamp=ms(at),
        user_id=user,
        user_source=None if user is None else "event" if own else "device",
        session_id=f"{device}/{session}",
        session_number=session,
        flags=flags,
    )


def story(device: str = "d1") -> list[EnrichedEvent]:
    """Anonymous in the morning; in the afternoon mia logs in; the next day she is known by the device."""
    morning = [event(f"09:0{minute}:00", 1, device=device) for minute in range(3)]
    before_login = [event(f"14:0{minute}:00", 2, device=device) for minute in range(4)]
    login = [event("14:04:00", 2, user="mia", own=True, flags=("linked",), device=device)]
    after_login = [event(f"14:0{minute}:00", 2, user="mia", device=device) for minute in range(5, 9)]
    order = [event("14:09:30", 2, user="mia", own=True, device=device)]
    next_day = [event(f"32:0{minute}:00", 3, user="mia", device=device) for minute in range(5)]
    return [*morning, *before_login, *login, *after_login, *order, *next_day]


def test_the_picture_of_a_login_that_claims_the_past() -> None:
    lines = [line.rstrip() for line in draw(story(), Marks()).plain.splitlines()]
    assert lines == [
        "  Mon 02 Mar",
        "  09:00  ○──○──○                               session 1: 3 events, 2 min",
        "         ○ 3 anonymous, claimed for mia by the login",
        "         ┊ 4 h 58 min without an event",
        "  14:00  ○──○──○──○──◆──●──●──●──●───●         session 2: 10 events, 9 min",
        "         ○ 4 anonymous, claimed for mia by the login",
        "         ◆ 14:04 login: the device is mia's, and its earlier events too",
        "         ● 5 of mia, known 4 by the device, 1 by the event",
        "         ┊ 17 h 50 min without an event",
        "  Tue 03 Mar",
        "  08:00  ●──●──●──●──●                         session 3: 5 events, 4 min",
        "         ● 5 of mia, known 5 by the device",
        "",
        "  ○ user not known yet   ● user known   ◆ login   ─ 20 s   (times in UTC)",
    ]


def test_without_unicode_the_picture_is_ascii() -> None:
    assert draw(story(), PLAIN_MARKS).plain.isascii()


def test_the_picture_fits_eighty_columns_also_with_an_hour_long_session() -> None:
    long = [
        event(f"{hour}:{minute:02}:30", 4, user="mia") for hour in (40, 41, 42) for minute in range(0, 60, 7)
    ]
    assert max(map(len, draw([*story(), *long], Marks()).plain.splitlines())) <= 80


def test_the_device_with_an_anonymous_past_and_a_login_is_chosen() -> None:
    passer_by = [event(f"10:0{minute}:00", 1, device="d0") for minute in range(9)]
    known_at_once = [event("10:00:00", 1, user="bo", own=True, flags=("linked",), device="d2")]
    devices = by_device([*passer_by, *story(), *known_at_once])
    assert choose(devices) == "d1"


def test_no_device_is_chosen_where_nobody_logged_in() -> None:
    assert choose(by_device([event("10:00:00", 1)])) is None
    assert choose({}) is None
