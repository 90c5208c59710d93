"""A batch of records that a hospital of the local consortium has anchored."""

from __future__ import annotations

from ledger.chain import merkle
from ledger.chain.document import DocumentProof, anchor_key, mark_key
from ledger.chain.genesis import read_genesis
from ledger.chain.pointer import Pointer, record_digest
from ledger.chain.statement import Statement
from ledger.client.builder import Account, build, call
from ledger.client.verify import trust_in
from tests.support.local_service import Consortium, LocalService

SALT, CONTENT = b"s" * 16, b'{"resourceType":"Observation"}'


def pointer_of(subject: str, number: int = 0) -> Pointer:
    return Pointer(
        holder="east", subject=subject, kind="laboratory", digest=record_digest(SALT, CONTENT),
        size=len(CONTENT), media="application/fhir+json", start=1, end=2 + number,
        confidentiality="N", type=b"t" * 32, labels=b"l" * 32, replaces=b"",
    )  # fmt: skip


class Anchored:
    """A batch of five pointers, anchored by the East Hospital's node."""

    def __init__(self, service: LocalService, consortium: Consortium, pseudonym: str) -> None:
        self.service = service
        # A node is a records officer of its institution.
        self.officer = Account(consortium.nodes["east-1"])
        self.trust = trust_in(read_genesis(consortium.home / "genesis.json"))
        self.pointers = [pointer_of(pseudonym, number) for number in range(5)]
        self.leaves = [pointer.name() for pointer in self.pointers]
        self.root = merkle.root_of_hashes(self.leaves)

    async def begin(self) -> Anchored:
        size = len(self.pointers)
        await self.perform("anchor_many", holder="east", root=self.root, size=size)
        return self

    async def perform(self, method: str, **arguments: object) -> None:
        told = call("records", method, **arguments)
        made = build(self.service.chain, self.service.head().height, 100, [told], [self.officer])
        (submission,) = await self.service.submit([made.raw])
        assert submission.accepted, submission
        await self.service.wait(made.id, 1)
        outcome = self.service.outcome(made.id)
        assert outcome is not None
        assert outcome[2].ok

    def statement(self, key: bytes) -> Statement:
        height = self.service.head().height
        header, certificate, proof, value = self.service.state_proof(key, height)
        assert certificate is not None
        return Statement(key, value, header, certificate, proof, self.service.handovers(height))

    def proof(self, place: int = 2) -> DocumentProof:
        pointer = self.pointers[place]
        return DocumentProof(
            pointer.leaf(), place, len(self.pointers),
            tuple(merkle.inclusion_path(self.leaves, place)),
            self.statement(anchor_key(pointer, self.root)), self.statement(mark_key(pointer)),
        )  # fmt: skip
