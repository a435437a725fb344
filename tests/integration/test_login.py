"""What becomes of a worker whose login changes, or is refused, on a real broker:
docs/operations.md, Security.
"""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testing.kafka import rights
from testing.kafka.certificates import Authority
from testing.kafka.secured_broker import SecuredBroker
from testing.kafka.tokens import AUDIENCE, TokenEndpoint
from testing.wait import eventually
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment, feeding
from tests.commands import Sessionizer
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.login import MOST_TRIES
from worker.config import load
from worker.demo.traffic import RawRecord, make_traffic
from worker.errors import BrokersAway, LoginRefused

SESSION_S = 5.0
HASTY = "tests.integration.short_waits_worker"


@dataclass
class Place:
    """A broker behind relays, and the token endpoint whose tokens it believes."""

    broker: SecuredBroker
    endpoint: TokenEndpoint

    def refused_logins(self) -> int:
        """How many logins the broker has refused since it started."""
        return self.broker.broker.log.read_text(errors="replace").count("Failed authentication with ")


@pytest.fixture(scope="module")
def place(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("login")
    with TokenEndpoint(directory / "tokens") as endpoint:
        of_tokens, keys = "listener.name.password.oauthbearer", endpoint.keys.as_uri()
        broker = SecuredBroker(
            kafka_jars,
            directory,
            {
                f"{of_tokens}.sasl.server.callback.handler.class": (
                    "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
                ),
                f"{of_tokens}.sasl.oauthbearer.jwks.endpoint.url": keys,
                f"{of_tokens}.sasl.oauthbearer.expected.audience": endpoint.audience,
                f"{of_tokens}.connections.max.reauth.ms": int(SESSION_S * 1000),
            },
            relayed=True,
            java_options=(
                f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys}",
                f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={endpoint.keys}",
            ),
        )
        with broker.broker:
            yield Place(broker, endpoint)


def traffic(seed: int) -> list[RawRecord]:
    return list(make_traffic(300, seed=seed, now_ms=1_760_000_000_000).records)


async def running(deployment: Deployment) -> WorkerProcess:
    """A worker that has read all there is, and is idle."""
    await deployment.create_topics(4)
    worker = deployment.worker("only")
    worker.start(module=HASTY)
    await deployment.feed(traffic(1))
    await deployment.caught_up()
    return worker


def written(worker: WorkerProcess, *secrets: str) -> str:
    """All that the worker printed, in which none of the secrets may be."""
    text = worker.raw_log()
    assert not [secret for secret in secrets if secret in text]
    return text


def scram(place: Place, user: str, directory: Path) -> tuple[dict[str, str], Path]:
    """The options of a new user, and the file of its password, "first-secret"."""
    place.broker.set_password(user, "first-secret")
    file = directory / "password"
    file.write_text("first-secret")
    return place.broker.scram_options(user, file), file


async def accepted(options: dict[str, str]) -> None:
    """Wait until the broker lets one in who logs in so: it knows a new password a moment later."""
    kafka = load(None, {f"SESSIONIZER_{name}": value for name, value in options.items()}).kafka

    async def let_in() -> bool:
        try:
            await kafka_topics.partition_counts(kafka, ["any"])
        except LoginRefused:
            return False
        return True

    await eventually(let_in, what="the broker knows the new password")


def test_a_rotated_password_is_used_from_the_next_connection_on(
    place: Place, topic_prefix: str, tmp_path: Path
) -> None:
    user = f"{topic_prefix}user"
    options, file = scram(place, user, tmp_path)

    async def scenario(deployment: Deployment) -> None:
        async with place.broker.sasl_relay() as relay:
            worker = await running(deployment)
            place.broker.set_password(user, "second-secret")
            file.write_text("second-secret")
            relay.cut()
            await worker.wait_for("credentials.reloaded")
            await deployment.feed(traffic(2))
            await deployment.caught_up()
            assert await worker.stop() == 0
            written(worker, "first-secret", "second-secret")

    with Deployment(place.broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        place.broker.grant(user, rights.of_worker(deployment.config))
        asyncio.run(scenario(deployment))


def test_an_idle_worker_whose_password_is_refused_ends_after_a_few_logins_with_the_reason(
    place: Place, topic_prefix: str, tmp_path: Path
) -> None:
    user = f"{topic_prefix}user"
    options, file = scram(place, user, tmp_path)
    another = tmp_path / "second"
    another.write_text("second-secret")

    async def scenario(deployment: Deployment) -> None:
        async with place.broker.sasl_relay() as relay:
            worker = await running(deployment)
            place.broker.set_password(user, "second-secret")
            await accepted(place.broker.scram_options(user, another))
            before, stuck_before = place.refused_logins(), len(worker.log("partition.stuck"))
            relay.cut()
            assert await worker.ended(60.0) == 1
            assert len(worker.log("partition.stuck")) > stuck_before, "it was not taken for a healthy one"
            assert place.refused_logins() - before == MOST_TRIES
            (failed,) = worker.log("worker.failed")
            assert f'refuses the login of "{user}" by SASL_SSL with SCRAM-SHA-512' in failed["reason"]
            assert f"set kafka.sasl_username and kafka.sasl_password, read from {file}" in failed["reason"]
            assert [line["attempt"] for line in worker.log("authentication.failed")] == [1, 2, 4]
            written(worker, "first-secret", "second-secret")

    with Deployment(place.broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        place.broker.grant(user, rights.of_worker(deployment.config))
        asyncio.run(scenario(deployment))


def test_a_worker_that_starts_with_a_wrong_password_ends_after_as_many_logins(
    place: Place, topic_prefix: str, tmp_path: Path
) -> None:
    user = f"{topic_prefix}user"
    options, file = scram(place, user, tmp_path)
    file.write_text("another-secret")

    async def scenario(deployment: Deployment) -> None:
        async with place.broker.sasl_relay():
            before = place.refused_logins()
            worker = deployment.worker("only")
            worker.start(module=HASTY)
            assert await worker.ended(60.0) == 1
            assert place.refused_logins() - before == MOST_TRIES
            (failed,) = worker.log("worker.failed")
            assert f'refuses the login of "{user}"' in failed["reason"]
            assert not worker.log("request.failed")
            written(worker, "another-secret")

    with Deployment(place.broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        asyncio.run(scenario(deployment))


def test_a_renewed_certificate_is_used_and_one_written_by_half_harms_nobody(
    place: Place, topic_prefix: str, tmp_path: Path
) -> None:
    """The new one bears another name, and the old name loses its rights: so the new one is what is used."""
    old, new = f"{topic_prefix}old", f"{topic_prefix}new"
    used, renewed = place.broker.certificate(old), place.broker.certificate(new)

    async def scenario(deployment: Deployment) -> None:
        async with place.broker.mutual_relay() as relay:
            worker = await running(deployment)
            shutil.copy(renewed.key, used.key)
            relay.cut()
            await worker.wait_for("credentials.unusable")
            await deployment.feed(traffic(2))
            await deployment.caught_up()
            shutil.copy(renewed.certificate, used.certificate)
            place.broker.take_away(old, rights.of_worker(deployment.config))
            relay.cut()
            await worker.wait_for("credentials.reloaded")
            await deployment.feed(traffic(3))
            await deployment.caught_up()
            assert await worker.stop() == 0
            assert len(worker.log("credentials.unusable")) == 1

    options = place.broker.mutual_options(used)
    with Deployment(place.broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        for user in (old, new):
            place.broker.grant(user, rights.of_worker(deployment.config))
        asyncio.run(scenario(deployment))


def test_tokens_are_renewed_while_it_runs_and_no_transaction_is_lost(
    place: Place, topic_prefix: str, tmp_path: Path
) -> None:
    """The broker ends each session after a few seconds; connections are replaced before."""
    client = f"{topic_prefix}client"
    place.endpoint.secrets[client] = "client secret: 100% + 1"
    place.endpoint.lifetime_s = SESSION_S
    issued_before = len(place.endpoint.issued)
    (tmp_path / "secret").write_text("client secret: 100% + 1\n")
    options = place.broker.token_options(client, place.endpoint.url, tmp_path / "secret")

    async def renewed_twice() -> bool:
        return len(place.endpoint.issued) >= issued_before + 3

    async def scenario(deployment: Deployment) -> None:
        async with place.broker.sasl_relay() as relay:
            worker = await running(deployment)
            first = relay.connections
            async with feeding(deployment, traffic(2), over_s=2 * SESSION_S):
                await eventually(renewed_twice, what="tokens were renewed twice")
            await deployment.feed(traffic(3))
            await deployment.caught_up()
            assert await worker.stop() == 0
            issued = place.endpoint.issued[issued_before:]
            assert relay.connections > first
            written(worker, "client secret: 100% + 1", *issued)
            assert not worker.log("transaction.lost"), worker.raw_log()
            assert not worker.log("authentication.failed")

    with Deployment(place.broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        place.broker.grant(client, rights.of_worker(deployment.config))
        asyncio.run(scenario(deployment))


# --- why a login failed ------------------------------------------------------------------------------------


async def asked(place: Place, options: dict[str, str]) -> Exception | None:
    """What asking the brokers for a topic, with these options, fails with."""
    config = load(None, {f"SESSIONIZER_{name}": value for name, value in options.items()})
    async with place.broker.sasl_relay(), place.broker.mutual_relay():
        try:
            await kafka_topics.partition_counts(config.kafka, ["any"])
        except BrokersAway as error:
            return error
    return None


def why(place: Place, options: dict[str, str], kind: type[Exception] = LoginRefused) -> str:
    error = asyncio.run(asked(place, options))
    assert type(error) is kind
    return str(error)


def test_each_refusal_of_tls_is_named_with_its_remedy(place: Place, tmp_path: Path) -> None:
    broker, stranger = place.broker, Authority(tmp_path)
    options = broker.mutual_options(broker.certificate("client"))
    assert asyncio.run(asked(place, options)) is None
    without = {name: value for name, value in options.items() if not name.endswith(("CERTFILE", "KEYFILE"))}
    assert "it asks for a client certificate" in why(place, without)
    expired = broker.mutual_options(broker.certificate("late", valid_days=-1.0))
    assert "it must not have expired" in why(place, expired)
    unknown = broker.mutual_options(stranger.issue("unknown"))
    assert "signed by an authority that the brokers trust" in why(place, unknown)
    assert "an authority of kafka.ssl_cafile" in why(
        place, options | {"KAFKA_SSL_CAFILE": str(stranger.file)}
    )


def test_a_mechanism_that_the_broker_does_not_offer_is_named(place: Place, tmp_path: Path) -> None:
    options, _ = scram(place, "any-user", tmp_path)
    assert "it does not offer SCRAM-SHA-256" in why(
        place, options | {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}
    )


def test_what_a_token_endpoint_refuses_is_a_refusal_and_one_that_is_away_is_waited_for(
    place: Place, topic_prefix: str, tmp_path: Path
) -> None:
    endpoint, client = place.endpoint, f"{topic_prefix}client"
    endpoint.secrets[client] = "client-secret"

    def options(name: str, secret: str = "client-secret") -> dict[str, str]:
        (tmp_path / name).write_text(secret)
        return place.broker.token_options(client, endpoint.url, tmp_path / name)

    assert asyncio.run(asked(place, options("right"))) is None
    reason = why(place, options("wrong", "wrong-secret"))
    assert "answers 401 (invalid_client: no such client and secret): set kafka.sasl_oauth_client_id" in reason
    assert "wrong-secret" not in reason
    try:
        endpoint.audience = "somebody else"
        assert "the token is refused (invalid_token)" in why(place, options("audience"))
        endpoint.answer = (200, b"<html>please log in</html>")
        assert "something else than JSON with an access_token" in why(place, options("garbage"))
        endpoint.answer = (503, b"")
        assert "answers 503" in why(place, options("busy"), BrokersAway)
    finally:
        endpoint.audience, endpoint.answer = AUDIENCE, None
    away = options("away") | {"KAFKA_SASL_OAUTH_TOKEN_URL": "http://127.0.0.1:1/token"}
    assert "cannot be reached: [Errno 111] Connection refused" in why(place, away, BrokersAway)


def test_a_command_whose_login_is_refused_says_so_in_one_line(
    secured_broker: SecuredBroker, sessionizer: Sessionizer, tmp_path: Path
) -> None:
    user = "user-of-commands"
    secured_broker.set_password(user, "right-secret")
    (tmp_path / "password").write_text("wrong-secret")
    options = secured_broker.scram_options(user, tmp_path / "password")
    for command in (("check",), ("topics", "create", "--partitions", "1")):
        ended = sessionizer(*command, **options)
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert f'refuses the login of "{user}" by SASL_SSL with SCRAM-SHA-512' in ended.err
        assert "wrong-secret" not in ended.out + ended.err
