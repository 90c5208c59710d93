"""What is prepared and not yet signed: declarations and withdrawals of consents.

A patient signs with a key that the node does not have, and a paper form needs a second member of
staff. Between the request and the signature the node keeps the proposal, in memory, until the
transaction could no longer enter the chain. Nothing is lost with it but the work of asking again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ledger.api.fhir.errors import FhirProblem
from ledger.api.principal import Kind, Principal
from ledger.chain.transaction import Call
from ledger.fhir.consentview import Declared
from ledger.fhir.outcome import Issue

MAX_PROPOSALS: Final = 10_000
MAX_OF_ONE: Final = 50


@dataclass(frozen=True, slots=True)
class Proposal:
    """One act that waits for a signature.

    ``declared``: the consent as it is shown meanwhile. ``call``: the act. ``body``, ``id``: the
    transaction that a patient signs; empty where staff act. ``until``: the last height at which it
    holds. ``by``: who proposed it.
    """

    declared: Declared
    call: Call
    body: bytes
    id: bytes
    until: int
    by: Principal

    def seen_by(self, principal: Principal) -> bool:
        """By whoever proposed it, by the patient, and by staff of the institution."""
        if principal.kind is Kind.PATIENT:
            return principal.id in (self.by.id, self.declared.subject)
        return (
            principal.kind is Kind.STAFF
            and self.by.kind is Kind.STAFF
            and principal.institution == self.by.institution
        )


class Proposals:
    """The proposals of one node, by the FHIR id of the consent, one for each."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Proposal] = OrderedDict()

    def keep(self, name: str, proposal: Proposal, height: int) -> None:
        """Keep a proposal; an earlier one for the same consent gives way.

        A `FhirProblem` 429 for a caller who has too many open, 503 where all together are.
        """
        self.forget_expired(height)
        mine = sum(each.by.id == proposal.by.id for each in self._kept.values())
        if mine >= MAX_OF_ONE:
            raise FhirProblem(429, Issue("throttled", "Sign what is proposed before more"))
        if len(self._kept) >= MAX_PROPOSALS:
            raise FhirProblem(503, Issue("throttled", "Too many proposals are open here"))
        self._kept[name] = proposal

    def get(self, name: str, principal: Principal, height: int) -> Proposal | None:
        """The proposal for a consent, if it holds still and may be seen."""
        found = self._kept.get(name)
        if found is None or found.until < height or not found.seen_by(principal):
            return None
        return found

    def drop(self, name: str) -> None:
        self._kept.pop(name, None)

    def seen_by(self, principal: Principal, height: int) -> Iterator[tuple[str, Proposal]]:
        """Those that somebody may see, oldest first."""
        for name, proposal in self._kept.items():
            if proposal.until >= height and proposal.seen_by(principal):
                yield name, proposal

    def forget_expired(self, height: int) -> None:
        for name in [name for name, each in self._kept.items() if each.until < height]:
            del self._kept[name]
