"""Which user an event belongs to, and how a device's timeline of links grows.

Knows one device's links and nothing else: no sessions, no other device. Invariant: links are in order of
time, at most one at any instant, neighbours have different users, at most ``MAX_LINKS`` (the newest are
kept). Rules: docs/sessions.md, Users.
"""

from worker.model.state import Link

MAX_LINKS = 8


def user_at(links: tuple[Link, ...], t_ms: int) -> str | None:
    """The user that the device is linked to at ``t_ms``: None for nobody.

    The link in force is the newest with ``since_ms <= t_ms``. Before the first link it is the first link's
    user: what a device did before its first login belongs to the user who then logged in.

    >>> links = (Link(1_000, "ann"), Link(5_000, None), Link(9_000, "bob"))
    >>> [user_at(links, t_ms) for t_ms in (999, 1_000, 4_999, 5_000, 9_000)]
    ['ann', 'ann', 'ann', None, 'bob']
    """
    if not links:
        return None
    for link in reversed(links):
        if link.since_ms <= t_ms:
            return link.user_id
    return links[0].user_id


def unlinked(links: tuple[Link, ...], t_ms: int) -> tuple[Link, ...]:
    """The timeline after a logout at ``t_ms``: nobody from the next millisecond on.

    The very same object where nobody is in force at ``t_ms``, and where a login has that next millisecond
    already: it came after the logout.

    >>> unlinked((Link(1_000, "ann"),), 5_000)
    (Link(since_ms=1000, user_id='ann'), Link(since_ms=5001, user_id=None))
    """
    position = len(links)
    while position and links[position - 1].since_ms > t_ms:
        position -= 1
    if not position or links[position - 1].user_id is None:
        return links
    after = links[position:]
    if after and after[0].since_ms == t_ms + 1:
        return links
    if after and after[0].user_id is None:
        after = after[1:]
    return (*links[:position], Link(t_ms + 1, None), *after)[-MAX_LINKS:]


def linked(links: tuple[Link, ...], t_ms: int, user_id: str) -> tuple[Link, ...]:
    """The timeline after an event of ``user_id`` at ``t_ms``; the very same object when nothing changes.

    A link is added where another user, nobody or no link is in force at ``t_ms``; it replaces one at the same
    instant. A late link may so cut a stretch in which the other user was seen again. What is older than all
    of ``MAX_LINKS`` links changes nothing, whoever it is: links between may have been given up.

    >>> linked((Link(1_000, "ann"),), 5_000, "bob")
    (Link(since_ms=1000, user_id='ann'), Link(since_ms=5000, user_id='bob'))
    """
    position = len(links)
    while position and links[position - 1].since_ms > t_ms:
        position -= 1
    if position:
        if links[position - 1].user_id == user_id:
            return links
    elif len(links) == MAX_LINKS:
        return links
    before = links[: position - 1] if position and links[position - 1].since_ms == t_ms else links[:position]
    after = links[position:]
    if before and before[-1].user_id == user_id:
        timeline = before + after[1:] if after and after[0].user_id == user_id else before + after
    elif after and after[0].user_id == user_id:
        timeline = (*before, Link(t_ms, user_id), *after[1:])
    else:
        timeline = (*before, Link(t_ms, user_id), *after)
    return timeline[-MAX_LINKS:]
