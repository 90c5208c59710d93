"""Talking to the nodes of other holders: bounded, patient to a point, and believing nothing.

Where a holder answers is what its own officer has announced (contract `directory`), so the address
comes from outside: only https is used, or loopback where this node is on loopback itself, and no
redirect is followed. What is sent there is signed and sealed and of use to nobody else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import httpx

from ledger.chain import exchange
from ledger.node.setup.home import InvalidHome, NodeHome

MSGPACK: Final = {"Content-Type": "application/msgpack"}
CONNECT_SECONDS: Final = 5.0
#: A holder writes a release down and waits until it is final before it answers.
FIRST_BYTE_SECONDS: Final = 75.0
BETWEEN_SECONDS: Final = 30.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Failure(StrEnum):
    """Why a holder gave nothing."""

    NO_PLACE = "no-place"
    UNSAFE_PLACE = "unsafe-place"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    TOO_OFTEN = "too-often"
    BAD_ANSWER = "bad-answer"


class HolderFailed(Exception):
    """A holder did not give what was asked for. ``detail`` has no more than our own words."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(f"{failure.value}: {detail}" if detail else failure.value)
        self.failure = failure
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Trusted:
    """What this node accepts of others.

    ``loopback``: plain http on this machine, for a network that lives on one. ``tls``: which
    certificates count; the operating system's where it is None.
    """

    loopback: bool = False
    tls: ssl.SSLContext | None = None


def trusted_by(home: NodeHome) -> Trusted:
    """What a node accepts by its settings; raises `InvalidHome` for certificates that are none."""
    loopback = home.settings.api.host in _LOOPBACK
    if home.settings.exchange.ca is None:
        return Trusted(loopback)
    path = home.path / home.settings.exchange.ca
    try:
        return Trusted(loopback, ssl.create_default_context(cafile=str(path)))
    except (OSError, ssl.SSLError) as error:
        raise InvalidHome(f"{path}: no certificates: {error}") from None


class Holders:
    """The way to the nodes of other institutions.

    Args:
        place: the entry of an institution in the contract `directory`, or None.
        trusted: what is accepted.
        transport: another httpx transport, for tests.
    """

    def __init__(
        self,
        place: Callable[[str], dict[str, Any] | None],
        trusted: Trusted,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._place = place
        self._trusted = trusted
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def ask(self, holder: str, path: str, body: bytes) -> bytes:
        """A whole answer of at most `exchange.MAX_ANSWER_BYTES`; raises `HolderFailed`."""
        answer = bytearray()
        async with aclosing(self.stream(holder, path, body)) as pieces:
            async for piece in pieces:
                answer += piece
                if len(answer) > exchange.MAX_ANSWER_BYTES:
                    raise HolderFailed(Failure.BAD_ANSWER, "an answer without end")
        return bytes(answer)

    async def stream(
        self, holder: str, path: str, body: bytes, first: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """An answer in pieces, as they come; raises `HolderFailed`, also half way."""
        url = await self._url(holder)
        timeout = httpx.Timeout(CONNECT_SECONDS, read=FIRST_BYTE_SECONDS)
        request = self._client().build_request(
            "POST", url + path, params={"first": first} if first else None, content=body,
            headers=MSGPACK, timeout=timeout,
        )  # fmt: skip
        try:
            response = await self._client().send(request, stream=True)
        except httpx.TimeoutException:
            raise HolderFailed(Failure.TIMEOUT) from None
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise HolderFailed(Failure.UNREACHABLE, type(error).__name__) from None
        try:
            if response.status_code != 200:
                raise _refusal(response.status_code)
            pieces = response.aiter_raw()
            while True:
                piece = await asyncio.wait_for(anext(pieces, None), BETWEEN_SECONDS)
                if piece is None:
                    return
                yield piece
        except (TimeoutError, httpx.TimeoutException):
            raise HolderFailed(Failure.TIMEOUT) from None
        except httpx.HTTPError as error:
            raise HolderFailed(Failure.UNREACHABLE, type(error).__name__) from None
        finally:
            await response.aclose()

    async def _url(self, holder: str) -> str:
        entry = await asyncio.to_thread(self._place, holder)
        if entry is None:
            raise HolderFailed(Failure.NO_PLACE, "the institution has announced none")
        try:
            url = httpx.URL(entry["url"])
        except httpx.InvalidURL:
            raise HolderFailed(Failure.UNSAFE_PLACE, "not a URL") from None
        local = self._trusted.loopback and url.host in _LOOPBACK
        if not url.host or not (url.scheme == "https" or (url.scheme == "http" and local)):
            raise HolderFailed(Failure.UNSAFE_PLACE, "neither https nor on this machine")
        return str(url).rstrip("/")

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                verify=self._trusted.tls or True,
                # Proxies of the environment are for the world outside of this machine.
                trust_env=not self._trusted.loopback,
                follow_redirects=False,
                transport=self._transport,
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            )
        return self._http


def _refusal(status: int) -> HolderFailed:
    if status == 403:
        return HolderFailed(Failure.REFUSED)
    if status in (429, 503):
        return HolderFailed(Failure.TOO_OFTEN)
    return HolderFailed(Failure.BAD_ANSWER, f"status {status}")
