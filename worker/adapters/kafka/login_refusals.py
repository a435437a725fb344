"""Which errors mean that a login was refused, and what a human has to do then.

Decides which errors of the client, of TLS and of a token endpoint are a refusal, which no waiting changes;
all others mean that a broker is away. Knows no connection and no clock. Invariant: a reason holds no
password, key or token.
"""

import ssl
from collections.abc import Iterator

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from msgspec import Struct

from worker.adapters.kafka.oauth_token import TokenRefused
from worker.config import Kafka

_AWAY = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class Refusal(Struct, frozen=True):
    """Why a login was refused: ``reason``, with its remedy.

    ``of_the_account``: every broker refuses it, and one may lock the account; else TLS to one broker fails.
    ``by_broker``: False where the token endpoint refused.
    """

    reason: str
    of_the_account: bool
    by_broker: bool = True


def refusal_of(error: Exception, kafka: Kafka) -> Refusal | None:
    """Why the login was refused; None where the broker is away."""
    for cause in _causes(error):
        if isinstance(cause, TokenRefused):
            return Refusal(_message(cause), of_the_account=True, by_broker=False)
        if isinstance(cause, UnsupportedSaslMechanismError):
            return Refusal(
                f"it does not offer {kafka.sasl_mechanism}: choose kafka.sasl_mechanism accordingly", True
            )
        if isinstance(cause, SaslAuthenticationFailed | IllegalSaslStateError):
            return Refusal(f"{_message(cause)}: {_remedy(kafka)}", True)
        if isinstance(cause, ssl.SSLCertVerificationError):
            problem = getattr(cause, "verify_message", cause)
            return Refusal(
                f"its certificate is not accepted here: {problem}: it must be valid, bear that name, and be "
                "signed by an authority of kafka.ssl_cafile",
                False,
            )
        if isinstance(cause, ssl.SSLError) and not _is_away(cause):
            return Refusal(_of_tls(cause, kafka), False)
    if isinstance(error, ValueError | LookupError | AssertionError):  # of the exchange of a mechanism
        return Refusal(f"its answer is not one of {kafka.sasl_mechanism} ({type(error).__name__})", True)
    return None


def _is_away(error: ssl.SSLError) -> bool:
    """Whether the other side closed the connection, or has an error of its own."""
    return isinstance(error, _AWAY) or "INTERNAL_ERROR" in (error.reason or "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and the errors that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _message(refused: BaseException) -> str:
    """The text of an error, else what its code means; without the name of its class."""
    said = ", ".join(str(word) for word in refused.args if word)
    return said or str(getattr(refused, "description", refused))


def _remedy(kafka: Kafka) -> str:
    if kafka.sasl_mechanism == "OAUTHBEARER":
        return "the token's issuer, audience, scope and lifetime must be those that the brokers expect"
    file = kafka.sasl_password.file
    return "set kafka.sasl_username and kafka.sasl_password" + (f", read from {file}" if file else "")


def _of_tls(error: ssl.SSLError, kafka: Kafka) -> str:
    reason = (error.reason or str(error)).lower().replace("_", " ")
    own = kafka.ssl_certfile
    if "certificate" in reason and not own:
        return f"it asks for a client certificate ({reason}): set kafka.ssl_certfile and kafka.ssl_keyfile"
    if "certificate" in reason or "unknown ca" in reason:
        return (
            f"it does not accept our certificate {own} ({reason}): it must not have expired, and be signed "
            "by an authority that the brokers trust (kafka.ssl_certfile)"
        )
    if "wrong version number" in reason:
        return "it speaks no TLS at this port: choose kafka.security_protocol accordingly"
    return f"no TLS with it: {reason}"
