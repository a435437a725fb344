"""How tokens are asked for, kept and renewed, and what is said where there is none."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from testing.kafka.certificates import Authority
from testing.kafka.tokens import TokenEndpoint
from worker.adapters.kafka import oauth_token
from worker.adapters.kafka.oauth_token import TokenClient, TokenRefused
from worker.config import Kafka

SECRET = "client secret: 100% + ü"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[TokenEndpoint]:
    with TokenEndpoint(tmp_path) as running:
        running.secrets["worker"] = SECRET
        yield running


def client(endpoint: TokenEndpoint, **options: Any) -> TokenClient:
    return TokenClient(Kafka(sasl_oauth_token_url=endpoint.url, sasl_oauth_client_id="worker", **options))


def token(of: TokenClient, secret: str = SECRET) -> str:
    return asyncio.run(of.token(secret))


def test_a_token_is_kept_for_four_fifths_of_its_lifetime(
    endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    of = client(endpoint)
    first = token(of)
    now_s += 0.79 * endpoint.lifetime_s
    assert token(of) == first
    now_s += 0.02 * endpoint.lifetime_s
    assert token(of) != first
    assert endpoint.asked == 2


def test_a_token_that_brokers_refused_and_one_of_unknown_lifetime_are_not_kept(
    endpoint: TokenEndpoint,
) -> None:
    of = client(endpoint)
    token(of)
    of.discard_token()
    token(of)
    endpoint.answer = (200, b'{"access_token": "abc"}')
    of.discard_token()
    assert (token(of), token(of), endpoint.asked) == ("abc", "abc", 4)


def test_the_scope_is_sent_where_there_is_one(endpoint: TokenEndpoint) -> None:
    token(client(endpoint, sasl_oauth_scope="kafka.read kafka.write"))
    token(client(endpoint))
    assert [form.get("scope") for form in endpoint.forms] == ["kafka.read kafka.write", None]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"access_token": 1}'),
        (200, b'{"access_token": "a\\u0001b", "expires_in": 1}'),
        (200, b'{"access_token": "abc", "expires_in": [1]}'),
        (200, b"[" * 100_000),
        (302, b""),
        (400, b'{"error": "invalid_scope"}'),
        (401, b"[1]"),
        (404, b"not here"),
    ],
)
def test_answers_that_no_waiting_will_change_are_refusals(
    endpoint: TokenEndpoint, status: int, body: bytes
) -> None:
    endpoint.answer = (status, body)
    with pytest.raises(TokenRefused, match=endpoint.url):
        token(client(endpoint))


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_endpoint_that_asks_for_patience_is_away(endpoint: TokenEndpoint, status: int) -> None:
    endpoint.answer = (status, b"")
    with pytest.raises(KafkaConnectionError, match=str(status)):
        token(client(endpoint))


def test_an_endpoint_that_does_not_answer_in_time_is_away(
    endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth_token, "_DEADLINE_S", 0.1)
    endpoint.delay_s = 0.5
    with pytest.raises(KafkaConnectionError, match="cannot be reached: TimeoutError"):
        token(client(endpoint))


def test_no_error_shows_the_secret_even_where_the_endpoint_does(endpoint: TokenEndpoint) -> None:
    endpoint.answer = (401, json.dumps({"error": "invalid_client", "error_description": SECRET}).encode())
    with pytest.raises(TokenRefused) as refused:
        token(client(endpoint))
    assert SECRET not in str(refused.value)
    assert "answers 401 (invalid_client: ***)" in str(refused.value)


def test_the_endpoints_certificate_is_checked(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "authority"), Authority(tmp_path / "other")
    with TokenEndpoint(tmp_path / "tokens", authority.issue("endpoint")) as endpoint:
        endpoint.secrets["worker"] = SECRET
        assert endpoint.url.startswith("https://")
        assert token(client(endpoint, sasl_oauth_cafile=str(authority.file)))
        with pytest.raises(TokenRefused, match=r"kafka\.sasl_oauth_cafile must hold the authority"):
            token(client(endpoint, sasl_oauth_cafile=str(other.file)))
