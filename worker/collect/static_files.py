"""The files that the HTTPS API serves: bytes in memory, read once at the start.

Decides their paths, types and how long a cache may keep them. Invariant: no path of a request ever becomes a
path of a file.
"""

from importlib.resources import files

from worker.collect import snippet
from worker.collect.answers import Answer, static

_AN_HOUR = "public, max-age=3600"


def static_answers() -> dict[bytes, Answer]:
    """The answer to each path that has a file. Raises OSError where one cannot be read."""
    openapi = files("worker.collect").joinpath("openapi.json").read_bytes()
    return {
        b"/s.js": static(snippet.served(), "text/javascript; charset=utf-8", _AN_HOUR),
        b"/openapi.json": static(openapi, "application/json", _AN_HOUR),
    }
