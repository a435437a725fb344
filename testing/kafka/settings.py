"""How every broker of the tests is set up, whatever it runs in: a process or a container.

One node, quick to answer, that deletes nothing by itself. The caller adds addresses and directories.
"""

from collections.abc import Mapping

IMAGE = "apache/kafka:4.3.1"

SETTINGS: dict[str, str | int] = {
    # One node that is everything.
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # Few internal partitions: their creation is most of the first transaction's time.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 1,
    # A killed broker may come back only when its old session has ended: 3 s after a kill instead of 12 s.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 300,
    # Groups form at once, and members may be given up as soon as a test likes.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    # Transactions that nobody ends are aborted soon after their own timeout.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    # A topic is there because a test made it; a misspelt name is an error. Records stay, whatever their time.
    "auto.create.topics.enable": "false",
    "log.retention.ms": -1,
    "log.retention.bytes": -1,
    # The cleaner's default buffer is a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
}


def as_properties(settings: Mapping[str, str | int]) -> str:
    """The text of a server.properties file."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def as_environment(settings: Mapping[str, str | int]) -> dict[str, str]:
    """The same for the official image: ``log.dirs`` is KAFKA_LOG_DIRS there."""
    return {"KAFKA_" + name.upper().replace(".", "_"): str(value) for name, value in settings.items()}
