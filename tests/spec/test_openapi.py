"""docs/openapi.yaml: it is OpenAPI, what is served is the same, and it says what the code says."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import schemathesis

from docs.generate_openapi import SERVED, document, served
from worker.config import Config
from worker.core.decode import Decoder
from worker.model.events import Reason
from worker.model.rules import IdentityRules, InputRules

ROOT = Path(__file__).parents[2]
DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
EVENTS = DOCUMENT["paths"]["/v1/events"]["post"]
EXAMPLES = EVENTS["requestBody"]["content"]["application/json"]["examples"]
LIMITS = InputRules()

ANSWERED_OTHERWISE = {"tombstone", "too_many_events"}
"""Reasons for a value that no request has, and for one that has a status of its own."""


def answer_of(name: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the example of an answer that bears the name of a request's."""
    ((status, body),) = [
        (int(status), media["examples"][name]["value"])
        for status, response in EVENTS["responses"].items()
        for media in response.get("content", {}).values()
        if name in media.get("examples", {})
    ]
    return status, body


def test_it_is_openapi() -> None:
    schemathesis.openapi.from_dict(document()).validate()


def test_what_is_served_is_the_document() -> None:
    assert SERVED.read_text() == served(), "make docs"


def test_it_lists_the_reasons_that_a_request_can_be_refused_with() -> None:
    assert (
        set(SCHEMAS["Refused"]["properties"]["reason"]["enum"]) == set(get_args(Reason)) - ANSWERED_OTHERWISE
    )


def test_its_limits_are_the_defaults() -> None:
    assert SCHEMAS["Events"]["maxItems"] == Config().collect.max_events
    assert SCHEMAS["Data"]["maxProperties"] == LIMITS.max_properties
    assert {SCHEMAS[name]["maxLength"] for name in ("Id", "OptionalId", "Text")} == {LIMITS.max_text_bytes}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_answered_by_the_reasons_of_the_workers_decoder(name: str) -> None:
    sent = EXAMPLES[name]["value"]
    elements = sent.get("batch", sent) if isinstance(sent, dict) else sent
    decoded = Decoder(LIMITS, IdentityRules()).decode(json.dumps(elements).encode())
    status, body = answer_of(name)
    assert body["accepted"] == len(decoded.events)
    assert body["refused"] == [
        {"index": each.index, "reason": each.reason, "detail": each.detail} for each in decoded.rejections
    ]
    assert status == (400 if decoded.rejections and not decoded.events else 200)


def test_every_example_of_an_answer_belongs_to_one_of_a_request() -> None:
    answered = {
        name
        for response in EVENTS["responses"].values()
        for media in response.get("content", {}).values()
        for name in media.get("examples", {})
    }
    assert answered == set(EXAMPLES)


def test_it_lists_every_error_that_the_code_answers() -> None:
    code = "".join(
        file.read_text()
        for folder in ("worker/collect", "worker/adapters/http")
        for file in sorted((ROOT / folder).glob("*.py"))
    )
    named = set(re.findall(r"\b[45]\d\d, \"(\w+)\"", code)) | set(re.findall(r"unavailable\(\"(\w+)\"", code))
    assert len(named) > 15
    listed = set(SCHEMAS["Error"]["properties"]["error"]["enum"])
    assert named <= listed
