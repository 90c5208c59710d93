"""What stands before the routes: who may talk to the node, what every response carries, counts."""

from __future__ import annotations

import hmac
import ipaddress
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.api import problems
from ledger.api.problems import problem_response

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
MIN_TOKEN_LENGTH: Final = 16

#: Requests below it are signed by whoever asks, so they need no token.
SIGNED_PREFIX: Final = "/v1/records/"

_SECURITY_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


class UnsafeBinding(ValueError):
    """An address and token that would leave the node's API open to strangers."""


def check_binding(host: str, token: str | None) -> None:
    """Refuse to listen where others can reach the node without a token.

    Raises:
        UnsafeBinding: saying what to do.
    """
    if token is not None and (len(token) < MIN_TOKEN_LENGTH or not token.isascii()):
        raise UnsafeBinding(f"the API token needs at least {MIN_TOKEN_LENGTH} ASCII characters")
    if token is None and not _is_loopback(host):
        raise UnsafeBinding(
            f"the API would listen on {host} without a token; set one, or listen on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def needs_token(path: str) -> bool:
    """Whether a path asks for the bearer token, where the node has one."""
    return path.startswith("/v1") and not path.startswith(SIGNED_PREFIX)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


class Guard:
    """ASGI middleware: security headers on all, a bearer token on ``/v1`` where one is set.

    Without a token the node listens on loopback only, and a page in somebody's browser could still
    reach it under a name of its own that resolves to 127.0.0.1. So the Host header must then be a
    loopback name.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()

    def _refusal(self, scope: Scope) -> problems.Kind | None:
        if self._token is None:
            host = _header(scope, b"host")
            name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
            return None if name.lower() in LOOPBACK_HOSTS else problems.MISDIRECTED
        if not needs_token(scope["path"]):
            return None
        scheme, _, given = _header(scope, b"authorization").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        return None if right and scheme.lower() == "bearer" else problems.UNAUTHORISED

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_SECURITY_HEADERS]
            await send(message)

        kind = self._refusal(scope)
        if kind is None:
            await self._app(scope, receive, send_guarded)
            return
        headers = {"WWW-Authenticate": "Bearer"} if kind is problems.UNAUTHORISED else None
        refusal = problem_response(kind, scope["path"], headers=headers)
        await refusal(scope, receive, send_guarded)


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
