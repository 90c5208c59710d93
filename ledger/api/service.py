"""Everything that the HTTP layer needs from a node, and nothing more.

The types of the answers live in `ledger.node.answers`, below this layer, so that a node can make
them without knowing that HTTP exists. Reads are synchronous because they are bounded look-ups in
the local store; what waits, or may run for long, is asynchronous.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from ledger.chain.block import Block, Certificate, Header
from ledger.chain.database import StoreUnusable
from ledger.chain.exchange import Shown
from ledger.chain.handover import Trust
from ledger.chain.receipt import Handover, Receipt
from ledger.chain.result import CallResult, Result
from ledger.chain.statetree import StateProof
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.node.agent import Acted, Prepared
from ledger.node.answers import (
    Archived,
    Cursor,
    Expiry,
    LedgerEvent,
    NotPermitted,
    PeerStatus,
    Status,
    Submission,
    ValidatorStatus,
)
from ledger.node.consentindex import ConsentIndex
from ledger.node.destruction import Destroyed
from ledger.node.events import Passed
from ledger.node.listening.selection import ALL, Selection
from ledger.node.notifications.inbox import NoticeList
from ledger.node.pseudonyms.asker import Gathered
from ledger.node.reading.room import ReadingRoom
from ledger.node.retrieval import Emergency, Found, Retrieved
from ledger.node.vault.ownrecords import OwnRecords
from ledger.node.webhooks.office import WebhookOffice

__all__ = [
    "Acted",
    "Archived",
    "Cursor",
    "Expiry",
    "LedgerEvent",
    "NodeService",
    "NotPermitted",
    "Passed",
    "PeerStatus",
    "Prepared",
    "Selection",
    "Status",
    "Submission",
    "ValidatorStatus",
]


class NodeService(Protocol):
    """One running node as its API sees it."""

    @property
    def node(self) -> str: ...
    @property
    def institution(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def chain(self) -> bytes: ...
    @property
    def reading(self) -> ReadingRoom | None:
        """Lists over the whole chain; None where no index is kept."""

    @property
    def webhooks(self) -> WebhookOffice | None:
        """The webhooks of this node; None where its configuration has none."""

    @property
    def notices(self) -> NoticeList | None:
        """What patients are told; None where the node keeps no records."""

    @property
    def metrics(self) -> CollectorRegistry: ...

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        """Check raw envelopes and queue the good ones; one answer each, in order. Never raises
        for what is in them."""

    async def act(
        self, person: str, calls: Sequence[Call], *cosigners: str, atomic: bool = False
    ) -> Acted:
        """Do something on the chain for a member of staff whose key the node holds, co-signed by
        the node, and wait until it is final.

        Raises:
            NoHeldKey: the node holds no key for one of them.
            PermissionError: the node takes nothing in, or not this.
            TimeoutError: it was not final in time; it may become so.
            Malformed: no transaction can hold these calls.
        """

    async def officiate(self, call: Call) -> CallResult:
        """Do something on the chain in the name of the node, a records officer of its institution,
        and wait until it is final; raises as `act` does."""

    async def destroy_record(self, erasure: str) -> Destroyed:
        """Destroy the record of a patient's request; raises as `Destruction.destroy` does."""

    def prepare(
        self, calls: Sequence[Call], signers: Sequence[bytes], *, by_node: bool = False
    ) -> Prepared:
        """A transaction for others to sign; with ``by_node`` the node signs first. Raises
        `Malformed` where no transaction can hold this."""

    async def complete(self, prepared: Prepared, signatures: Sequence[bytes]) -> Acted:
        """Co-sign and send what was prepared with ``by_node``, and wait until it is final. Raises
        `Malformed` for signatures that are not good, otherwise as `act` does."""

    async def wait(self, tx_id: bytes, timeout_s: float) -> None:
        """Return when the transaction is final, or when the time is up."""

    def pending(self, tx_id: bytes) -> bool:
        """Whether the transaction waits here to be ordered."""

    def receipt(self, tx_id: bytes) -> Receipt | None: ...

    def outcome(self, tx_id: bytes) -> tuple[int, int, Result] | None:
        """Height, place in the block and result of a final transaction."""

    def archived_block(self, height: int) -> Archived | None:
        """Where the block of a height went, if the node holds it no more."""

    async def archived_transaction(self, tx_id: bytes) -> Archived | None:
        """Where a final transaction went, if the node holds it no more and knows of it."""

    def head(self) -> Header: ...
    def header(self, height: int) -> Header | None: ...
    def block(self, height: int) -> Block | None: ...
    def certificate(self, height: int) -> Certificate | None: ...
    def results(self, height: int) -> tuple[bytes, ...] | None: ...

    def state(self, key: bytes, height: int | None = None) -> bytes | None:
        """The canonical bytes of a value now, or after the block of an earlier height."""

    def state_proof(
        self, key: bytes, height: int
    ) -> tuple[Header, Certificate | None, StateProof, bytes | None]:
        """The value after the block at ``height`` with what proves it; no certificate at 0."""

    def handovers(self, height: int) -> tuple[Handover, ...]:
        """The changes of the validator set that lead from genesis to the set of ``height``."""

    async def query(
        self,
        contract: str,
        method: str,
        arguments: dict[str, Any],
        height: int | None = None,
        version: int | None = None,
    ) -> CallResult:
        """Run a read-only method on the newest state, or on that after an earlier block; with
        ``version``, of that version of the contract instead of the one in force."""

    def status(self) -> Status: ...

    def events(
        self, after: Cursor, selection: Selection = ALL
    ) -> AsyncGenerator[LedgerEvent | Passed, None]:
        """The selected events behind ``after`` in order, then new ones as blocks become final, and
        now and then how far it got; endless."""

    @property
    def consents(self) -> ConsentIndex:
        """The index of all consents on the chain."""

    def label_key(self, subject: str) -> LabelKey | None:
        """The key of a patient's labels, where this institution has it."""

    def subject_of(self, reference: str) -> str:
        """The pseudonym of a patient by this institution's own reference (``Patient/123``), or
        nothing."""

    async def evaluate(self, domain: str, elements: Sequence[bytes]) -> Gathered:
        """What holders of shares answer about 1 to 256 blinded elements.

        Raises:
            NoKey: there is no key of that domain.
        """

    async def begin_key(self, domain: str) -> int:
        """Begin to make, or to share anew, the key of a domain; the number of the ceremony.

        Raises:
            CeremonyRefused: the contract does not let it begin.
            PermissionError: the node takes nothing in.
            TimeoutError: it was not final in time.
        """

    def keys_of_pseudonyms(self) -> dict[str, Any]:
        """The keys that there are, and the ceremonies that are going on."""

    async def release(self, request: bytes, first: int = 0) -> AsyncGenerator[bytes, None]:
        """A permitted record, sealed, in pieces, from chunk ``first`` on. To be closed when it is
        left early.

        Raises:
            NotPermitted: not permitted, or no such record.
            TooOften: the asker has asked too often, or too many records are on their way.
            Malformed: the request can't be read.
            AnswerBroken: from the generator, where the record cannot be read to its end.
        """

    async def pointers(self, request: bytes) -> bytes:
        """The pointers of a subject's records held here; raises as `release` does."""

    async def enquired(self, request: bytes) -> bytes:
        """The pointers that may be shown on an enquiry; raises as `release` does."""

    async def search_records(
        self,
        person: str,
        institution: str,
        subject: str,
        purpose: str,
        holders: Iterable[str] | None = None,
        *,
        case: str = "",
        emergency: Emergency | None = None,
    ) -> Found:
        """Which records of a patient the holders show to a member of staff; asks on the chain
        first. See `ledger.node.retrieval` for the arguments and what is raised."""

    async def fetch_record(
        self,
        person: str,
        institution: str,
        shown: Shown,
        purpose: str,
        *,
        case: str = "",
        emergency: Emergency | None = None,
    ) -> Retrieved:
        """Ask the chain for a record and, if it permits, the holder for its bytes; as above."""

    @property
    def own_records(self) -> OwnRecords | None:
        """What the node's vault says of its records, to those who could look into the source
        anyway; None where no records are kept. To be asked in a thread."""

    @property
    def trust(self) -> Trust:
        """What the genesis says: where every proof begins."""

    def ready(self) -> tuple[bool, str]:
        """Whether the node can serve now, and why not."""

    def damaged(self, error: StoreUnusable) -> None:
        """Something that was to be given out is not what the chain certifies; the status says so
        from now on."""
