"""Fetching what an identity provider or a registered system publishes: its metadata and keys.

Only addresses that the node's own configuration names are fetched, or that a document from such an
address names on the same host. No redirect is followed, and every answer is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from ledger.node.setup.signin import is_loopback

MAX_ANSWER: Final = 256 * 1024
PATIENCE_S: Final = 5.0

#: Fetches a URL; with a form, posts it. Raises `Unreachable`.
Fetch = Callable[[str, Mapping[str, str] | None, tuple[str, str] | None], Awaitable[bytes]]


class Unreachable(Exception):
    """An address did not answer as it should; the text is for the log."""


def same_host(first: str, second: str) -> bool:
    """Whether two URLs have the same scheme, host and port."""
    ports = {"https": 443, "http": 80}
    one, other = urlsplit(first), urlsplit(second)
    return (one.scheme, one.hostname, one.port or ports.get(one.scheme)) == (
        other.scheme,
        other.hostname,
        other.port or ports.get(other.scheme),
    )


async def fetch(
    url: str,
    form: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
) -> bytes:
    """Get ``url``, or post a form to it, and return the body of a good answer.

    Args:
        url: https, or http on loopback.
        form: what to post.
        login: user name and password for basic authentication.

    Raises:
        Unreachable: no such address, no answer in time, not a good one, or too large.
    """
    parts = urlsplit(url)
    here = is_loopback(parts.hostname)
    if parts.scheme != "https" and not here:
        raise Unreachable("not https")
    # A hospital's proxy leads out of the house, never to this machine.
    options = {"timeout": PATIENCE_S, "follow_redirects": False, "trust_env": not here}
    method = "GET" if form is None else "POST"
    auth = None if login is None else httpx.BasicAuth(*login)
    try:
        async with (
            asyncio.timeout(2 * PATIENCE_S),
            httpx.AsyncClient(**options) as client,  # type: ignore[arg-type]
            client.stream(
                method, url, data=form, auth=auth, headers={"Accept": "application/json"}
            ) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise Unreachable(f"{parts.hostname} answered {answer.status_code}")
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise Unreachable(f"{parts.hostname} answered more than {MAX_ANSWER} bytes")
            return body
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        raise Unreachable(f"{parts.hostname}: {type(error).__name__}") from None
