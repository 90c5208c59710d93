"""Has the chain tell patients of sealed accesses on their date (docs/decisions/0034).

Anybody may do that, and nobody can put it off; but a chain does nothing by itself, so somebody has
to. Each node looks after the accesses that its institution asked for or holds the record of. Where
two nodes ask, the second is refused by the contract, which does no harm.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import structlog

from ledger.chain import limits
from ledger.chain.codec import Malformed, decode_value
from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node.events import EventFeed, Passed, end_of
from ledger.node.listening.parties import Read
from ledger.node.listening.selection import Selection

_log = structlog.get_logger(__name__)

SEALED: Final = "access.sealed"
#: How often it is looked whether a date has come, in seconds; dates are days away.
LOOK_S: Final = 60.0
#: Refusals after which there is nothing left to do.
_DONE: Final = ("not_sealed", "unknown_request")

#: Sends one call signed by the node, as `Agent.perform` does.
Perform = Callable[[Call], Awaitable[tuple[int, CallResult]]]


class Teller:
    """Remembers what is sealed, from the chain, and has it told in time.

    Args:
        institution: that of the node.
        block_time: of the newest block, in ms: the clock of the contracts.
    """

    def __init__(
        self,
        institution: str,
        feed: EventFeed,
        read: Read,
        block_time: Callable[[], int],
        perform: Perform,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._institution = institution
        self._feed = feed
        self._read = read
        self._block_time = block_time
        self._perform = perform
        self._sleep = sleep
        #: What is still to be told: the date and the id of the decision.
        self._due: list[tuple[int, str]] = []

    async def run(self) -> None:
        """Tell until cancelled."""
        listening = asyncio.create_task(self._listen())
        try:
            while not listening.done():
                await self.tell()
                await self._sleep(LOOK_S)
            listening.result()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        # From the beginning of what is kept, by the index: nothing else has to be remembered.
        start = end_of(self._feed.base - 1)
        wanted = Selection(names=frozenset({SEALED}), institution=self._institution)
        async with aclosing(self._feed.follow(start, wanted)) as source:
            async for item in source:
                if not isinstance(item, Passed):
                    self._note(item.fields)
        await asyncio.Event().wait()

    def _note(self, fields: dict[str, Any]) -> None:
        request, told = fields.get("request"), fields.get("told")
        if isinstance(request, str) and type(told) is int and not self._is_told(request):
            heapq.heappush(self._due, (told, request))

    def _is_told(self, request: str) -> bool:
        raw = self._read(f"access/decisions/{request}".encode(errors="replace"))
        if raw is None:
            return False
        try:
            decision = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
        except Malformed:
            return False
        return isinstance(decision, dict) and "unsealed" in decision

    async def tell(self) -> None:
        """Have those told whose date has come."""
        now = self._block_time()
        later: list[tuple[int, str]] = []
        while self._due and self._due[0][0] <= now:
            date, request = heapq.heappop(self._due)
            if not self._is_told(request) and not await self._told(request):
                later.append((date, request))
        for entry in later:
            heapq.heappush(self._due, entry)

    async def _told(self, request: str) -> bool:
        """Whether there is nothing left to do about a decision."""
        try:
            _, result = await self._perform(Call("access", "unseal", {"request": request}))
        except (TimeoutError, PermissionError) as error:
            _log.warning("not_unsealed", request=request, why=str(error))
            return False
        if result.ok or result.error.partition(":")[0] in _DONE:
            return True
        _log.warning("not_unsealed", request=request, why=result.error)
        return False
