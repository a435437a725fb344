"""The table of topics, and what must follow it: options, and whatever repeats a topic in other words."""

from typing import get_args

from msgspec import structs

from worker.config.options import Topics
from worker.model.topics import TOPICS, Role


def test_every_role_has_a_row() -> None:
    assert sorted(TOPICS) == sorted(get_args(Role))


def test_every_topic_has_an_option_with_its_default_name() -> None:
    options = {field.name: field.default for field in structs.fields(Topics)}
    assert options == {role: spec.default_name for role, spec in TOPICS.items()}
