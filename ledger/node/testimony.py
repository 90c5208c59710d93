"""What this node tells the chain about validators that broke the rules, as far as it can be shown.

Every node that notices a fault could report it, and one report is enough. So each waits for a pause
of its own and looks at the chain before it speaks. What f+1 validators have to state together, each
that saw it states.
"""

from __future__ import annotations

import asyncio
import heapq
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from ledger.chain import limits
from ledger.chain.block import ValidatorSet
from ledger.chain.codec import Malformed, decode_value
from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.evidence import Unproven, convict
from ledger.consensus.statements import Signed

_log = structlog.get_logger(__name__)

#: Faults that wait to be told; more are dropped, as one finding of a node is enough to act on.
MAX_WAITING: Final = 64
#: What was told or found told already, so that it is not looked up again.
MAX_REMEMBERED: Final = 256
#: For each validator there is, the pause before a report is drawn from so many seconds more.
PAUSE_SECONDS: Final = 0.5
FIRST_RETRY_SECONDS: Final = 2.0
LAST_RETRY_SECONDS: Final = 120.0
MAX_ATTEMPTS: Final = 8
#: What the contract says of a height that is not there yet.
_NOT_YET: Final = "not_yet"
_MAX_REASON: Final = 64

#: Rules that two statements prove by themselves; the others are stated by several validators.
_REPORTED: Final = {Rule.EQUIVOCATION, Rule.AMNESIA}
_STATED: Final = {Rule.INVALID_PROPOSAL, Rule.UNPROVEN_PREPARED}


#: How many findings the chain has.
FINDING_COUNT: Final = b"evidence/finding_count"


def findings_on(read: Callable[[bytes], bytes | None]) -> int:
    """How many findings there are in a state."""
    raw = read(FINDING_COUNT)
    count = 0 if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    return count if isinstance(count, int) else 0


@dataclass(frozen=True, slots=True)
class Charge:
    """One fault as the contract takes it. ``entry``: the state key of the finding about it."""

    rule: Rule
    accused: str
    height: int
    entry: bytes
    call: Call


def charge(fault: PeerFault, chain: bytes, validators: ValidatorSet) -> Charge | None:
    """The call that brings a fault before the contract; None where that convinces nobody.

    ``validators``: those of the height that the evidence is about.
    """
    member = validators.find(fault.accused)
    if member is None or fault.rule not in _REPORTED | _STATED:
        return None
    try:
        said = convict(fault.rule, fault.evidence, chain, validators)
        first, second = (
            decode_value(part, limit=limits.MAX_TRANSACTION_BYTES) for part in fault.evidence
        )
    except (Unproven, Malformed):
        return None
    key = member.key.hex()
    phase, view = _place(fault.rule, said, second)
    arguments: dict[str, Any]
    if fault.rule in _REPORTED:
        arguments = {"key": key, "first": first, "second": second}
        call = Call("evidence", "report", arguments)
    else:
        arguments = {
            "rule": fault.rule.value, "key": key, "statement": first, "about": second,
            "reason": reason(fault.detail),
        }  # fmt: skip
        call = Call("evidence", "state", arguments)
    entry = f"evidence/known/{key}/{said.height}/{view}/{phase}".encode()
    return Charge(fault.rule, fault.accused, said.height, entry, call)


def _place(rule: Rule, said: Signed, second: Any) -> tuple[str, int]:
    """Phase and view under which the contract files a finding."""
    if rule is Rule.EQUIVOCATION:
        return said.kind, said.view
    if rule is Rule.AMNESIA:
        # Of the COMMIT, which stands first or second.
        return rule.value, said.view if said.kind == "commit" else int(second[2])
    return rule.value, said.view


def reason(detail: str) -> str:
    """A sentence about a fault as the short code that the chain takes."""
    words = re.sub(r"[^a-z0-9_.]+", "-", detail.partition(" (")[0].lower()).strip("-")
    return words[:_MAX_REASON] or "unspecified"


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    number: int
    charge: Charge = field(compare=False)
    attempts: int = field(compare=False, default=0)


class Testimony:
    """Brings faults before the chain, one after the other.

    Args:
        perform: sends a call of this node and waits until it is final.
        read: reads a state entry of the newest block.
        entropy: so many random bytes.
    """

    def __init__(
        self,
        perform: Callable[[Call], Awaitable[tuple[int, CallResult]]],
        read: Callable[[bytes], bytes | None],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._perform = perform
        self._read = read
        self._entropy = entropy
        self._waiting: list[_Waiting] = []
        self._remembered: dict[bytes, None] = {}
        self._number = 0
        #: Whether something is being told now.
        self.busy = False
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many faults are yet to be told."""
        return len(self._waiting)

    def accused(self, fault: PeerFault, chain: bytes, validators: ValidatorSet) -> None:
        """Take note of a fault that the consensus noticed at a height of these validators."""
        found = charge(fault, chain, validators)
        if found is None or found.entry in self._remembered:
            return
        if len(self._waiting) >= MAX_WAITING:
            _log.warning("testimony_dropped", peer=fault.accused, rule=fault.rule)
            return
        self._remember(found.entry)
        # One report is enough, so the pauses differ the more, the more could make it.
        speakers = validators.size if found.rule in _REPORTED else 1
        self._put(found, self._fraction() * speakers * PAUSE_SECONDS, 0)

    def _remember(self, entry: bytes) -> None:
        self._remembered[entry] = None
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def _put(self, found: Charge, pause: float, attempts: int) -> None:
        self._number += 1
        due = asyncio.get_running_loop().time() + pause
        heapq.heappush(self._waiting, _Waiting(due, self._number, found, attempts))
        self._wake.set()

    def _fraction(self) -> float:
        return int.from_bytes(self._entropy(4), "big") / 2**32

    async def run(self) -> None:
        """Tell what there is to tell, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            pause = self._waiting[0].due - loop.time() if self._waiting else None
            if pause is None or pause > 0:
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            item = heapq.heappop(self._waiting)
            self.busy = True
            if not await self._told(item.charge):
                self._again(item)
            self.busy = False

    def _again(self, item: _Waiting) -> None:
        attempts = item.attempts + 1
        if attempts >= MAX_ATTEMPTS:
            _log.warning("testimony_given_up", peer=item.charge.accused, rule=item.charge.rule)
            return
        pause = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0**item.attempts)
        self._put(item.charge, pause * (0.5 + self._fraction()), attempts)

    async def _told(self, found: Charge) -> bool:
        """Whether the chain has heard it, or does not want to."""
        if self._read(found.entry) is not None:
            return True
        try:
            _height, result = await self._perform(found.call)
        except (TimeoutError, PermissionError) as error:
            _log.warning("testimony_not_taken", peer=found.accused, error=str(error))
            return False
        if result.ok:
            _log.info(
                "testimony_given", peer=found.accused, rule=found.rule, height=found.height,
                finding=result.value or None,
            )  # fmt: skip
            return True
        _log.warning("testimony_refused", peer=found.accused, error=result.error)
        return not result.error.startswith(_NOT_YET)
