"""What a listener wants to hear, and what it may."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.node.listening.parties import Parties

#: How many values one filter can have.
MAX_VALUES: Final = 16
TERM_BYTES: Final = 8

_NONE: Final[frozenset[str]] = frozenset()


def term(kind: str, value: str) -> bytes:
    """What the index knows a value by: 8 bytes of a hash. Two values may share one, so a reader
    compares the event itself. ``kind``: person, institution, holder, name or contract."""
    return sha256(f"{kind}/{value}".encode(errors="replace")).digest()[:TERM_BYTES]


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters: an event has to meet each that is not empty, by any one of its values.

    ``names``: ``decided``, or ``access.decided`` for that contract's alone. ``people``: whom the
    event names. ``institutions``: those with any part in it. ``holders``: of the record.
    ``person`` and ``institution`` are not wishes but bounds: what the listener may hear at all.
    """

    contracts: frozenset[str] = _NONE
    names: frozenset[str] = _NONE
    people: frozenset[str] = _NONE
    institutions: frozenset[str] = _NONE
    holders: frozenset[str] = _NONE
    person: str | None = None
    institution: str | None = None

    @property
    def everything(self) -> bool:
        """Whether no event is left out."""
        return self == ALL

    def matches(self, contract: str, name: str, parties: Parties) -> bool:
        """Whether an event is among the selected."""
        if self.person is not None and self.person not in parties.people:
            return False
        if self.institution is not None and self.institution not in parties.institutions:
            return False
        if self.contracts and contract not in self.contracts:
            return False
        if self.names and not self.names & {name, f"{contract}.{name}"}:
            return False
        return (
            (not self.people or bool(self.people & parties.people))
            and (not self.institutions or bool(self.institutions & parties.institutions))
            and (not self.holders or bool(self.holders & parties.holders))
        )

    def needs_parties(self) -> bool:
        """Whether it matters whom an event concerns."""
        return bool(self.people or self.institutions or self.holders) or (
            self.person,
            self.institution,
        ) != (None, None)

    def terms(self) -> list[bytes]:
        """Terms of which every selected event has at least one: those of the filter that leaves
        fewest. Empty where every block has to be looked at."""
        if self.person is not None:
            return [term("person", self.person)]
        for kind, values in (("person", self.people), ("holder", self.holders)):
            if values:
                return sorted(term(kind, value) for value in values)
        if self.names:
            return sorted({term("name", name.rpartition(".")[2]) for name in self.names})
        if self.institution is not None:
            return [term("institution", self.institution)]
        for kind, values in (("institution", self.institutions), ("contract", self.contracts)):
            if values:
                return sorted(term(kind, value) for value in values)
        return []


ALL: Final = Selection()


def terms_of(contract: str, name: str, parties: Parties) -> set[bytes]:
    """The terms under which the index lists the block of an event."""
    return {
        term("contract", contract),
        term("name", name),
        *(term("person", value) for value in parties.people),
        *(term("institution", value) for value in parties.institutions),
        *(term("holder", value) for value in parties.holders),
    }
