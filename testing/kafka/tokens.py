"""A token endpoint on loopback, which issues signed tokens for OAUTHBEARER, and the keys to check them by.

Decides what stands in a token and how it is signed (RS256), as an authorization server would. Knows nothing
of who asks. Invariant: a token is issued only for the client's secret of the moment.
"""

import base64
import json
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from testing.kafka.certificates import Certificate

AUDIENCE = "kafka-of-the-tests"


class TokenEndpoint:
    """Answers on 127.0.0.1 from entry to exit; ``keys`` is the file by which a broker checks its tokens."""

    def __init__(self, directory: Path, certificate: Certificate | None = None) -> None:
        """With a ``certificate`` it speaks https."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        directory.mkdir(parents=True, exist_ok=True)
        self.keys = directory / "keys.json"
        self.keys.write_text(json.dumps({"keys": [_public(self._key)]}))
        self.secrets: dict[str, str] = {}
        """The secret of each client; the client is the user that its tokens name."""
        self.lifetime_s = 300.0
        self.audience = AUDIENCE
        self.answer: tuple[int, bytes] | None = None
        """What everybody gets instead of a token: status and body."""
        self.issued: list[str] = []
        self.asked = 0
        self.forms: list[dict[str, str]] = []
        self.delay_s = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/token"

    def token(self, client: str) -> str:
        """A new token for that client."""
        now = time.time()
        claims = {"sub": client, "aud": self.audience, "iat": now, "exp": now + self.lifetime_s}
        signed = b".".join([_encoded({"alg": "RS256", "kid": "tests", "typ": "JWT"}), _encoded(claims)])
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        token = b".".join([signed, _base64(signature)]).decode()
        self.issued.append(token)
        return token

    def answered(self, authorization: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Status and body for a request."""
        self.asked += 1
        self.forms.append(form)
        time.sleep(self.delay_s)
        if self.answer is not None:
            return self.answer
        if form.get("grant_type") != "client_credentials":
            return 400, b'{"error": "unsupported_grant_type"}'
        named = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, _, secret = (urllib.parse.unquote_plus(part) for part in named.partition(":"))
        if not client or self.secrets.get(client) != secret:
            return 401, b'{"error": "invalid_client", "error_description": "no such client and secret"}'
        answer = {"access_token": self.token(client), "token_type": "Bearer", "expires_in": self.lifetime_s}
        return 200, json.dumps(answer).encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(endpoint: TokenEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            form = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode()))
            status, body = endpoint.answered(self.headers.get("Authorization", ""), form)
            self.send_response(status)
            self.send_header("Location", endpoint.url)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Not to the screen."""

    return Handler


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _encoded(value: dict[str, Any]) -> bytes:
    return _base64(json.dumps(value).encode())


def _public(key: rsa.RSAPrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    sizes = {"n": (numbers.n, 256), "e": (numbers.e, 3)}
    parts = {name: _base64(number.to_bytes(size, "big")).decode() for name, (number, size) in sizes.items()}
    return {"kty": "RSA", "kid": "tests", "use": "sig", "alg": "RS256", **parts}
