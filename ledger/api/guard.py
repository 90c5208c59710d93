"""What stands before the routes: where the node may listen, what every response carries, counts."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.api import problems
from ledger.api.problems import problem_response
from ledger.node.setup.signin import is_loopback

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MIN_TOKEN_LENGTH: Final = 16


_SECURITY_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
#: A year (RFC 6797). Not for subdomains: the hospital's other servers are not ours to decide about.
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
MODE_HEADER: Final = b"x-health-ledger-mode"


class UnsafeBinding(ValueError):
    """An address and settings that would leave the node's API open to strangers."""


def check_binding(
    host: str, token: str | None, *, protected: bool = False, development: bool = False
) -> None:
    """Refuse to listen where others can reach the node without signing in.

    Args:
        host: where the API is to listen.
        token: the node's one token, if there is one.
        protected: whether callers have to sign in by any other way.
        development: whether everybody is believed to be whoever they say.

    Raises:
        UnsafeBinding: saying what to do.
    """
    if token is not None and (len(token) < MIN_TOKEN_LENGTH or not token.isascii()):
        raise UnsafeBinding(f"the API token needs at least {MIN_TOKEN_LENGTH} ASCII characters")
    if is_loopback(host):
        return
    if development:
        raise UnsafeBinding(
            f"in development mode nobody signs in, and the API would listen on {host}; "
            "listen on 127.0.0.1"
        )
    if token is None and not protected:
        raise UnsafeBinding(
            f"the API would listen on {host} and nobody has to sign in; set up operators or "
            "[signin], give a token, or listen on 127.0.0.1"
        )


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


class Guard:
    """ASGI middleware: security headers on all, and Host names where nobody has to sign in.

    Such a node listens on loopback only, and a page in somebody's browser could still reach it
    under a name of its own that resolves to 127.0.0.1. So the Host header must then be a loopback
    name.

    Args:
        loopback: whether only loopback names are served.
        secure: whether browsers reach the node over TLS.
        development: whether every answer is marked as one of the development mode.
    """

    def __init__(
        self, app: ASGIApp, *, loopback: bool, secure: bool = False, development: bool = False
    ) -> None:
        self._app = app
        self._loopback = loopback
        self._headers = [*_SECURITY_HEADERS, *([_HSTS] if secure else [])]
        if development:
            self._headers.append((MODE_HEADER, b"development"))

    def _misdirected(self, scope: Scope) -> bool:
        host = _header(scope, b"host")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        return self._loopback and name.lower() not in LOOPBACK_HOSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                own = {name for name, _ in given}  # a page says itself what it may load
                more = [header for header in self._headers if header[0] not in own]
                message["headers"] = [*given, *more]
            await send(message)

        answer = self._app
        if self._misdirected(scope):
            answer = problem_response(problems.MISDIRECTED, scope["path"])
        await answer(scope, receive, send_guarded)


class Meter:
    """ASGI middleware: counts requests by route and status, and how long each took."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "ledger_http_requests", "Requests answered", ["method", "route", "status"],
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "ledger_http_seconds", "Time to answer a request, in seconds", ["route"],
            registry=registry,
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, send_counted)
        finally:
            # The template of the route, never the path: ids in labels would be without end.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if route != "other" else "other"
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(route).observe(time.perf_counter() - began)
