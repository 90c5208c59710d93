"""The session cookie.

``__Host-`` (RFC 6265bis §4.1.3.2) binds it to one host over TLS. On loopback without TLS browsers
would refuse that, and there the cookie has a plain name.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from ledger.api.signin.sessions import Opened

_SECURE_NAME: Final = "__Host-health-ledger"
_PLAIN_NAME: Final = "health-ledger"
MAX_COOKIE: Final = 8192


def is_secure(url: str) -> bool:
    """Whether browsers reach the node at this base URL over TLS."""
    return url.startswith("https://")


def cookie_name(url: str, purpose: str = "") -> str:
    """The name of a cookie of the node at a base URL."""
    name = _SECURE_NAME if is_secure(url) else _PLAIN_NAME
    return f"{name}-{purpose}" if purpose else name


def set_cookie(name: str, value: str, url: str, *, seconds: int, strict: bool = True) -> str:
    """A Set-Cookie header's value. ``strict``: not sent with what another site began; the cookie
    of a sign-in under way has to come back from the provider."""
    parts = [f"{name}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly"]
    parts.append(f"SameSite={'Strict' if strict else 'Lax'}")
    if is_secure(url):
        parts.append("Secure")
    return "; ".join(parts)


def clear_cookie(name: str, url: str) -> str:
    """A Set-Cookie header's value that takes a cookie away."""
    return set_cookie(name, "", url, seconds=0)


def cookie_of(scope: Scope, name: str) -> str | None:
    """The value of a cookie; None where there is none, or two that disagree."""
    raw = b"; ".join(value for key, value in scope["headers"] if key == b"cookie")
    if not raw or len(raw) > MAX_COOKIE:
        return None
    values = set()
    for part in raw.decode("latin-1").split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            values.add(value)
    return values.pop() if len(values) == 1 else None


def set_session(response: Response, opened: Opened, url: str, now: float) -> None:
    """Give a session that has just begun to the browser."""
    seconds = max(0, int(opened.ends - now))
    cookie = set_cookie(cookie_name(url), opened.secret, url, seconds=seconds)
    response.headers.append("set-cookie", cookie)
