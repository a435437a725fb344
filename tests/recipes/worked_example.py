"""A traffic written by hand, and the figures of every recipe on it, which a reader can count."""

from typing import Any

from tests.builders import RawEvent, click, ms
from tests.recipes.figures import Row
from tests.recipes.raw_input import Lines

YEAR_LATER = 400 * 24
"""Hours; longer than state.retention_days."""


def lines() -> Lines:
    """Raw records, each device's with its reason to be there."""
    return [
        # A bounce.
        arrived(click("bouncer", "09:00:00", data={"url": "/sale"})),
        # Looks before she signs in, buys afterwards; on a second device she looks, signs out and looks again.
        arrived(
            click("laptop", "10:00:00", data={"url": "/blog", "referrer": "https://news.example/"}),
            click("laptop", "10:05:00", type="product_view"),
        ),
        arrived(click("laptop", "10:10:00", type="login", user="ann")),
        arrived(
            click("laptop", "10:20:00", type="add_to_cart"), click("laptop", "10:25:00", type="purchase")
        ),
        arrived(
            click("phone", "23:50:00", type="product_view", user="ann"),
            click("phone", "24:10:00", type="logout"),
            click("phone", "24:15:00", type="add_to_cart"),
        ),
        # Three sessions that become one: the purchase bears an id that was merged away twice.
        arrived(click("offline", "10:00:00", type="product_view")),
        arrived(click("offline", "10:50:00")),
        arrived(click("offline", "11:40:00", type="purchase")),
        arrived(click("offline", "11:15:00")),
        arrived(click("offline", "10:25:00", type="add_to_cart")),
        # A late login of another user cuts: 10:22 went out as dora's and is bob's now, as 11:30 is.
        arrived(click("shared", "10:00:00", user="dora"), click("shared", "10:22:00", type="product_view")),
        arrived(click("shared", "10:20:00", user="bob")),
        arrived(click("shared", "11:30:00", type="add_to_cart")),
        # Ten hours ahead: held to 10:05, before eve signs in at 10:10 and out at 11:00, so it is hers.
        arrived(click("ahead", "20:00:00", type="product_view"), at="10:00:00"),
        arrived(click("ahead", "10:10:00", type="login", user="eve")),
        arrived(click("ahead", "11:00:00", type="logout")),
        # She buys on another device, hours later.
        arrived(click("tv", "21:00:00", user="eve", type="purchase", data={"url": "/pay"})),
        # A passive event outside any session, and one that makes a bounce none.
        arrived(click("beating", "15:00:00", type="heartbeat")),
        arrived(click("beating", "16:00:00"), click("beating", "16:10:00", type="heartbeat")),
        # Buys first and looks afterwards.
        arrived(
            click("backwards", "10:00:00", type="purchase"),
            click("backwards", "10:01:00", type="add_to_cart"),
            click("backwards", "10:02:00", type="product_view"),
        ),
        # Buys before the cart, having looked before that.
        arrived(
            click("hasty", "10:00:00", type="product_view"),
            click("hasty", "10:01:00", type="purchase"),
            click("hasty", "10:02:00", type="add_to_cart"),
        ),
        # Two users at one instant: the link is vic's, but what una did stays hers.
        arrived(
            click("twins", "10:00:00", user="una", type="product_view"),
            click("twins", "10:00:00", user="vic", type="product_view"),
        ),
        # Two devices whose clients gave their sessions the same id; one of them buys.
        arrived(click("kiosk-1", "12:00:00", session="s1"), click("kiosk-1", "12:01:00", session="s1")),
        arrived(click("kiosk-2", "12:00:00", session="s1", type="purchase")),
        # A till with ten users: 08:10 went out as u0's, whose link was given up since. It is not u2's.
        arrived(click("till", "08:00:00", user="u0", type="login"), click("till", "08:10:00")),
        *(arrived(click("till", f"{8 + n:02}:00:00", user=f"u{n}", type="login")) for n in range(1, 10)),
        arrived(click("till", "08:05:00"), at="17:00:00"),
        # Expired, and another's when it comes back: what fay looked at stays hers.
        arrived(
            click("sold", "10:00:00", user="fay", type="login"),
            click("sold", "10:05:00", type="product_view"),
        ),
        arrived(click("sold", f"{YEAR_LATER}:00:00"), click("sold", f"{YEAR_LATER}:01:00", user="gil")),
    ]


def arrived(*events: RawEvent, at: str | None = None) -> dict[str, Any]:
    """A line of input: one batch, come in at its newest event's time if nothing else is said."""
    received_at = max(event["timestamp"] for event in events) if at is None else ms(at)
    return {"received_at": received_at, "value": list(events)}


FIGURES: dict[str, list[Row]] = {
    "sessions_a_day": [
        {
            "day": "2026-03-02",
            "sessions": 27,
            "devices": 15,
            "users": 15,  # ann, bob, eve, fay, vic, u0 to u9
            "still_open": 0,
            # bouncer laptop phone offline shared(2) ahead(2) beating backwards hasty twins kiosk(2) sold tv;
            # till(11: session 1 was evicted when 08:05 came)
            "events_a_session": (1 + 5 + 3 + 5 + 3 + 1 + 2 + 1 + 2 + 3 + 3 + 2 + 2 + 1 + 2 + 1 + 2 + 9 + 1)
            / 27,
            "minutes_a_session": (0 + 25 + 25 + 100 + 22 + 0 + 5 + 0 + 0 + 2 + 2 + 0 + 1 + 0 + 5 + 10) / 27,
        },
        {
            "day": "2027-04-06",
            "sessions": 1,
            "devices": 1,
            "users": 1,
            "still_open": 0,
            "events_a_session": 2.0,
            "minutes_a_session": 1.0,
        },
    ],
    "bounce_rate": [
        {"entry_type": entry_type, "sessions": sessions, "bounces": bounces, "bounce_percent": percent}
        for entry_type, sessions, bounces, percent in (
            ("login", 11, 9, 900 / 11),
            ("page_view", 7, 3, 300 / 7),  # bouncer, till, and beating: its second event is passive
            ("product_view", 5, 0, 0.0),
            ("purchase", 3, 2, 200 / 3),
            ("add_to_cart", 1, 1, 100.0),
            ("logout", 1, 1, 100.0),
        )
    ],
    "conversion": [
        {
            "counted_in": "closed sessions",
            "day": day,
            "sessions": sessions,
            "with_purchase": bought,
            "conversion_percent": 100 * bought / sessions,
            "purchases": bought,
        }
        # laptop, offline, backwards, hasty, kiosk-2, tv
        for day, sessions, bought in (("2026-03-02", 27, 6), ("2027-04-06", 1, 0))
    ],
    "funnel": [
        # ann, bob, eve, fay, una, vic, offline, backwards, hasty; ann, bob, offline, hasty; ann, offline
        {"step": 1, "type": "product_view", "people": 9, "known_users": 6, "percent_of_first": 100.0},
        {"step": 2, "type": "add_to_cart", "people": 4, "known_users": 2, "percent_of_first": 400 / 9},
        {"step": 3, "type": "purchase", "people": 2, "known_users": 1, "percent_of_first": 200 / 9},
    ],
    "whose_events": [
        {"as_delivered": before, "as_known_now": now, "events": events, "devices": devices}
        for before, now, events, devices in (
            ("device", "nobody", 1, 1),  # till
            ("device", "somebody", 7, 5),
            ("event", "somebody", 20, 8),
            ("nobody", "nobody", 20, 9),
            ("nobody", "somebody", 4, 3),  # laptop twice, ahead, sold
        )
    ],
    "active_users_a_day": [
        {"day": day, "people": people, "users": users, "devices": devices, "events": events}
        for day, people, users, devices, events in (
            # ann, bob, dora, eve, fay, una, vic, u0 to u9;
            # bouncer, offline, beating, backwards, hasty, both kiosks, till
            ("2026-03-02", 25, 17, 15, 48),
            ("2026-03-03", 2, 1, 1, 2),  # phone: ann signs out, and nobody looks on
            ("2027-04-06", 1, 1, 1, 2),
        )
    ],
    "sessions_per_user": [
        {
            "kind": kind,
            "people": people,
            "visits": visits,
            "visits_a_person": visits / people,
            "median_visits": middle,
            "most_visits": most,
        }
        for kind, people, visits, middle, most in (
            ("device", 8, 8, 1.0, 1),
            ("user", 16, 20, 1.0, 3),  # ann 2, bob 2, eve 3, fay, gil, vic, u0 to u9
        )
    ],
    "new_and_returning": [
        {"day": day, "visits": visits, "new_visitors": new, "returning_visits": again, "people": people}
        for day, visits, new, again, people in (
            ("2026-03-02", 27, 23, 4, 23),  # again: ann, bob, eve twice
            ("2027-04-06", 1, 1, 0, 1),
        )
    ],
    "first_touch": [
        {"landing_page": page, "referrer": referrer, "people": people, "known_users": users, "buyers": buyers}
        for page, referrer, people, users, buyers in (
            ("(none)", "(none)", 22, 15, 5),  # eve, offline, backwards, hasty, kiosk-2 buy
            ("/blog", "https://news.example/", 1, 1, 1),
            ("/sale", "(none)", 1, 0, 0),
        )
    ],
    "login_to_purchase": [
        # ann after 15 minutes, eve after 650 on the tv, the others not
        {
            "logged_in": 13,
            "bought": 2,
            "on_another_device": 1,
            "median_minutes": 332.5,
            "mean_minutes": 332.5,
        }
    ],
    "time_to_login": [
        # ann 10, eve 5, fay and u0 to u9 0
        {"users": 13, "at_once": 11, "median_minutes": 0.0, "mean_minutes": 15 / 13}
    ],
    "visit_length": [
        # 0 1 2 2 5 5 10 22 25 25 100
        {"day": "2026-03-02", "visits": 11, "bounces": 16, "median_minutes": 5.0, "mean_minutes": 197 / 11},
        {"day": "2027-04-06", "visits": 1, "bounces": 0, "median_minutes": 1.0, "mean_minutes": 1.0},
    ],
}
