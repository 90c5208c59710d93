"""Carrying one message to one address, and saying what came of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import httpcore

from ledger.node.webhooks.address import AllowList, CheckedBackend, Forbidden

#: Everything about one attempt, from looking up the name to the answer, in seconds.
ATTEMPT_S: Final = 20.0
CONNECTIONS: Final = 16
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_RETRY_AFTER_S: Final = 3600.0


class Fate(StrEnum):
    """What came of an attempt: taken; not now, try again; never this message; never again."""

    TAKEN = "taken"
    LATER = "later"
    REFUSED = "refused"
    GONE = "gone"


class Outcome(NamedTuple):
    """``why``: for the operator, without anything of the answer's body. ``pause_s``: what the
    receiver asked for."""

    fate: Fate
    why: str = ""
    pause_s: float = 0.0


TAKEN: Final = Outcome(Fate.TAKEN)


def outcome_of(status: int, retry_after: str = "") -> Outcome:
    """What an HTTP status says. Redirects are not followed: the address was checked, not theirs."""
    why = f"answered {status}"
    if 200 <= status < 300:
        return TAKEN
    if status == 410:
        return Outcome(Fate.GONE, why)
    if status in (408, 421, 425, 429) or status >= 500 or status < 400:
        asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        return Outcome(Fate.LATER, why, min(asked, MAX_RETRY_AFTER_S))
    return Outcome(Fate.REFUSED, why)


class Courier:
    """Sends POST requests over TLS to checked addresses.

    Args:
        allowed: which they are.
        authorities: a file of certificates to trust instead of the system's.
    """

    def __init__(self, allowed: AllowList, authorities: str | None = None) -> None:
        self._allowed = allowed
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=authorities),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=30.0,
            network_backend=CheckedBackend(allowed),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One attempt; never raises for what the other side does."""
        try:
            self._allowed.check(url)
            async with asyncio.timeout(ATTEMPT_S):
                return await self._post(url, headers, body)
        except Forbidden as error:
            return Outcome(Fate.LATER, str(error))
        except TimeoutError:
            return Outcome(Fate.LATER, f"no answer in {ATTEMPT_S:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException,
                ssl.SSLError, OSError) as error:  # fmt: skip
            return Outcome(Fate.LATER, f"not reached: {type(error).__name__}")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        sent.append((b"user-agent", b"health-ledger"))
        async with self._pool.stream("POST", url, headers=sent, content=body) as response:
            size = 0
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    break
            given = {name.lower(): value for name, value in response.headers}
            return outcome_of(response.status, given.get(b"retry-after", b"").decode("latin-1"))

    async def close(self) -> None:
        await self._pool.aclose()
