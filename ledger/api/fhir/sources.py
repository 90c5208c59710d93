"""Where the records behind ``/fhir`` come from: this node's own vault, and other holders.

This is the one place that knows how the node asks and fetches; the resource types above it know
pointers, purposes and answers. What the node may not hand out does not arrive here at all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.api.fhir.purpose import Purpose
from ledger.api.principal import Principal
from ledger.chain.exchange import Shown
from ledger.fhir.outcome import Issue
from ledger.node.desk import AnswerBroken
from ledger.node.vault.ownrecords import Opening


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Pointers that other holders showed, and what is missing in them."""

    shown: Sequence[Shown]
    problems: Sequence[Issue] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A record on its way to the caller.

    ``decision``: the permit. ``pieces``: its bytes, each known to be the holder's; a generator that
    is closed when it is left early and raises `FetchBroken` where it does not come to its end.
    ``salt``: of the digest.
    """

    decision: str
    pieces: AsyncGenerator[bytes, None]
    salt: bytes


class Denied(Exception):
    """The contracts denied a record, by a decision that is on the chain."""

    def __init__(self, decision: str, rule: str) -> None:
        super().__init__(f"{decision}: {rule}")
        self.decision = decision
        self.rule = rule


class CannotAct(Exception):
    """The caller cannot ask through this node; says why."""


class FetchBroken(AnswerBroken):
    """A record did not arrive, or not as it was promised; says why, for the caller."""


class Sources(Protocol):
    """What the node can do about records."""

    def may_know(self, principal: Principal, subject: str) -> bool:
        """Whether a caller may know of every record of a subject here: the subject herself, and
        staff and systems of this institution who could look into its own systems anyway."""

    async def own(self, subject: str) -> Sequence[Shown]:
        """The anchored, current pointers of a subject in this node's vault."""

    async def own_record(self, name: bytes) -> Shown | None:
        """The anchored pointer of a record in this node's vault."""

    async def opening(self, name: bytes) -> Opening | None:
        """What an own pointer hides, where the record is still what was anchored."""

    async def content(self, name: bytes) -> bytes | None:
        """The bytes of a small own record, to verify them; None where the source gives others."""

    async def elsewhere(
        self, principal: Principal, subject: str, purpose: Purpose, holders: Sequence[str]
    ) -> Elsewhere:
        """What other holders show to a caller, after an enquiry on the chain.

        ``holders``: institution ids; empty for all that have announced themselves. A holder that
        refuses looks like one that has nothing.

        Raises:
            CannotAct: there is no key in whose name the node could ask.
            Denied: the chain refused the enquiry.
        """

    async def fetch(self, principal: Principal, shown: Shown, purpose: Purpose) -> Fetched:
        """Ask the chain for a record and, with a permit, its holder.

        Raises:
            Denied: the contracts denied it.
            CannotAct: there is no key in whose name the node could ask.
            FetchBroken: the holder does not give it.
        """
