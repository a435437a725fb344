"""Quotas of a user: how many bytes a second each broker lets it write or read.

Decides how a quota is set and removed; no client library of the tests has the request (AlterClientQuotas).
Invariant: what is not named stays as it is.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

Quota: TypeAlias = Literal["producer_byte_rate", "consumer_byte_rate"]


async def set_quotas(bootstrap_servers: str, user: str, rates: Mapping[Quota, float | None]) -> None:
    """Bytes a second and broker; None removes the quota. Raises KafkaError where the brokers refuse."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        answer = await admin._send_request(_AlterClientQuotas(user, rates))
    finally:
        await admin.close()
    for code, message, _ in answer.entries:
        if code:
            raise for_code(code)(message)


_ENTITY = Array(("type", String("utf-8")), ("name", String("utf-8")))


class _AlterClientQuotasResponse(Response):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), ("entity", _ENTITY))),
    )


class _AlterClientQuotasRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _AlterClientQuotasResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_AlterClientQuotasRequest]):  # type: ignore[misc]
    API_KEY = 49

    def __init__(self, user: str, rates: Mapping[Quota, float | None]) -> None:
        self._user = user
        self._rates = rates

    def build(self, request_struct_class: type[_AlterClientQuotasRequest]) -> _AlterClientQuotasRequest:
        changes = [(name, rate or 0.0, rate is None) for name, rate in self._rates.items()]
        return request_struct_class([([("user", self._user)], changes)], False)
