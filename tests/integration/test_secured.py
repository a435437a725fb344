"""A worker that logs in, with the rights that docs/operations.md lists and no others, on a real broker."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.deployment import Deployment
from tests.kafka import rights
from tests.kafka.secured import SecuredBroker
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
PASSWORD = "scram-Pa55word-of-the-tests"


def _options(broker: SecuredBroker, login: str, user: str, directory: Path) -> dict[str, str]:
    """The worker's variables for that way to log in; a user of SCRAM gets its password."""
    if login == "certificate":
        return broker.mutual_options(broker.certificate(user))
    broker.set_password(user, PASSWORD)
    file = directory / "password"
    file.write_text(PASSWORD)
    return broker.scram_options(user, file)


@pytest.mark.parametrize("login", ["password", "certificate"])
def test_the_documented_rights_are_enough(
    secured_broker: SecuredBroker, topic_prefix: str, tmp_path: Path, login: str
) -> None:
    user = f"{topic_prefix}user"
    options = _options(secured_broker, login, user, tmp_path)

    async def scenario(deployment: Deployment) -> None:
        await deployment.create_topics(2)
        worker = deployment.worker("only")
        worker.start()
        await deployment.feed(make_traffic(500, seed=1, now_ms=NOW_MS).records)
        await deployment.caught_up()
        assert await worker.stop() == 0

    with Deployment(secured_broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        secured_broker.grant(user, rights.of_worker(deployment.config))
        asyncio.run(scenario(deployment))
