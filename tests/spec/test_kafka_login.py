"""What a login is, how often a refused one is tried, and what is done about files that change."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, SaslAuthenticationFailed
from msgspec import structs

from worker import telemetry
from worker.adapters.kafka import login as kafka_login
from worker.adapters.kafka.login import MOST_TRIES, WAITS_S, Login, LoginConnectionError
from worker.config import Kafka, Secret
from worker.errors import Fatal, LoginRefused

A, B = "kafka-1:9093", "kafka-2:9093"
WRONG = SaslAuthenticationFailed("invalid credentials")
UNTRUSTED = ssl.SSLCertVerificationError("certificate has expired")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait in front of a login that is not to be tried yet, and for one's turn."""
    monkeypatch.setattr(kafka_login, "_TURN_S", 0.05)


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[telemetry.LogEvent]:
    """What was logged."""
    events: list[telemetry.LogEvent] = []
    monkeypatch.setattr(telemetry, "emit", events.append)
    return events


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def login(clock: Clock | None = None, **options: Any) -> Login:
    kafka = Kafka(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="worker",
        sasl_password=Secret("hunter2"),
    )
    return Login(structs.replace(kafka, **options), lambda _: ssl.create_default_context(), clock or Clock())


async def _tried(of: Login, address: str, outcome: BaseException | None) -> Exception | None:
    """What an attempt ends with where connecting ends with ``outcome``."""
    try:
        async with of.attempt(address):
            if outcome is not None:
                raise outcome
    except KafkaError as error:
        failed: Exception = error
        return failed
    return None


def tried(of: Login, address: str, outcome: BaseException | None = None) -> Exception | None:
    return asyncio.run(_tried(of, address, outcome))


def test_a_refused_login_is_tried_six_times_in_two_minutes_and_then_ends_the_worker(
    emitted: list[telemetry.LogEvent],
) -> None:
    clock = Clock()
    of = login(clock)
    for wait_s in (0.0, *WAITS_S):
        of.check()
        clock.now_s += wait_s
        assert isinstance(tried(of, A, WRONG), LoginConnectionError)
    assert (MOST_TRIES, clock.now_s) == (6, 120.0)
    with pytest.raises(Fatal) as ended:
        of.check()
    assert str(ended.value) == (
        'kafka-1:9093 refuses the login of "worker" by SASL_PLAINTEXT with PLAIN: invalid credentials: '
        "set kafka.sasl_username and kafka.sasl_password (tried 6 times in 120 s)"
    )
    counted = [event.attempt for event in emitted if isinstance(event, telemetry.AuthenticationFailed)]
    assert counted == [1, 2, 4]


def test_between_two_tries_nobody_connects_to_any_broker() -> None:
    clock = Clock()
    of = login(clock)
    tried(of, A, WRONG)
    clock.now_s += WAITS_S[0] - 0.1
    for address in (A, B):
        assert "tried again in" in str(tried(of, address, AssertionError("it was tried")))


def test_of_many_clients_at_once_one_sends_a_wrong_password() -> None:
    of, sent = login(), 0

    async def connect() -> None:
        nonlocal sent
        async with of.attempt(A):
            sent += 1
            await asyncio.sleep(0)
            raise WRONG

    async def scenario() -> None:
        outcomes = await asyncio.gather(*(connect() for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LoginConnectionError}

    asyncio.run(scenario())
    assert sent == 1


def test_a_silent_broker_does_not_hold_up_the_others() -> None:
    of = login()

    async def scenario() -> None:
        async with of.attempt(A):  # it never answers
            assert await _tried(of, B, None) is None

    asyncio.run(scenario())


def test_a_broker_that_is_away_is_no_refusal_however_often() -> None:
    of = login()
    for error in (OSError("refused"), TimeoutError(), KafkaConnectionError("closed"), ssl.SSLEOFError("eof")):
        for _ in range(10):
            with pytest.raises(type(error)):
                asyncio.run(_raised(of, error))
    of.check()
    assert of.newest_refusal() is None


async def _raised(of: Login, error: Exception) -> None:
    async with of.attempt(A):
        raise error


def test_an_error_that_the_client_does_not_expect_becomes_one_that_it_does() -> None:
    """Any other would end its background tasks for good."""
    assert type(tried(login(), A, RuntimeError("of a library"))) is KafkaConnectionError
    assert type(tried(login(), A, ValueError("Server sent wrong signature!"))) is LoginConnectionError


def test_a_certificate_that_is_refused_concerns_that_broker_alone() -> None:
    clock = Clock()
    of = login(clock)
    tried(of, A, UNTRUSTED)
    assert tried(of, B) is None
    assert isinstance(tried(of, A), LoginConnectionError)


def test_where_one_broker_lets_us_in_another_that_refuses_is_no_reason_to_end() -> None:
    clock = Clock()
    of = login(clock)
    for _ in range(MOST_TRIES + 2):
        tried(of, A, WRONG)
        clock.now_s += WAITS_S[-1]
        assert tried(of, B) is None
    of.check()
    assert of.newest_refusal() is None


def test_a_broker_that_refuses_for_long_does_not_hide_that_all_do() -> None:
    clock = Clock()
    of = login(clock)
    tried(of, A, UNTRUSTED)
    clock.now_s = 1_000_000.0
    assert tried(of, B) is None
    for wait_s in (1.0, *WAITS_S):
        clock.now_s += wait_s
        tried(of, B, WRONG)
    with pytest.raises(Fatal, match="tried 6 times in 120 s"):
        of.check()


def test_a_success_begins_the_count_again() -> None:
    clock = Clock()
    of = login(clock)
    for _ in range(MOST_TRIES):
        tried(of, A, WRONG)
        clock.now_s += WAITS_S[-1]
        tried(of, A)
    of.check()


def test_brokers_that_refuse_one_account_are_counted_together() -> None:
    clock = Clock()
    of = login(clock)
    for number, wait_s in enumerate((0.0, *WAITS_S)):
        clock.now_s += wait_s
        tried(of, (A, B)[number % 2], WRONG)
    with pytest.raises(Fatal, match="tried 6 times"):
        of.check()


def test_a_broker_that_went_away_after_it_refused_is_away() -> None:
    clock = Clock()
    of = login(clock)
    tried(of, A, WRONG)
    clock.now_s += WAITS_S[0]
    tried(of, A, KafkaConnectionError("closed"))
    assert of.newest_refusal() is None


def test_the_newest_refusal_is_what_a_question_to_the_brokers_fails_with() -> None:
    of = login()
    tried(of, A, WRONG)
    refused = of.newest_refusal()
    assert isinstance(refused, LoginRefused)
    assert "hunter2" not in str(refused)


# --- files -------------------------------------------------------------------------------------------------


def password_of(of: Login) -> str:
    return str(of.options()["sasl_plain_password"])


def test_a_changed_password_file_is_used_at_the_next_attempt_and_tried_at_once(
    tmp_path: Path, emitted: list[telemetry.LogEvent]
) -> None:
    file, authority = tmp_path / "password", tmp_path / "authority.pem"
    file.write_text("first\n")
    authority.write_text("the same all the time")
    of = login(sasl_password=Secret.read(file), ssl_cafile=str(authority))
    tried(of, A, WRONG)
    file.write_text("second\n")
    assert tried(of, A) is None
    assert password_of(of) == "second"
    assert emitted[-1] == telemetry.CredentialsReloaded(files=[str(file)])


def test_a_file_that_is_empty_or_gone_for_a_moment_is_logged_once_and_changes_nothing(
    tmp_path: Path, emitted: list[telemetry.LogEvent]
) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    of = login(sasl_password=Secret.read(file))
    file.write_text("")
    assert (tried(of, A), tried(of, A), password_of(of)) == (None, None, "first")
    file.unlink()
    assert (tried(of, A), password_of(of)) == (None, "first")
    assert emitted == [
        telemetry.CredentialsUnusable(reason=f"{file} is empty"),
        telemetry.CredentialsUnusable(reason=f"{file} cannot be read: No such file or directory"),
    ]
    file.write_text("second")
    assert (tried(of, A), password_of(of)) == (None, "second")


def test_a_password_that_is_no_file_is_what_it_is(emitted: list[telemetry.LogEvent]) -> None:
    of = login()
    assert (tried(of, A), password_of(of), emitted) == (None, "hunter2", [])
