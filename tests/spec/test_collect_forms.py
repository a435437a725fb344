"""The form of a body that nests deep is found by its brackets, and no stack decides it."""

import pytest

from worker.collect.forms import read_form

GOOD = b'{"id":"e1"}'
DEPTHS = [67, 400, 800, 1_000, 1_600, 5_000]


@pytest.mark.parametrize("levels", [1, 64, 65, *DEPTHS])
def test_an_array_is_found_whatever_nests_in_it(levels: int) -> None:
    array = b"[%b,%b%b]" % (GOOD, b"[" * levels, b"]" * levels)

    assert read_form(b'{"sent_at":1,"events":%b,"write_key":"k"}' % array, 500, 64).value == array


@pytest.mark.parametrize("levels", DEPTHS)
def test_what_nests_too_deep_before_an_array_makes_the_body_no_envelope(levels: int) -> None:
    body = b'{"context":%b%b,"events":[%b]}' % (b"[" * levels, b"]" * levels, GOOD)

    assert read_form(body, 500, 64).value == body


@pytest.mark.parametrize("levels", DEPTHS[1:])
def test_what_nests_too_deep_behind_an_array_is_left_with_it(levels: int) -> None:
    array = b'[%b],"context":%b%b}' % (GOOD, b"[" * levels, b"]" * levels)

    assert read_form(b'{"events":' + array, 500, 64).value == array
