"""A consortium of four validators without a network: real keys, contracts, store and proofs.

`LocalService` is what the HTTP layer asks of a node. Blocks are made when a test says so, or when
somebody waits for a transaction.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import cached_property
from pathlib import Path

from prometheus_client import CollectorRegistry

from ledger.chain.block import (
    Block,
    Certificate,
    CommitSignature,
    Header,
    commit_digest,
)
from ledger.chain.codec import Malformed, encode
from ledger.chain.database import StoreUnusable
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import Trust
from ledger.chain.receipt import Handover, Receipt, build_receipt, handovers
from ledger.chain.result import CallResult, Result, decode_result
from ledger.chain.rules import proposer_of
from ledger.chain.statetree import StateProof, StateTree
from ledger.chain.store import Store
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import (
    Body,
    Call,
    Envelope,
    Transaction,
    check_body,
    decode_transaction,
    verify_signatures,
)
from ledger.client.builder import Account, build
from ledger.client.verify import trust_in
from ledger.contracts import blocks
from ledger.contracts.machine import BlockContext
from ledger.contracts.replica import Replica
from ledger.crypto import hashing
from ledger.crypto.keyfile import load_key
from ledger.crypto.keys import SigningKey
from ledger.node.agent import Acted, Prepared
from ledger.node.answers import Archived, Cursor, LedgerEvent, NotPermitted, Status, Submission
from ledger.node.archives import ArchiveShelf
from ledger.node.consentindex import ConsentIndex
from ledger.node.custody import NoHeldKey
from ledger.node.desk import AnswerBroken
from ledger.node.destruction import Destroyed, DestructionRefused
from ledger.node.events import EventFeed, Passed
from ledger.node.listening.selection import ALL, Selection
from ledger.node.notifications.inbox import NoticeList
from ledger.node.notifications.marks import ReadMarks
from ledger.node.pseudonyms.asker import Gathered, NoKey
from ledger.node.pseudonyms.desk import CeremonyRefused
from ledger.node.reading.index import ReadingIndex
from ledger.node.reading.room import ReadingRoom
from ledger.node.reads import ChainReads
from ledger.node.setup.config import load_config
from ledger.node.setup.founding import found_network
from ledger.node.setup.people import People, load_people
from ledger.node.webhooks.office import WebhookOffice

CREATED = 1_767_225_600_000
CONFIG = Path(__file__).parents[2] / "network-configs" / "dev.toml"


def no_passphrase() -> str:
    raise AssertionError("keys of tests are not sealed")


class Consortium:
    """A founded network on disk: its genesis, its nodes' keys and its people's accounts."""

    def __init__(self, directory: Path) -> None:
        founding = found_network(
            load_config(CONFIG), directory, passphrase=None, insecure=True, now_ms=CREATED
        )
        self.home = founding.home
        self.network = founding.network
        self.nodes = {
            node: load_key(self.home / "nodes" / node / "node.key", no_passphrase)
            for node in founding.validators
        }
        self.people: People = load_people(self.home)

    def account(self, label: str) -> Account:
        return Account(self.people.signing_key(self.people[label], no_passphrase))

    @cached_property
    def founded(self) -> Path:
        """A store with the genesis and nothing more. To be copied: running the genesis is slow."""
        path = self.home.with_name("founded.db")
        store = Store.open(str(path), create=True)
        Replica.found(store, read_genesis(self.home / "genesis.json"))
        store.close()
        return path

    def anybody(self, role: str) -> Account:
        return self.account(self.people.with_role(role)[0].key)


def open_replica(consortium: Consortium, directory: Path) -> Replica:
    """The chain at genesis in a store of its own."""
    place = directory / "ledger.db"
    shutil.copy(consortium.founded, place)
    return Replica(Store.open(str(place)))


def certify(header: Header, keys: dict[str, SigningKey]) -> Certificate:
    digest = commit_digest(header.chain, header.height, header.view, header.hash())
    return Certificate(
        header.height,
        header.view,
        header.hash(),
        tuple(CommitSignature(node, keys[node].sign(digest)) for node in sorted(keys)),
    )


async def pieces_of(content: bytes) -> AsyncGenerator[bytes, None]:
    """Some bytes, one by one, as an answer comes; one that says so breaks off."""
    for place in range(len(content)):
        yield content[place : place + 1]
    if content == b"broken":
        raise AnswerBroken


class LocalService:
    """The first validator of a consortium, answering from its own store."""

    def __init__(self, replica: Replica, keys: dict[str, SigningKey], network: str) -> None:
        self._replica = replica
        self._store = replica.store
        self._keys = keys
        self._waiting: dict[bytes, Transaction] = {}
        self.feed = EventFeed(self._store)
        self.webhooks: WebhookOffice | None = None
        self.notices = NoticeList(self.feed, self._store, ReadMarks(":memory:"))
        self.node = next(iter(keys))
        self.institution = replica.validators.members[0].institution
        self.network = network
        self.chain = replica.head.chain
        self.metrics = CollectorRegistry()
        self.shelf = ArchiveShelf(self._store)
        self.capacity = 10_000
        self.is_ready = True
        #: Block time that passes from one block to the next, in milliseconds.
        self.block_ms = 1_000
        self.damage: list[StoreUnusable] = []
        self.records: dict[bytes, bytes] = {}
        #: Destroys the record of a request, where a test says how.
        self.destruction: Callable[[str], Awaitable[Destroyed]] | None = None
        #: Set by `keep_lists`.
        self.reading: ReadingRoom | None = None

        self.consents = ConsentIndex(self._store)
        self.label_keys: dict[str, LabelKey] = {}
        self.subjects: dict[str, str] = {}
        #: Keys of the staff that this node holds, by person id.
        self.custody: dict[str, SigningKey] = {}
        self.own_records = None

    async def officiate(self, call: Call) -> CallResult:
        signer = Account(self._keys[self.node])
        made = build(self.chain, self.head().height, 100, [call], [signer])
        await self.submit([made.raw])
        await self.wait(made.id, 1)
        outcome = self.outcome(made.id)
        assert outcome is not None
        return outcome[2].calls[0]

    async def destroy_record(self, erasure: str) -> Destroyed:
        if self.destruction is None:
            raise DestructionRefused("unknown-erasure", "no records are kept here")
        return await self.destruction(erasure)

    def keep_lists(self, path: Path) -> None:
        """Keep an index in a file; it is at the newest block after each that is made here."""
        index = ReadingIndex.open(f"sqlite:///{path}", self.chain)
        reads = ChainReads(self._store)
        self.reading = ReadingRoom(index, reads, self.feed, lambda: self.head().height)

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        return [self._admit(raw) for raw in raws]

    def _admit(self, raw: bytes) -> Submission:
        try:
            transaction = decode_transaction(raw)
        except Malformed as error:
            return Submission(id=None, accepted=False, code="malformed", detail=str(error))
        name = transaction.id.hex()
        if transaction.id in self._waiting:
            return Submission(id=name, accepted=True, code="known")
        if self._store.locate(transaction.id) is not None:
            return Submission(id=name, accepted=True, code="final")
        code = blocks.admission_fault(
            transaction, self.chain, self._replica.head.height + 1, self._replica.parameters
        )
        if code is None and not verify_signatures(transaction):
            code = "bad_signature"
        if code is None and len(self._waiting) >= self.capacity:
            code = "pool_full"
        if code is not None:
            return Submission(id=name, accepted=False, code=code)
        self._waiting[transaction.id] = transaction
        return Submission(id=name, accepted=True, code="accepted")

    async def commit(self) -> Header:
        """Make one block of everything that waits."""
        replica = self._replica
        tip = replica.tip()
        height = replica.head.height + 1
        executed = blocks.candidate(
            tip,
            replica.machine,
            proposer=proposer_of(replica.head, tip.validators, tip.parameters, height, 0),
            view=0,
            time=replica.head.time + self.block_ms,
            transactions=list(self._waiting.values()),
        )
        replica.commit(executed, certify(executed.block.header, self._keys))
        for transaction in executed.transactions:
            del self._waiting[transaction.id]
        if self.reading is not None:
            await self.reading.follower.catch_up()
        await self.feed.grew(replica.head.height)
        return executed.block.header

    async def act(
        self, person: str, calls: Sequence[Call], *cosigners: str, atomic: bool = False
    ) -> Acted:
        keys = [self.custody.get(who) for who in (person, *cosigners)]
        if None in keys:
            raise NoHeldKey(f"no key is held for {person}")
        signers = [Account(key) for key in (*keys, self._keys[self.node]) if key is not None]
        made = build(self.chain, self.head().height, 100, calls, signers, atomic=atomic)
        return await self._sent(made)

    async def _sent(self, made: Transaction) -> Acted:
        (submission,) = await self.submit([made.raw])
        if not submission.accepted:
            raise PermissionError(submission.code)
        await self.wait(made.id, 1)
        outcome = self.outcome(made.id)
        assert outcome is not None
        return Acted(made.id, outcome[0], outcome[2])

    def label_key(self, subject: str) -> LabelKey | None:
        return self.label_keys.get(subject)

    def subject_of(self, reference: str) -> str:
        return self.subjects.get(reference, "")

    def prepare(
        self, calls: Sequence[Call], signers: Sequence[bytes], *, by_node: bool = False
    ) -> Prepared:
        mine = [self._keys[self.node].public] if by_node else []
        height = self.head().height
        nonce = secrets.token_bytes(16)
        keys = (*mine, *signers)
        body = Body(self.chain, nonce, height, height + 100, True, tuple(calls), keys)
        check_body(body)
        encoded = encode(body)
        return Prepared(encoded, hashing.TRANSACTION(encoded), body.valid_until)

    async def complete(self, prepared: Prepared, signatures: Sequence[bytes]) -> Acted:
        own = self._keys[self.node].sign(prepared.id)
        made = decode_transaction(encode(Envelope(prepared.body, (own, *signatures))))
        if not verify_signatures(made):
            raise Malformed("a signature is not good")
        return await self._sent(made)

    async def wait(self, tx_id: bytes, timeout_s: float) -> None:
        if tx_id in self._waiting:
            await self.commit()

    def damaged(self, error: StoreUnusable) -> None:
        self.damage.append(error)

    def pending(self, tx_id: bytes) -> bool:
        return tx_id in self._waiting

    def receipt(self, tx_id: bytes) -> Receipt | None:
        return build_receipt(self._store, tx_id)

    def outcome(self, tx_id: bytes) -> tuple[int, int, Result] | None:
        place = self._store.locate(tx_id)
        if place is None:
            return None
        results = self._store.results(place[0])
        assert results is not None
        return (*place, decode_result(results[place[1]]))

    def archived_block(self, height: int) -> Archived | None:
        return self.shelf.block(height)

    async def archived_transaction(self, tx_id: bytes) -> Archived | None:
        return self.shelf.transaction(tx_id)

    def head(self) -> Header:
        return self._replica.head

    def header(self, height: int) -> Header | None:
        return self._store.header(height)

    def block(self, height: int) -> Block | None:
        return self._store.block(height)

    def certificate(self, height: int) -> Certificate | None:
        return self._store.certificate(height)

    def results(self, height: int) -> tuple[bytes, ...] | None:
        return self._store.results(height)

    def state(self, key: bytes, height: int | None = None) -> bytes | None:
        return self._store.value(key, height)

    def state_proof(
        self, key: bytes, height: int
    ) -> tuple[Header, Certificate | None, StateProof, bytes | None]:
        header = self._store.header(height)
        assert header is not None
        proof = StateTree(self._store).prove(key, height)
        return header, self._store.certificate(height), proof, self._store.value(key, height)

    def handovers(self, height: int) -> tuple[Handover, ...]:
        return handovers(self._store, height)

    async def query(
        self,
        contract: str,
        method: str,
        arguments: dict[str, object],
        height: int | None = None,
        version: int | None = None,
    ) -> CallResult:
        store = self._replica.store
        header = self._replica.head if height is None else store.header(height)
        assert header is not None
        context = BlockContext(self.chain, header.height, header.time)
        return self._replica.machine.query(
            lambda key: store.value(key, header.height),
            context,
            contract,
            method,
            arguments,
            version=version,
        )

    def status(self) -> Status:
        head = self._replica.head
        return Status(
            node=self.node,
            institution=self.institution,
            network=self.network,
            chain=self.chain.hex(),
            role="validator",
            height=head.height,
            block=head.hash().hex(),
            block_time=head.time,
            view=0,
            phase="idle",
            proposer=self.node,
            committing=self.is_ready,
            reason="All is well." if self.is_ready else "2 of 4 validators are missing.",
        )

    def events(
        self, after: Cursor, selection: Selection = ALL
    ) -> AsyncGenerator[LedgerEvent | Passed, None]:
        return self.feed.follow(after, selection)

    async def evaluate(self, domain: str, elements: Sequence[bytes]) -> Gathered:
        raise NoKey(domain)

    async def begin_key(self, domain: str) -> int:
        raise CeremonyRefused("unknown_domain: no such key is due")

    def keys_of_pseudonyms(self) -> dict[str, object]:
        return {"generation": 1, "keys": [], "ceremonies": []}

    async def release(self, request: bytes, first: int = 0) -> AsyncGenerator[bytes, None]:
        content = self._given(request)
        return pieces_of(content[first:])

    def _given(self, request: bytes) -> bytes:
        if request == b"crash":
            raise RuntimeError("a secret in an exception")
        if request not in self.records:
            raise NotPermitted(f"no record for {request.hex()}")
        return self.records[request]

    async def pointers(self, request: bytes) -> bytes:
        if request == b"unreadable":
            raise Malformed("not a request for pointers")
        return self._given(request)

    async def enquired(self, request: bytes) -> bytes:
        return await self.pointers(request)

    @property
    def trust(self) -> Trust:
        return trust_in(self._replica.genesis)

    def ready(self) -> tuple[bool, str]:
        return self.is_ready, "following the chain" if self.is_ready else "catching up"
