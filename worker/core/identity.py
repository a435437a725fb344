"""Which user an event belongs to, and how a device's timeline of links grows.

Knows one device's timeline and nothing else: no sessions, no other device. Invariant: links are in order of
time, at most one at any instant, neighbours have different users, at most ``MAX_LINKS`` (the newest are
kept); once one was given up, what is older than those that are kept is nobody's. Rules: docs/sessions.md,
Users.
"""

from worker.model.state import Link, Timeline

MAX_LINKS = 8


def user_at(timeline: Timeline, t_ms: int) -> str | None:
    """The user that the device is linked to at ``t_ms``: None for nobody.

    The link in force is the newest with ``since_ms <= t_ms``. Before the first link it is the first link's
    user: what a device did before its first login belongs to the user who then logged in. Once links were
    given up the first one that is left is not the first login, and claims nothing.

    >>> links = (Link(1_000, "ann"), Link(5_000, None), Link(9_000, "bob"))
    >>> [user_at(Timeline(links), t_ms) for t_ms in (999, 1_000, 4_999, 5_000, 9_000)]
    ['ann', 'ann', 'ann', None, 'bob']
    >>> user_at(Timeline(links, since_ms=1_000), 999) is None
    True
    """
    links = timeline.links
    if not links:
        return None
    for link in reversed(links):
        if link.since_ms <= t_ms:
            return link.user_id
    return None if timeline.since_ms else links[0].user_id


def unlinked(timeline: Timeline, t_ms: int) -> Timeline | None:
    """The timeline after a logout at ``t_ms``: nobody from the next millisecond on. None: it stays as it is.

    So it does where nobody is in force at ``t_ms``, and where a login has that next millisecond already: it
    came after the logout.

    >>> unlinked(Timeline((Link(1_000, "ann"),)), 5_000)
    Timeline(links=(Link(since_ms=1000, user_id='ann'), Link(since_ms=5001, user_id=None)), since_ms=0)
    """
    links = timeline.links
    position = _links_until(links, t_ms)
    if not position or links[position - 1].user_id is None:
        return None
    after = links[position:]
    if after and after[0].since_ms == t_ms + 1:
        return None
    if after and after[0].user_id is None:
        after = after[1:]
    return _bounded((*links[:position], Link(t_ms + 1, None), *after), timeline.since_ms)


def linked(timeline: Timeline, t_ms: int, user_id: str) -> Timeline | None:
    """The timeline after an event of ``user_id`` at ``t_ms``; None where it stays as it is.

    A link is added where another user, nobody or no link is in force at ``t_ms``; it replaces one at the same
    instant. A late link may so cut a stretch in which the other user was seen again. Once links were given
    up, what is older than those that are kept changes nothing, whoever it is: links between are not known.

    >>> linked(Timeline((Link(1_000, "ann"),)), 5_000, "bob")
    Timeline(links=(Link(since_ms=1000, user_id='ann'), Link(since_ms=5000, user_id='bob')), since_ms=0)
    """
    links = timeline.links
    position = _links_until(links, t_ms)
    if position:
        if links[position - 1].user_id == user_id:
            return None
    elif timeline.since_ms:
        return None
    before = links[: position - 1] if position and links[position - 1].since_ms == t_ms else links[:position]
    after = links[position:]
    if before and before[-1].user_id == user_id:
        links = before + after[1:] if after and after[0].user_id == user_id else before + after
    elif after and after[0].user_id == user_id:
        links = (*before, Link(t_ms, user_id), *after[1:])
    else:
        links = (*before, Link(t_ms, user_id), *after)
    return _bounded(links, timeline.since_ms)


def _links_until(links: tuple[Link, ...], t_ms: int) -> int:
    """How many links begin at ``t_ms`` or before: the last of them is in force there."""
    position = len(links)
    while position and links[position - 1].since_ms > t_ms:
        position -= 1
    return position


def _bounded(links: tuple[Link, ...], since_ms: int) -> Timeline:
    """The newest of the links; ``since_ms`` is that of the timeline before, 0 where none was given up."""
    kept = links[-MAX_LINKS:]
    return Timeline(kept, kept[0].since_ms if since_ms or len(links) > MAX_LINKS else 0)
