"""What a node does for the people and systems that talk to it; `ledger.api` puts it on HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from ledger.chain.database import StoreUnusable
from ledger.chain.exchange import Shown
from ledger.chain.handover import Trust
from ledger.chain.result import CallResult
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.client.verify import trust_in
from ledger.contracts.replica import Replica
from ledger.node.agent import Acted, Agent, Prepared
from ledger.node.answers import Cursor, LedgerEvent, Status, Submission
from ledger.node.consentindex import ConsentIndex
from ledger.node.custody import Custody
from ledger.node.desk import RecordDesk
from ledger.node.destruction import Destroyed, DestructionRefused
from ledger.node.events import EventFeed, Passed
from ledger.node.holders import Holders
from ledger.node.inbox import Inbox
from ledger.node.inquiry import Dispute
from ledger.node.listening.selection import ALL, Selection
from ledger.node.mempool import Mempool
from ledger.node.metrics import Metrics
from ledger.node.notifications.inbox import NoticeList
from ledger.node.outreach import Outreach
from ledger.node.pseudonyms.asker import Gathered
from ledger.node.pseudonyms.desk import PseudonymDesk
from ledger.node.reading.room import ReadingRoom
from ledger.node.reads import ChainReads
from ledger.node.retrieval import Emergency, Found, Retrieval, Retrieved
from ledger.node.room import Room
from ledger.node.setup.home import NodeHome
from ledger.node.statusboard import StatusBoard
from ledger.node.vault.ownrecords import OwnRecords
from ledger.node.vault.release import Refused, Why
from ledger.node.webhooks.office import WebhookOffice

#: What a halted node answers to whoever wants something written.
_HALTED = Submission(
    id=None,
    accepted=False,
    code="halted",
    detail="this node has diverged from the chain and takes nothing in; see its status",
)


class Service(ChainReads):
    """Takes transactions in, and gives out what the chain, the records and the node itself say.

    Args:
        dispute: says whether the node has halted.
        desk: gives records out; None where none are kept.
        agent: signs and sends what the node does in its own name and for its staff.
        pseudonyms: holds shares of keys, and asks others about ids.
        custody: the keys of the staff.
        holders: the way to the nodes of others that hold records.
        reading: lists over the whole chain; None where no index is kept.
    """

    def __init__(
        self,
        home: NodeHome,
        replica: Replica,
        mempool: Mempool,
        inbox: Inbox,
        dispute: Dispute,
        desk: RecordDesk | None,
        feed: EventFeed,
        board: StatusBoard,
        metrics: Metrics,
        room: Room,
        agent: Agent,
        pseudonyms: PseudonymDesk,
        custody: Custody,
        holders: Holders,
        reading: ReadingRoom | None,
        outreach: Outreach | None,
    ) -> None:
        super().__init__(replica.store, home.archive)
        self._home = home
        self._replica = replica
        self._mempool = mempool
        self._inbox = inbox
        self._dispute = dispute
        self._desk = desk
        self._feed = feed
        self._board = board
        self._metrics = metrics
        self._room = room
        self._consents: ConsentIndex | None = None
        self._agent = agent
        self._pseudonyms = pseudonyms
        self._custody = custody
        self._retrieval = Retrieval(
            self.chain,
            home.institution,
            act=self.act,
            key_of=custody.key_of,
            ask=self.ask,
            receipt=self.receipt,
            holders=holders,
            desk=desk,
        )
        #: Lists over the whole chain; None where no index is kept.
        self.reading = reading
        self._outreach = outreach

    # --- what it is ----------------------------------------------------------------------------

    @property
    def node(self) -> str:
        return self._home.node

    @property
    def institution(self) -> str:
        return self._home.institution

    @property
    def network(self) -> str:
        return self._replica.genesis.network

    @property
    def chain(self) -> bytes:
        return self._replica.head.chain

    @property
    def metrics(self) -> CollectorRegistry:
        return self._metrics.registry

    def status(self) -> Status:
        return self._board.status()

    def ready(self) -> tuple[bool, str]:
        return self._board.ready()

    def damaged(self, error: StoreUnusable) -> None:
        self._room.damaged(error)

    # --- transactions and events ---------------------------------------------------------------

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        if self._dispute.halted:
            return [_HALTED for _ in raws]
        answers = self._inbox.submit(raws)
        for given in answers:
            if not given.accepted:
                self._metrics.refused.labels(given.code).inc()
        return answers

    async def act(
        self, person: str, calls: Sequence[Call], *cosigners: str, atomic: bool = False
    ) -> Acted:
        """Do something on the chain for a member of staff, and wait until it is final.

        Args:
            person: whose key signs first, by the registry's id.
            calls: what to call, in order.
            cosigners: others of the staff who sign as well, such as a witness.
            atomic: whether one failing call undoes the others.

        Raises:
            NoHeldKey: the node holds no key for one of them.
            PermissionError: the node takes nothing in, or not this.
            TimeoutError: it was not final in time; it may become so.
            Malformed: no transaction can hold these calls.
        """
        if self._dispute.halted:
            raise PermissionError(f"{_HALTED.code}: {_HALTED.detail}")
        keys = [await asyncio.to_thread(self._custody.key_of, who) for who in (person, *cosigners)]
        return await self._agent.act(keys, calls, atomic=atomic)

    async def officiate(self, call: Call) -> CallResult:
        """Do something on the chain in the name of the node, a records officer of its institution,
        and wait until it is final; raises as `act` does."""
        if self._dispute.halted:
            raise PermissionError(f"{_HALTED.code}: {_HALTED.detail}")
        _, result = await self._agent.perform(call)
        return result

    async def destroy_record(self, erasure: str) -> Destroyed:
        """Destroy the record of a patient's request; raises as `Destruction.destroy` does."""
        if self._desk is None:
            raise DestructionRefused("unknown-erasure", "no records are kept here")
        return await self._desk.destroy(erasure)

    def prepare(
        self, calls: Sequence[Call], signers: Sequence[bytes], *, by_node: bool = False
    ) -> Prepared:
        """A transaction for others to sign; with ``by_node`` this node signs first.

        Raises:
            Malformed: no transaction can hold this.
        """
        return self._agent.prepare(calls, signers, by_node=by_node)

    async def complete(self, prepared: Prepared, signatures: Sequence[bytes]) -> Acted:
        """Co-sign and send what was prepared with ``by_node``, and wait until it is final.

        Raises:
            Malformed: these are not the signatures of the others.
            PermissionError, TimeoutError: as `act` does.
        """
        if self._dispute.halted:
            raise PermissionError(f"{_HALTED.code}: {_HALTED.detail}")
        return await self._agent.send(self._agent.countersign(prepared, signatures))

    async def wait(self, tx_id: bytes, timeout_s: float) -> None:
        await self._inbox.wait(tx_id, timeout_s)

    def pending(self, tx_id: bytes) -> bool:
        return tx_id in self._mempool

    def events(
        self, after: Cursor, selection: Selection = ALL
    ) -> AsyncGenerator[LedgerEvent | Passed, None]:
        return self._feed.follow(after, selection)

    # --- consents ------------------------------------------------------------------------------

    @property
    def consents(self) -> ConsentIndex:
        """The index of all consents, made when it is first asked for."""
        if self._consents is None:
            place = self._home.path / "index" / "consents.db"
            self._consents = ConsentIndex(self._replica.store, place)
        return self._consents

    def label_key(self, subject: str) -> LabelKey | None:
        """The key of a patient's labels, where this institution has it."""
        return None if self._desk is None else self._desk.label_key(subject)

    def subject_of(self, reference: str) -> str:
        """The pseudonym of a patient by this institution's own reference, or nothing."""
        return "" if self._desk is None else self._desk.subject_of(reference)

    # --- pseudonyms ----------------------------------------------------------------------------

    async def evaluate(self, domain: str, elements: Sequence[bytes]) -> Gathered:
        return await self._pseudonyms.evaluate(domain, elements)

    async def begin_key(self, domain: str) -> int:
        if self._dispute.halted:
            raise PermissionError(f"{_HALTED.code}: {_HALTED.detail}")
        return await self._pseudonyms.begin(domain)

    def keys_of_pseudonyms(self) -> dict[str, Any]:
        return self._pseudonyms.overview()

    # --- webhooks and notices ------------------------------------------------------------------

    @property
    def webhooks(self) -> WebhookOffice | None:
        return None if self._outreach is None else self._outreach.webhooks

    @property
    def notices(self) -> NoticeList | None:
        return None if self._outreach is None else self._outreach.notices

    # --- records -------------------------------------------------------------------------------

    async def release(self, request: bytes, first: int = 0) -> AsyncGenerator[bytes, None]:
        return await self._counter().release(request, first)

    async def pointers(self, request: bytes) -> bytes:
        return await self._counter().pointers(request)

    async def enquired(self, request: bytes) -> bytes:
        return await self._counter().enquired(request)

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
        return await self._retrieval.search_records(
            person, institution, subject, purpose, holders, case=case, emergency=emergency
        )

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
        return await self._retrieval.fetch_record(
            person, institution, shown, purpose, case=case, emergency=emergency
        )

    @property
    def own_records(self) -> OwnRecords | None:
        return None if self._desk is None else self._desk.own

    @property
    def trust(self) -> Trust:
        return trust_in(self._replica.genesis)

    def _counter(self) -> RecordDesk:
        if self._desk is None:
            raise Refused(Why.UNAVAILABLE)
        return self._desk
