"""docs/openapi.yaml against a collector on a real broker: its examples, and requests made from its schemas.

schemathesis makes the requests, right ones and wrong ones, and compares each answer with the document. What a
schema cannot say (which events are refused, and why) is compared with the worker's decoder.
``SESSIONIZER_TEST_REQUESTS`` says how many requests are made of each operation that has a body or parameters.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks

from docs.generate_openapi import document
from tests.conftest import Kafka
from tests.integration.collect_place import KEY, CollectPlace, collecting
from worker.core.decode import Decoder
from worker.model.rules import IdentityRules, InputRules

REQUESTS = int(os.environ.get("SESSIONIZER_TEST_REQUESTS", "150"))
EVENTS = "/v1/events"
EVENT_NAMES = {"id", "event_id", "type", "event", "device_id"}
SCHEMA = schemathesis.openapi.from_dict(document())
EXAMPLES = SCHEMA.raw_schema["paths"][EVENTS]["post"]["requestBody"]["content"]["application/json"][
    "examples"
]

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]
"""Not ``negative_data_rejection`` and ``positive_data_acceptance``: an event that a schema calls wrong costs
itself only, and ids that name nobody are right by any schema. ``as_the_worker_says`` is in their place.
"""

decode = Decoder(InputRules(), IdentityRules()).decode


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectPlace]:
    directory = tmp_path_factory.mktemp("collect-openapi")
    with collecting(kafka.bootstrap_servers, directory) as place:
        yield place


def value_of(body: bytes) -> bytes:
    """The value of which the body is a form: what is in an envelope, else the body."""
    try:
        sent = json.loads(body)
    except ValueError:
        return body
    if isinstance(sent, dict) and not sent.keys() & EVENT_NAMES:
        values = [sent[name] for name in ("events", "batch") if name in sent]
        if len(values) == 1:
            return json.dumps(values[0]).encode()
    return body


def as_the_worker_says(answer: dict[str, Any], status: int, body: bytes) -> None:
    """The answer names exactly the events that the worker would refuse, with its reasons."""
    decoded = decode(value_of(body))
    refused = [(each.index, each.reason, each.detail) for each in decoded.rejections]
    named = [(each["index"], each["reason"], each["detail"]) for each in answer["refused"]]
    assert named == refused[:100]
    assert answer.get("refused_total", len(named)) == len(refused)
    assert answer["accepted"] == len(decoded.events)
    assert status == (400 if refused and not decoded.events else 200)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_answered_as_the_document_says(name: str, place: CollectPlace) -> None:
    answer = requests.post(
        place.collector.url + EVENTS, json=EXAMPLES[name]["value"], headers={"X-Write-Key": KEY}, timeout=30
    )
    responses = SCHEMA.raw_schema["paths"][EVENTS]["post"]["responses"]
    expected = responses[str(answer.status_code)]["content"]["application/json"]["examples"][name]["value"]
    found = answer.json()
    if "received_at" in found:
        found["received_at"] = expected["received_at"]
    assert found == expected


def validated(case: schemathesis.Case[Any], place: CollectPlace) -> schemathesis.Response:
    """The answer, which is one of those that the document has."""
    response = case.call(base_url=place.collector.url, headers={"Authorization": f"Bearer {KEY}"})
    case.validate_response(response, checks=CHECKS)
    return response


@SCHEMA.parametrize()
@hypothesis.settings(max_examples=REQUESTS, suppress_health_check=list(hypothesis.HealthCheck))
def test_every_answer_is_one_of_the_document(case: schemathesis.Case[Any], place: CollectPlace) -> None:
    response = validated(case, place)
    if response.status_code == 409 or b"malformed_encoding" in response.content:
        # Short keys are soon used again, and no generated body is packed: once more without either.
        for name in ("Idempotency-Key", "Content-Encoding"):
            case.headers.pop(name, None)
        case.query.pop("idempotency_key", None)
        response = validated(case, place)
    if case.path == EVENTS and response.request.method == "POST" and response.status_code in {200, 400}:
        answer = response.json()
        if "refused" in answer:
            sent = response.request.body or b""
            assert isinstance(sent, str | bytes)
            as_the_worker_says(answer, response.status_code, sent.encode() if isinstance(sent, str) else sent)
