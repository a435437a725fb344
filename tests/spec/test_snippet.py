"""The browser snippet as it is served: small, in ASCII, with nothing left out that is code."""

import re
from importlib import resources

from worker.collect.snippet import served

SOURCE = resources.files("worker.collect").joinpath("snippet.js").read_text()


def test_it_is_below_2_kb() -> None:
    assert len(served()) < 2_048


def test_no_comment_is_served_and_no_code_is_left_out() -> None:
    code = [line for line in SOURCE.splitlines() if not line.startswith("//")]
    assert served().decode("ascii").replace("\n", "") == "".join(code)


def test_a_line_of_code_holds_no_comment() -> None:
    code = [line for line in SOURCE.splitlines() if not line.startswith("//")]
    assert not [line for line in code if re.search(r"(?<!:)//|/\*", line)]
