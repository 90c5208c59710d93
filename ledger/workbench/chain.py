"""The chain that an author's tests act on, and the people who act.

The machine, the state and the library's contracts are those of production. What is missing is the
network: every call is a block of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ledger.chain.pointer import record_digest
from ledger.chain.result import CallResult, Event
from ledger.contracts.machine import BlockContext, Machine
from ledger.contracts.sources import library_sources
from ledger.workbench.consortium import (
    INSTITUTIONS,
    NOTE,
    PATIENT,
    PEOPLE,
    REPLY_KEY,
    World,
    key_of,
    pointer,
)
from ledger.workbench.excerpts import with_excerpt

#: Milliseconds.
UNITS: Final = {
    "milliseconds": 1,
    "seconds": 1_000,
    "minutes": 60_000,
    "hours": 3_600_000,
    "days": 86_400_000,
}
#: What a request asks for when a test does not say otherwise.
FACTS: Final[dict[str, Any]] = {
    "subject": PATIENT,
    "requester": "gao",
    "roles": ["physician"],
    "institution": "county",
    "institution_kind": "county-hospital",
    "purpose": "TREAT",
    "branch": "TREAT",
    "holder": "city",
    "record": "00" * 32,
    "kind": "laboratory",
    "case": "",
    "confidentiality": "N",
    "labels": [],
    "labels_root": bytes(32),
    "data_start": 0,
    "data_end": 0,
}

Record = dict[str, Any]
Decision = dict[str, Any]


class CallFailed(AssertionError):
    """A call that a test expected to succeed. ``code``: what the contract refused it with."""

    def __init__(self, error: str, shown: str) -> None:
        super().__init__(shown)
        self.error = error
        self.code = error.partition(":")[0]


class Chain(World):
    """A consortium in memory with an author's contracts in force beside the library's."""

    def __init__(
        self,
        contracts: Mapping[str, str] | None = None,
        arguments: Mapping[str, Mapping[str, Any]] | None = None,
        machine: Machine | None = None,
    ) -> None:
        super().__init__(contracts, arguments, machine)
        self.sources: dict[str, str] = {**library_sources(), **(contracts or {})}
        self.last: CallResult | None = None
        self._records = 0

    def __repr__(self) -> str:
        return f"<chain at height {self.height}>"

    # Time

    def moved_to(self, moment: int | str | datetime) -> None:
        """Set block time: milliseconds since 1970, a datetime, or an ISO text, UTC unless it says.

        Raises:
            ValueError: block time does not go back.
        """
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
        if isinstance(moment, datetime):
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            moment = round(aware.timestamp() * 1000)
        if moment < self.time:
            raise ValueError("block time does not go back")
        self.time = moment

    def passes(self, **amounts: int) -> None:
        """Let block time pass: ``days=1, hours=2``, down to milliseconds."""
        self.time += sum(UNITS[unit] * amount for unit, amount in amounts.items())

    # Calls

    def does(self, signers: str, contract: str, method: str, **arguments: Any) -> Any:
        """A call that must succeed; returns its value.

        Raises:
            CallFailed: it did not; with the line of the contract where it ended.
        """
        __tracebackhide__ = True
        result = self.last = self.call(signers, contract, method, **arguments)
        if not result.ok:
            raise CallFailed(result.error, self.explained(result.error))
        return result.value

    def asks(self, contract: str, method: str, **arguments: Any) -> Any:
        """The answer to a query.

        Raises:
            CallFailed: there was none.
        """
        __tracebackhide__ = True
        result = self.machine.query(
            self.state.get,
            BlockContext(self.chain, self.height, self.time),
            contract,
            method,
            arguments,
        )
        self.last = result
        if not result.ok:
            raise CallFailed(result.error, self.explained(result.error))
        return result.value

    def decides(self, contract: str, **facts: Any) -> Record:
        """What one contract's ``decide`` says to a request, without all the others.

        ``facts`` that are not given are those of a physician of the county hospital who asks to
        treat a patient whose normal laboratory result the city hospital holds.
        """
        __tracebackhide__ = True
        unknown = facts.keys() - FACTS.keys()
        if unknown:
            raise ValueError(f"no request has {', '.join(sorted(unknown))}")
        answer: Record = self.asks(contract, "decide", request={**FACTS, **facts})
        return answer

    def explained(self, error: str) -> str:
        """An error with the lines of the contract where it happened."""
        return with_excerpt(error, self.sources)

    @property
    def gas(self) -> int:
        """What the last call cost."""
        assert self.last is not None, "nothing was called yet"
        return self.last.gas

    @property
    def events(self) -> list[Event]:
        """What the last call announced, in order."""
        return [] if self.last is None else list(self.last.events)

    # People and records

    def person(self, role: str, institution: str) -> Actor:
        """Somebody with that role at that institution, entered by its registrar where nobody is."""
        for name, (home, roles) in PEOPLE.items():
            if home == institution and role in roles:
                return Actor(self, name, institution)
        if institution not in INSTITUTIONS:
            raise ValueError(f"the institutions are {', '.join(INSTITUTIONS)}, not {institution}")
        name = f"{institution}-{role}"
        # The genesis enters a registrar wherever there is none by name.
        if role != "registrar" and self.entry(f"registry/people/{name}") is None:
            registrar = self.person("registrar", institution).name
            self.does(
                registrar, "registry", "enrol", id=name, institution=institution, roles=[role],
                keys=[key_of(name).public.hex()],
            )  # fmt: skip
        return Actor(self, name, institution)

    def patient(self, name: str = PATIENT) -> Actor:
        """A patient, who acts for no institution."""
        return Actor(self, name, "")

    def record(self, **fields: Any) -> Record:
        """Anchor one record; returns its pointer. ``fields`` are those of a pointer.

        By default a normal laboratory result of the patient, held by the city hospital.
        """
        self._records += 1
        fresh = record_digest(b"salt" * 4, self._records.to_bytes(4))
        found = pointer(**{"digest": fresh, **fields})
        officer = self.person("records-officer", found["holder"]).name
        self.does(officer, "records", "anchor", pointer=found)
        return found


class Actor:
    """A person at the keyboard. ``institution``: for which she acts, "" for a patient."""

    def __init__(self, chain: Chain, name: str, institution: str) -> None:
        self.chain = chain
        self.name = name
        self.institution = institution

    def __repr__(self) -> str:
        return f"<{self.name} of {self.institution}>" if self.institution else f"<{self.name}>"

    def does(
        self, contract: str, method: str, *, beside: Sequence[Actor] = (), **arguments: Any
    ) -> Any:
        """Call a method; ``beside`` are those who sign too. Returns its value."""
        __tracebackhide__ = True
        signers = ",".join([self.name, *(other.name for other in beside)])
        return self.chain.does(signers, contract, method, **arguments)

    def asks_for(
        self, record: Record, purpose: str = "TREAT", *, case: str = "", labels: Sequence[Any] = ()
    ) -> Decision:
        """The decision on a request for a record."""
        __tracebackhide__ = True
        decision: Decision = self.does(
            "access", "request", pointer=record, proof={}, purpose=purpose,
            institution=self.institution, reply_key=REPLY_KEY, case=case, labels=list(labels),
        )  # fmt: skip
        return decision

    def breaks_glass(self, record: Record, reason: str = "unconscious") -> Decision:
        """The decision on a request in an emergency."""
        __tracebackhide__ = True
        decision: Decision = self.does(
            "access", "break_glass", pointer=record, proof={}, institution=self.institution,
            reply_key=REPLY_KEY, reason=reason, note=NOTE,
        )  # fmt: skip
        return decision

    def permits(self, consent: str, **scope: Any) -> None:
        """As a patient: give a consent. ``scope`` as in the contract ``consent``."""
        __tracebackhide__ = True
        self.does("consent", "grant", id=consent, subject=self.name, scope=scope)

    def denies(self, consent: str, **scope: Any) -> None:
        """As a patient: deny what the scope describes."""
        __tracebackhide__ = True
        self.does("consent", "deny", id=consent, subject=self.name, scope=scope)

    def withdraws(self, consent: str) -> None:
        """As a patient: withdraw a consent or a denial."""
        __tracebackhide__ = True
        self.does("consent", "withdraw", id=consent)
