"""Access tokens for OAUTHBEARER, from a token endpoint by client credentials (RFC 6749, 4.4).

Decides how long a token is used, and which answers of the endpoint are a refusal that no waiting changes.
Knows HTTP; nothing of Kafka's protocol. Invariants: neither the client's secret nor a token is in any error;
a token is not used in the last fifth of its lifetime.
"""

import asyncio
import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import Any

from aiokafka.errors import KafkaConnectionError, KafkaError

from worker.config import Kafka

_ANSWER_S = 10.0
_DEADLINE_S = 15.0
_MOST_BYTES = 1024 * 1024
_USED_SHARE = 0.8
_NOT_NOW = (408, 425, 429)


class TokenRefused(KafkaError):  # type: ignore[misc]  # noqa: N818 - as in worker.errors
    """The endpoint answers and gives no token. Remedy: in the message; waiting does not help."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Sends the secret to the configured address and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


class TokenClient:
    """Asks one endpoint for tokens, and keeps the newest."""

    def __init__(self, kafka: Kafka) -> None:
        """Raises OSError where the endpoint's authority (``kafka.sasl_oauth_cafile``) cannot be read."""
        self._url = kafka.sasl_oauth_token_url
        self._client_id = kafka.sasl_oauth_client_id
        self._scope = kafka.sasl_oauth_scope
        context = ssl.create_default_context(cafile=kafka.sasl_oauth_cafile or None)
        # Proxies are those of the environment (HTTPS_PROXY, NO_PROXY), as for other programs.
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), _NoRedirect()
        )
        self._token = ""
        self._use_until = 0.0

    async def token(self, secret: str) -> str:
        """A token that has not expired.

        Raises TokenRefused, and KafkaConnectionError where the endpoint cannot be reached, or asks to retry
        later.
        """
        if time.monotonic() >= self._use_until:
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(_DEADLINE_S):  # an answer may come byte by byte
                    token, lifetime_s = await asyncio.to_thread(self._ask, secret)
            except TimeoutError as error:
                raise self._unreachable(error) from None
            self._token, self._use_until = token, asked_at + lifetime_s * _USED_SHARE
        return self._token

    def discard_token(self) -> None:
        """Ask for another token next time: the brokers did not accept this one."""
        self._use_until = 0.0

    def _ask(self, secret: str) -> tuple[str, float]:
        """A new token and its lifetime in seconds; 0 where the endpoint does not say. Blocks."""
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        names = f"{urllib.parse.quote_plus(self._client_id)}:{urllib.parse.quote_plus(secret)}"
        request = urllib.request.Request(  # noqa: S310 - https, or http on loopback (config.checks)
            self._url,
            urllib.parse.urlencode(form).encode(),
            {
                "Authorization": f"Basic {base64.b64encode(names.encode()).decode()}",
                "Accept": "application/json",
            },
        )
        try:
            with self._opener.open(request, timeout=_ANSWER_S) as answer:
                body = answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise self._failure(error, secret) from None  # the cause holds the request
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from None
        return self._parsed(body)

    def _failure(self, error: urllib.error.HTTPError, secret: str) -> KafkaError:
        if error.code >= 500 or error.code in _NOT_NOW:
            return KafkaConnectionError(f"the token endpoint {self._url} answers {error.code}")
        try:
            answer = json.loads(error.read(_MOST_BYTES))
            said = [answer[name] for name in ("error", "error_description") if answer.get(name)]
        except (ValueError, TypeError, AttributeError, OSError, HTTPException):
            said = []
        words = ": ".join(str(part) for part in said).replace(secret, "***")[:300]
        return TokenRefused(
            f"the token endpoint {self._url} answers {error.code}{f' ({words})' if words else ''}: set "
            "kafka.sasl_oauth_client_id, kafka.sasl_oauth_client_secret, kafka.sasl_oauth_scope and "
            "kafka.sasl_oauth_token_url as it expects them"
        )

    def _unreachable(self, error: Exception) -> KafkaError:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return TokenRefused(
                f"the certificate of the token endpoint {self._url} is not accepted: "
                f"{reason.verify_message}: kafka.sasl_oauth_cafile must hold the authority that signed it"
            )
        return KafkaConnectionError(
            f"the token endpoint {self._url} cannot be reached: {str(reason) or type(reason).__name__}"
        )

    def _parsed(self, body: bytes) -> tuple[str, float]:
        try:
            answer = json.loads(body)
            token, lifetime_s = answer["access_token"], float(answer.get("expires_in") or 0)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            token, lifetime_s = "", 0.0
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise TokenRefused(
                f"the token endpoint {self._url} answers something else than JSON with an access_token: is "
                "kafka.sasl_oauth_token_url the address of a token endpoint?"
            )
        return token, lifetime_s
