"""Passwords of SCRAM users, as an administrator sets them."""

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

_WITHIN_S = 20.0
_ITERATIONS = 4096  # the fewest that brokers take


def set_password(admin: AdminClient, user: str, password: str) -> None:
    """Make the SCRAM-SHA-512 user, or give it another password."""
    credential = UserScramCredentialUpsertion(
        user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS), password.encode()
    )
    for future in admin.alter_user_scram_credentials([credential]).values():
        future.result(_WITHIN_S)
