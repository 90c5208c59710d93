"""What a node's own vault says of its records to those who could look into the source anyway.

A pointer hides the exact type and the labels of a record; its holder can open it. Nothing of this
hands a record out: that takes a permit on the chain, also here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.chain.exchange import Shown
from ledger.chain.pointer import commitment
from ledger.crypto.hashing import same
from ledger.fhir.records import InvalidResource, describe, parse_resource
from ledger.node.vault.connector import RecordUnavailable
from ledger.node.vault.opened import RecordAltered
from ledger.node.vault.vault import Entry, Vault

#: Bytes up to which a record is read to say what it is, or to compare it.
MAX_READ: Final = 16 << 20


class Opening(NamedTuple):
    """What hides behind the commitments of a pointer: exact type as ``system|code``, or empty; the
    sensitivity codes; and the salt of the digest."""

    type: str
    labels: tuple[str, ...]
    salt: bytes


class OwnRecords:
    """The anchored records of one vault. Everything here may read files: call it in a thread."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def of(self, subject: str) -> list[Shown]:
        """The current pointers of a subject, in the order in which they were taken in."""
        return self._vault.pointers_of(subject)

    def record(self, name: bytes) -> Shown | None:
        """The pointer of a record, also of one that is no longer current."""
        entry = self._vault.lookup(name)
        proof = None if entry is None else self._vault.proof_of(name)
        if entry is None or proof is None:
            return None
        return Shown(entry.pointer, proof)

    def opening(self, name: bytes) -> Opening | None:
        """What the pointer of a record hides; None where there is no such record. The type and the
        labels are empty where the source does not give, now, what was anchored."""
        entry = self._vault.lookup(name)
        if entry is None:
            return None
        content = self._read(entry)
        described = None
        if content is not None:
            try:
                described = describe(parse_resource(content))
            except InvalidResource:
                described = None
        if described is None or not same(
            commitment(entry.salts.type, described.type), entry.pointer.type
        ):
            return Opening("", (), entry.salts.digest)
        return Opening(described.type, described.labels, entry.salts.digest)

    def unchanged(self, name: bytes) -> bytes | None:
        """The bytes of a record that is not large, if they are what was anchored; else None."""
        entry = self._vault.lookup(name)
        return None if entry is None else self._read(entry)

    def _read(self, entry: Entry) -> bytes | None:
        if entry.pointer.size > MAX_READ:
            return None
        try:
            with self._vault.retrieve(entry) as opened:
                return b"".join(opened.pieces())
        except (RecordAltered, RecordUnavailable):
            return None
