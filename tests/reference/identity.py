"""The identity rules of docs/sessions.md, as slowly and plainly as they can be said.

Written from the rules, not from ``worker.core``. A timeline is a list of (since, user) pairs in order of
time; the user is None from a logout on.
"""

LINKS = 8

Timeline = list[tuple[int, str | None]]


def link_in_force(links: Timeline, t: int) -> tuple[int, str | None] | None:
    """The last link not after t; None before the first link, and without links."""
    in_force = None
    for link in links:
        if link[0] <= t:
            in_force = link
    return in_force


def user_in_force(links: Timeline, t: int) -> str | None:
    """The user of the link in force; None where there is no link yet, and after a logout."""
    link = link_in_force(links, t)
    return None if link is None else link[1]


def user_of_event_without_one(links: Timeline, t: int) -> str | None:
    """The user in force at t; before the first link its user, for the device's earlier events are theirs."""
    if links and link_in_force(links, t) is None:
        return links[0][1]
    return user_in_force(links, t)


def linked(links: Timeline, t: int, user: str) -> Timeline:
    """The timeline after an event of that user at t. One older than all of the links that are kept at most
    changes nothing.
    """
    if user_in_force(links, t) == user or is_older_than_all_that_is_kept(links, t):
        return links
    return with_link(links, t, user)


def logged_out(links: Timeline, t: int) -> Timeline:
    """The timeline after a logout at t: nobody from t + 1.

    Not where there is nobody to log out, nor where a link begins there already.
    """
    if user_in_force(links, t) is None or t + 1 in [since for since, _ in links]:
        return links
    if is_older_than_all_that_is_kept(links, t):
        return links
    return with_link(links, t + 1, None)


def is_older_than_all_that_is_kept(links: Timeline, t: int) -> bool:
    """Whether t is before the oldest link of a full timeline."""
    return len(links) == LINKS and t < links[0][0]


def with_link(links: Timeline, since: int, user: str | None) -> Timeline:
    """The timeline with this link, in place of one at the very same time."""
    others = [link for link in links if link[0] != since]
    return newest_links(one_link_for_neighbours(sorted([*others, (since, user)], key=lambda link: link[0])))


def one_link_for_neighbours(links: Timeline) -> Timeline:
    """Of neighbours with the same user the earliest says it all."""
    result: Timeline = []
    for link in links:
        if not result or result[-1][1] != link[1]:
            result.append(link)
    return result


def newest_links(links: Timeline) -> Timeline:
    """The newest by time; older ones are given up."""
    return links[-LINKS:]
