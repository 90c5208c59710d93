"""What an audit found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ledger.audit.findings import Finding


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as a replay from the genesis makes it.

    ``height``: of the block that it belongs to, None where that cannot be told. ``transaction`` and
    ``index``: its id in hex and its place in the block, empty and None where it is not about one.
    ``table`` and ``key``: where in the store the wrong bytes are, empty for an export. ``what``:
    the rule or the field. ``expected`` and ``found``: as text, long ones shortened.
    """

    what: str
    height: int | None = None
    transaction: str = ""
    index: int | None = None
    table: str = ""
    key: str = ""
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        places = []
        if self.height is not None:
            places.append(f"height {self.height}")
        if self.index is not None:
            places.append(f"transaction {self.index} {self.transaction}".rstrip())
        if self.table:
            places.append(f"table {self.table} {self.key}".rstrip())
        text = f"{', '.join(places)}: {self.what}" if places else self.what
        if self.expected or self.found:
            text += f"; expected {self.expected or 'nothing'}, found {self.found or 'nothing'}"
        return text


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The outcome of an audit.

    ``verified``: whether everything was checked and nothing is wrong. ``unchecked``: what could not
    be checked, in words. ``blocks``, ``transactions``: how many were replayed and
    found good, the genesis block included. ``height``, ``state_root``: the last good block and its
    state root in hex (-1 and empty where not even the genesis block is good). ``faults``: by
    height, at most `MAX_FAULTS`. ``seconds``: how long it took. ``findings``: about
    validators that broke the rules of the consensus; they are no fault of the chain.
    """

    verified: bool
    chain: str
    blocks: int
    transactions: int
    height: int
    state_root: str
    faults: tuple[Fault, ...] = field(default=())
    seconds: float = 0.0
    findings: tuple[Finding, ...] = field(default=())
    unchecked: tuple[str, ...] = ()

    @property
    def first_fault(self) -> Fault | None:
        """The fault at the lowest height."""
        return self.faults[0] if self.faults else None

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        first = self.first_fault
        return {**asdict(self), "first_fault": None if first is None else asdict(first)}


#: An audit looks no further once it has found so many faults.
MAX_FAULTS = 100
_SHOWN = 48


def shown(value: object) -> str:
    """A value of a row or a rule as text for people, bytes as hex, long ones shortened."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        if len(value) <= _SHOWN:
            return value.hex()
        return f"{value[:_SHOWN].hex()}… ({len(value)} bytes)"
    text = str(value)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"


def difference(expected: bytes, found: bytes) -> tuple[str, str]:
    """The first place where two byte strings differ, as text, from a little before it."""
    place = next(
        (
            at
            for at, (left, right) in enumerate(zip(expected, found, strict=False))
            if left != right
        ),
        min(len(expected), len(found)),
    )
    start = max(0, place - 8)
    sides = (
        f"{len(side)} bytes, at {place} …{side[start : place + 24].hex()}…"
        for side in (expected, found)
    )
    return next(sides), next(sides)
