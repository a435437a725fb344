"""The commands with a login, and with the rights that docs/operations.md lists and no others.

They are enough, and no secret is seen anywhere.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from testing.kafka import rights
from testing.kafka.rights import Kind, Right
from testing.kafka.secured_broker import PLAIN_USERS, SecuredBroker
from testing.wait import wait_until
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment
from worker.demo.traffic import make_traffic

NOW_MS = 1_760_000_000_000
PASSWORD = "scram-Pa55word-of-the-tests"
KEY_PASSWORD = "key-Pa55word-of-the-tests"
SECRETS = (PASSWORD, KEY_PASSWORD, *PLAIN_USERS.values())


@pytest.fixture
def login() -> str:
    """How to log in; a test may ask for another way."""
    return "password"


@pytest.fixture
def secured(
    login: str, secured_broker: SecuredBroker, topic_prefix: str, tmp_path: Path
) -> Iterator[Deployment]:
    """A deployment whose workers log in, as a user of this test without any right."""
    user = f"{topic_prefix}user"
    if login == "certificate":
        certificate = secured_broker.certificate(user, password=KEY_PASSWORD)
        options = secured_broker.mutual_options(certificate) | {"KAFKA_SSL_PASSWORD": KEY_PASSWORD}
    else:
        secured_broker.set_password(user, PASSWORD)
        options = secured_broker.scram_options(user, tmp_path / "password")
        (tmp_path / "password").write_text(PASSWORD)
    options["HEALTH_FILE"] = str(tmp_path / "health")
    with Deployment(secured_broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        yield deployment


def ended(deployment: Deployment, *arguments: str, code: int = 0) -> str:
    """What a command of this deployment printed; it ends with that exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env={**os.environ, **deployment.environment},
        cwd=deployment.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def as_others_see_it(worker: WorkerProcess) -> str:
    """The command lines of the worker and of what it started, as `ps` shows them."""
    own = psutil.Process(worker.pid)
    return "\n".join(" ".join(process.cmdline()) for process in (own, *own.children(recursive=True)))


@pytest.mark.parametrize("login", ["password", "certificate"])
def test_the_documented_rights_are_enough_and_no_secret_is_seen(
    secured: Deployment, secured_broker: SecuredBroker, topic_prefix: str
) -> None:
    user, printed = f"{topic_prefix}user", []
    create = rights.of_topics_create(secured.config)
    health_file = Path(secured.config.health.file)
    # For a topic that does not exist yet the rights may be granted all the same.
    secured_broker.grant(user, [*rights.of_worker(secured.config), *create])
    printed.append(ended(secured, "topics", "create", "--partitions", "2"))
    secured_broker.take_away(user, create)
    printed.append(ended(secured, "check"))
    printed.append(ended(secured, "config", "show"))

    async def scenario() -> None:
        await secured.feed(make_traffic(500, seed=1, now_ms=NOW_MS).records)
        for name, arguments in (("one", []), ("two", ["--processes", "2"])):
            worker = secured.worker(name, arguments=arguments)
            worker.start()
            await worker.wait_for("partition.assigned", count=2)
            printed.append(as_others_see_it(worker))
            await secured.feed(make_traffic(200, seed=2, now_ms=NOW_MS).records)
            await secured.caught_up()
            # With several processes the file is as old as the oldest of theirs, which come first.
            await asyncio.to_thread(wait_until, health_file.exists, what="a worker is well")
            printed.append(ended(secured, "health"))
            assert await worker.stop() == 0
            printed.append(worker.raw_log())

    asyncio.run(scenario())
    assert "worker.failed" not in "".join(printed)
    for secret in SECRETS:
        assert not [text for text in printed if secret in text]


def test_the_demo_logs_in_as_the_worker_does(
    secured: Deployment, secured_broker: SecuredBroker, topic_prefix: str
) -> None:
    user, servers = f"{topic_prefix}user", secured.config.kafka.bootstrap_servers
    wanted: dict[Kind, tuple[str, ...]] = {
        "topic": ("Create", "Read", "Write", "DescribeConfigs"),
        "group": ("Read",),
        "transactional_id": ("Write",),
    }
    granted = [
        Right(kind, "sessionizer-demo-", o, prefixed=True) for kind, ops in wanted.items() for o in ops
    ]
    reading = granted[1]
    demo = ("demo", "--events", "2000", "--bootstrap-servers", servers)
    refused = ended(secured, *demo, code=1)
    assert "refuse to create" in refused
    secured_broker.grant(user, granted)
    printed = ended(secured, *demo)
    assert "events with session and user" in printed
    with secured_broker.without(user, reading):
        lacking = ended(secured, *demo, code=1)
    assert "Authorization" in lacking
    for secret in SECRETS:
        assert secret not in refused + printed + lacking
        assert secret not in (secured.directory / "demo-output" / "worker.log").read_text()


def test_a_password_in_the_environment_is_as_good_as_one_in_a_file(
    secured_broker: SecuredBroker, topic_prefix: str, tmp_path: Path
) -> None:
    options = secured_broker.plain_options()
    with Deployment(secured_broker.direct_servers, topic_prefix, tmp_path, options) as deployment:
        asyncio.run(deployment.create_topics(1))
        secured_broker.grant("plain-user", rights.of_worker(deployment.config))
        ended(deployment, "check")
        with secured_broker.without("plain-user", Right("topic", deployment.config.topics.raw, "Read")):
            shown = ended(deployment, "check", code=1)
    assert "--allow-principal User:plain-user --operation Read --topic" in shown
    assert PLAIN_USERS["plain-user"] not in shown
