"""The table of topics: what each topic holds, and what that asks of the topic.

From it follow the options' defaults, how topics are created and checked, which rights the worker needs, what
a transaction writes, which files a replay writes, and which topics the demo uses. It must not know brokers,
nor the names in use: those are the configuration's. Invariant: nothing else lists the topics one by one,
except the code that makes the records of one of them.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from worker.model.outputs import DeadLetter, EnrichedEvent, IdentityRecord, SessionRecord

Role = Literal["raw", "repartition", "enriched", "dead_letters", "sessions", "identities", "changelog"]
"""What names a topic in code and in `check`; also its option, ``topics.<role>``."""

Kind = Literal["input", "internal", "output"]
"""``input``: read, and made by others. ``internal``: written and read by the worker, with as many partitions
as the raw topic. ``output``: written for others, with any number of partitions.
"""


class TopicSpec(Struct, frozen=True, kw_only=True):
    """One topic, as it is whatever its name."""

    role: Role
    kind: Kind
    holds: str
    """What a record is, in a few words: shown by the demo, repeated by the documents."""

    record: type[Struct] | None = None
    """Type of an output's values."""

    optional: bool = False
    """Whether an empty name turns it off."""

    key: Literal["device", "session", "raw record"] = "device"
    """What the records' keys name. ``raw record``: the key that the raw record came with, or none."""

    cleanup: Literal["delete", "compact"] = "delete"
    """``compact``: an upsert; the last record of a key counts."""

    one_per_key: bool = False
    """Whether a transaction sends only the last of a key's records."""

    time: Literal["sender", "raw record", "writing", "broker"] = "writing"
    """Which time the records bear. ``raw record``: that of the record they come from, however old."""

    raw_value: Literal["none", "whole", "base64"] = "none"
    """Whether a record may hold a raw record's value, and in which form."""

    @property
    def slug(self) -> str:
        """The role as names of topics and files spell it."""
        return self.role.replace("_", "-")

    @property
    def default_name(self) -> str:
        """What its option is set to by default. Internal topics have none: they are named after the group."""
        return "" if self.kind == "internal" else f"events.{self.slug}"

    @property
    def file_name(self) -> str:
        """The file in which replay and demo write its records, one a line."""
        return f"{self.slug}.ndjson"


TOPICS: Mapping[Role, TopicSpec] = {
    spec.role: spec
    for spec in (
        TopicSpec(
            role="raw",
            kind="input",
            holds="batches of events as they came",
            key="raw record",
            time="sender",
        ),
        TopicSpec(
            role="repartition",
            kind="internal",
            holds="events sent to their device's partition",
            time="broker",
            raw_value="whole",
        ),
        TopicSpec(
            role="enriched",
            kind="output",
            holds="events with session and user",
            record=EnrichedEvent,
            time="raw record",
        ),
        TopicSpec(
            role="dead_letters",
            kind="output",
            holds="refused events, each with reason and place",
            record=DeadLetter,
            key="raw record",
            time="raw record",
            raw_value="base64",
        ),
        TopicSpec(
            role="sessions",
            kind="output",
            holds="each session as last published",
            record=SessionRecord,
            optional=True,
            key="session",
            cleanup="compact",
            one_per_key=True,
        ),
        TopicSpec(
            role="identities",
            kind="output",
            holds="each device's users, and since when",
            record=IdentityRecord,
            optional=True,
            cleanup="compact",
        ),
        TopicSpec(role="changelog", kind="internal", holds="states of the devices", cleanup="compact"),
    )
}
"""Every topic by its role. Outputs are in the order in which a transaction sends them."""

OUTPUTS: Mapping[Role, TopicSpec] = {role: spec for role, spec in TOPICS.items() if spec.kind == "output"}
"""The topics that are written for others."""
