"""What the registry says of a person at the newest height."""

from __future__ import annotations

from typing import Any, Protocol

from ledger.api.signin.refusal import Refused, Why
from ledger.chain import limits
from ledger.chain.block import Header
from ledger.chain.codec import decode_value

#: Answers of one height that are remembered.
MAX_KNOWN = 10_000


class ChainState(Protocol):
    """The part of a node that this needs."""

    def head(self) -> Header: ...
    def state(self, key: bytes, height: int | None = None) -> bytes | None: ...


class Standing:
    """Certified roles. Answers are remembered until the next block."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain
        self._height = -1
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def roles(self, person: str, institution: str) -> tuple[str, ...]:
        """The roles of a person when acting for an institution.

        Raises:
            Refused: the person or the institution is not in good standing, or they have nothing to
                do with each other.
        """
        height = self._chain.head().height
        if height != self._height or len(self._known) >= MAX_KNOWN:
            self._known.clear()
            self._height = height
        found = self._known.get((person, institution))
        if found is None:
            found = self._known[person, institution] = self._look(person, institution, height)
        if not found:
            raise Refused(Why.NOT_CERTIFIED, person)
        return found

    def _look(self, person: str, institution: str, height: int) -> tuple[str, ...]:
        entry = self._entry("people", person, height)
        if not isinstance(entry, dict) or entry.get("status") != "active":
            return ()
        if self._entry("closed", institution, height) is not None:
            return ()
        for affiliation in entry["affiliations"]:
            if affiliation["institution"] == institution:
                return tuple(affiliation["roles"])
        return ()

    def _entry(self, table: str, name: str, height: int) -> Any:
        key = f"registry/{table}/{name}".encode()
        if not name or "/" in name or not name.isprintable() or len(key) > 256:
            return None
        raw = self._chain.state(key, height)
        return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    def has_left(self, institution: str) -> bool:
        """Whether an institution is a member no more."""
        return self._entry("closed", institution, self._chain.head().height) is not None

    def home(self, person: str) -> str | None:
        """The institution that entered a person, if there is such a person."""
        entry = self._entry("people", person, self._chain.head().height)
        return str(entry["home"]) if isinstance(entry, dict) else None

    def is_patient(self, person: str) -> bool:
        """Whether a person is a patient in good standing."""
        height = self._chain.head().height
        entry = self._entry("people", person, height)
        return (
            isinstance(entry, dict)
            and entry.get("status") == "active"
            and any(each["roles"] == ["patient"] for each in entry["affiliations"])
        )
