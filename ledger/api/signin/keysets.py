"""The published keys of an issuer, kept for a while and fetched again when they have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from ledger.api.signin import jose
from ledger.api.signin.jose import PublicKey, Token
from ledger.api.signin.outgoing import Unreachable
from ledger.api.signin.refusal import Refused, Why

_log = structlog.get_logger(__name__)

#: Keys are fetched again after so many seconds, so that a key that was withdrawn ends.
FRESH_S: Final = 600.0
#: A token with an unknown key name makes us look again, but no more often than this: the name is
#: the sender's word, and would let anybody drive us against the provider.
LEAST_PAUSE_S: Final = 30.0
#: While the provider cannot be reached, keys that are known are good for so long.
STALE_S: Final = 24 * 3600.0


class KeySet:
    """The keys of one issuer.

    Args:
        name: what the log calls it.
        load: fetches the JWK set; raises `Unreachable`.
        clock: seconds that only ever grow.
    """

    def __init__(
        self, name: str, load: Callable[[], Awaitable[bytes]], clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._load = load
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._one = asyncio.Lock()

    async def key_for(self, token: Token) -> PublicKey:
        """The key that a token has to be signed with.

        Raises:
            Refused: there is none, or the keys cannot be had.
        """
        age = self._clock() - self._fetched
        found = jose.chosen(token, self._keys)
        if found is None or age > FRESH_S:
            await self._refresh()
            found = jose.chosen(token, self._keys)
        age = self._clock() - self._fetched
        if age > STALE_S:
            raise Refused(Why.UNREACHABLE)
        if found is None:
            raise Refused(Why.UNKNOWN_KEY)
        return found

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was tried a moment ago; those waiting share one attempt."""
        async with self._one:
            if self._clock() - self._tried < LEAST_PAUSE_S:
                return
            self._tried = self._clock()
            try:
                self._keys = jose.key_set(await self._load())
                self._fetched = self._clock()
            except (Unreachable, ValueError) as error:
                _log.warning("keys_not_fetched", issuer=self._name, error=str(error))
