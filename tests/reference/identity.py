"""The identity rules of docs/semantics.md, as slowly and plainly as they can be said.

Written from the rules, not from ``worker.core``. A timeline is a list of (since, user) pairs in order of
time.
"""

LINKS = 8

Timeline = list[tuple[int, str]]


def user_in_force(links: Timeline, t: int) -> str | None:
    """The user of the last link not after t; None before the first link, and without links."""
    in_force = None
    for since, user in links:
        if since <= t:
            in_force = user
    return in_force


def user_of_event_without_one(links: Timeline, t: int) -> str | None:
    """The link in force at t; before the first link its user, for the device's earlier events are theirs."""
    in_force = user_in_force(links, t)
    if in_force is None and links:
        return links[0][1]
    return in_force


def linked(links: Timeline, t: int, user: str) -> Timeline:
    """The timeline after an event of that user at t."""
    if user_in_force(links, t) == user:
        return links
    others = [link for link in links if link[0] != t]
    return newest_links(one_link_for_neighbours(sorted([*others, (t, user)])))


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
