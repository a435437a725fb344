"""Who may open the live page: on loopback this machine, elsewhere who has the token.

Decides by the request's headers and its token; knows nothing of what is asked for. Invariants: without a
token only requests to a loopback name are answered, so that no other site's name can be made to point here;
every answer has the headers that keep the page from loading or running what is not its own.
"""

import hashlib
import hmac
import ipaddress
import re
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "sessionizer_live"
PROBE_PATH = "/healthz"
"""Answered to everybody: it says nothing but that the process runs."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:\d{1,5})?")


def policy(collector: str) -> str:
    """The page's Content-Security-Policy. ``collector``: the origin that it sends to."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {collector}",
            f"connect-src 'self' {collector}",
            "style-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


class Guard:
    """ASGI: passes requests on that may be answered, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, token: str, content_security_policy: str) -> None:
        self._app = app
        self._token = token
        # The cookie follows from the token, and not the token from the cookie.
        self._cookie = hashlib.sha256(f"{COOKIE}:{token}".encode()).hexdigest()
        self._headers = {
            "content-security-policy": content_security_policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to who may not, or must come back without the token in the address; else None."""
        if scope["path"] == PROBE_PATH:
            return None
        headers = Headers(scope=scope)
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"].startswith("/live/"):
            return PlainTextResponse("not for other sites\n", 403)
        if not self._token:
            if _is_loopback(headers.get("host", "")):
                return None
            return PlainTextResponse("open this page by a loopback address, such as 127.0.0.1\n", 403)
        query = QueryParams(scope["query_string"])
        if "token" in query and _is_same(query["token"], self._token):
            rest = urlencode([(name, value) for name, value in query.multi_items() if name != "token"])
            path = "/" + scope["path"].lstrip("/\\")  # two in front would name another host
            answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            secure = scope["scheme"] == "https"
            answer.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict", secure=secure)
            return answer
        if _is_same(_bearer(headers), self._token) or _is_same(_cookie(headers), self._cookie):
            return None
        message = "open this page with ?token=, which is live.token of the configuration\n"
        return PlainTextResponse(message, 401, {"www-authenticate": "Bearer"})


def _is_same(text: str, secret: str) -> bool:
    return hmac.compare_digest(text.encode(), secret.encode())


def _bearer(headers: Headers) -> str:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value


def _is_loopback(host: str) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
