"""The browser snippet as it is served: its commented source without comments and most line ends.

Decides what is left out; knows nothing of what the snippet does. Invariants: a comment has lines of its own
and no text of the source spans lines, so that leaving them out changes nothing; what is served is below 2 KB.
"""

import re
from importlib import resources


def served() -> bytes:
    """What ``GET /s.js`` answers: JavaScript in ASCII."""
    source = resources.files("worker.collect").joinpath("snippet.js").read_text("ascii")
    lines = [line for line in source.splitlines() if not line.startswith("//")]
    return re.sub(r"(?<=[,;{])\n", "", "\n".join(lines)).encode("ascii")
