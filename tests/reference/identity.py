"""The identity rules of docs/sessions.md, as slowly and plainly as they can be said.

Written from the rules, not from ``worker.core``. Links are (since, user) pairs in order of time; the user is
None from a logout on.
"""

from typing import NamedTuple

LINKS = 8

Links = list[tuple[int, str | None]]


class Timeline(NamedTuple):
    """A device's links, and whether older ones were given up."""

    links: Links
    gave_up: bool


NO_LINKS = Timeline([], gave_up=False)


def known_since(timeline: Timeline) -> int | None:
    """From when on the timeline says whose the device was; None when it says so of all times."""
    return timeline.links[0][0] if timeline.gave_up else None


def is_given_up(timeline: Timeline, t: int) -> bool:
    """Whether t is older than all that is kept, where something was given up."""
    since = known_since(timeline)
    return since is not None and t < since


def user_in_force(timeline: Timeline, t: int) -> str | None:
    """The user of the last link not after t; None before the first one, and after a logout."""
    user = None
    for since, linked_user in timeline.links:
        if since <= t:
            user = linked_user
    return user


def user_of_event_without_one(timeline: Timeline, t: int) -> str | None:
    """The user in force at t; before the device's first link its user, for the earlier events are theirs."""
    if timeline.links and not timeline.gave_up and t < timeline.links[0][0]:
        return timeline.links[0][1]
    return user_in_force(timeline, t)


def linked(timeline: Timeline, t: int, user: str) -> Timeline:
    """The timeline after an event of that user at t."""
    if user_in_force(timeline, t) == user or is_given_up(timeline, t):
        return timeline
    return with_link(timeline, t, user)


def logged_out(timeline: Timeline, t: int) -> Timeline:
    """The timeline after a logout at t: nobody from t + 1.

    Not where there is nobody to log out, nor where a link begins there already.
    """
    if user_in_force(timeline, t) is None or t + 1 in [since for since, _ in timeline.links]:
        return timeline
    return with_link(timeline, t + 1, None)


def with_link(timeline: Timeline, since: int, user: str | None) -> Timeline:
    """The timeline with this link, in place of one at the very same time; the newest are kept."""
    others = [link for link in timeline.links if link[0] != since]
    links = one_link_for_neighbours(sorted([*others, (since, user)], key=lambda link: link[0]))
    return Timeline(links[-LINKS:], timeline.gave_up or len(links) > LINKS)


def one_link_for_neighbours(links: Links) -> Links:
    """Of neighbours with the same user the earliest says it all."""
    result: Links = []
    for link in links:
        if not result or result[-1][1] != link[1]:
            result.append(link)
    return result
