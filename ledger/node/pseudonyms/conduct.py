"""What a node does about the keys of pseudonyms by itself: ceremonies, renewal, accounts.

It wakes when a block has written something that concerns it, and otherwise sleeps: on a chain
without keys it does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import structlog

from ledger.chain import limits
from ledger.chain.ceremonies import CONTRACT, PREFIX, Board
from ledger.chain.codec import decode_value
from ledger.chain.result import CallResult
from ledger.chain.store import StoreAway
from ledger.chain.transaction import Call
from ledger.node.pseudonyms.evaluator import Moment
from ledger.node.pseudonyms.party import Party
from ledger.node.pseudonyms.safe import SafeUnusable
from ledger.node.pseudonyms.usage import DAY_MS, Usage, UsageUnusable

_log = structlog.get_logger(__name__)

#: How often, in block time, a node looks whether shares are old and days are over, in milliseconds.
LOOK_MS: Final = 3_600_000
#: After something that did not work out, and between two looks at a clock, in seconds.
PAUSE_SECONDS: Final = 2.0
#: Who stands later in the order of validators leaves the others so long to begin, in seconds.
COURTESY_SECONDS: Final = 3.0
#: How many days back accounts are still taken.
ACCOUNT_DAYS: Final = 7

Perform = Callable[[Call], Awaitable[tuple[int, CallResult]]]


class Conduct:
    """Speaks for this node on the board of the contract.

    Args:
        node: its id.
        chain: 32 bytes.
        moment: the newest block.
        seated: the ids of the validators, in their order.
        party: what it says in ceremonies.
        usage: the accounts; None where nobody has asked this node yet.
        perform: sends a call of this node and waits until it is final.
        clock: milliseconds since 1970 UTC.
    """

    def __init__(
        self,
        node: str,
        chain: bytes,
        moment: Callable[[], Moment],
        seated: Callable[[], Sequence[str]],
        party: Party,
        usage: Callable[[], Usage | None],
        perform: Perform,
        clock: Callable[[], int],
    ) -> None:
        self._node = node
        self._chain = chain
        self._moment = moment
        self._seated = seated
        self._party = party
        self._usage = usage
        self._perform = perform
        self._clock = clock
        self._wake = asyncio.Event()
        self._looked = 0
        #: Domain → when it is this node's turn to begin its renewal, in the loop's seconds.
        self._turns: dict[str, float] = {}

    def follow(self, written: Iterable[bytes], time: int) -> None:
        """A block is final, which wrote these state entries at this block time."""
        due = time - self._looked >= LOOK_MS
        if due or any(key.startswith(PREFIX) or key == b"governance/validators" for key in written):
            if due:
                self._looked = time
            self._wake.set()

    async def run(self) -> None:
        """Do what there is to do, until cancelled."""
        self._wake.set()
        while True:
            await self._woken()
            self._wake.clear()
            try:
                while await self._step():
                    pass
            except (SafeUnusable, UsageUnusable, StoreAway, TimeoutError, PermissionError) as error:
                _log.warning("pseudonyms_interrupted", error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
                self._wake.set()

    async def _woken(self) -> None:
        """Wait for news; while a ceremony goes on, or is about to, also for time to pass."""
        if not self._board().open and not self._turns:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _board(self) -> Board:
        return Board(self._moment().read, self._chain)

    async def _step(self) -> bool:
        """Do one thing; whether there may be more to do at once."""
        board = self._board()
        if not board.settings or not (board.open or board.active):
            return False
        for number in board.open:
            call = await asyncio.to_thread(self._party.next, board, number, self._clock())
            if call is not None:
                return await self._say(call) and call.method != "tick"
        await asyncio.to_thread(self._party.tidy, board)
        if self._node not in self._seated():
            return False
        for domain in board.active:
            if self._over(board, domain):
                return await self._say(Call(CONTRACT, "retire", {"domain": domain}))
            if self._is_my_turn(board, domain):
                return await self._say(Call(CONTRACT, "open", {"domain": domain}))
        return await self._account()

    async def _say(self, call: Call) -> bool:
        _height, result = await self._perform(call)
        if not result.ok:
            _log.info("pseudonyms_refused", method=call.method, error=result.error)
            return False
        _log.info("pseudonyms_said", method=call.method)
        return True

    def _should_renew(self, board: Board, domain: str) -> bool:
        """Whether the key of a domain should be shared anew: this node has no share of it or has
        lost it, or one is held by a node that validates no more, or they are old."""
        epoch = board.epoch(domain)
        if epoch is None or board.value("running", domain) is not None:
            return False
        if self._clock() < (board.value("tried", domain) or 0):
            return False
        seated = self._seated()
        if any(node not in seated for node in epoch.nodes.values()):
            return True
        if epoch.index(self._node) is None:
            return True
        age = self._moment().time - epoch.time
        if age >= board.settings["refresh_days"] * DAY_MS:
            return True
        # The contract lets a holder say so once in a day.
        return age >= DAY_MS and self._party.share(board, domain) is None

    def _is_my_turn(self, board: Board, domain: str) -> bool:
        """Whether to begin now: one is enough, so each leaves those before it some time."""
        if not self._should_renew(board, domain):
            self._turns.pop(domain, None)
            return False
        now = asyncio.get_running_loop().time()
        courtesy = self._seated().index(self._node) * COURTESY_SECONDS
        return now >= self._turns.setdefault(domain, now + courtesy)

    def _over(self, board: Board, domain: str) -> bool:
        """Whether a domain is of a study that has ended for good."""
        kind, _, study = domain.partition(".")
        if kind != "study" or board.value("running", domain) is not None:
            return False
        raw = self._moment().read(f"research/studies/{study}".encode())
        found = None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
        return isinstance(found, dict) and found["status"] == "ended"

    async def _account(self) -> bool:
        usage = self._usage()
        if usage is None:
            return False
        today = self._moment().time // DAY_MS
        for day, counts in usage.unaccounted(today, ACCOUNT_DAYS).items():
            _height, result = await self._perform(
                Call(CONTRACT, "account", {"day": day, "counts": counts})
            )
            if result.ok or result.error.startswith("said_before"):
                usage.accounted(day)
            else:
                _log.warning("account_refused", day=day, error=result.error)
                return False
        return False
