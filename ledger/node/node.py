"""One member's node: everything that runs in it, put together.

The node owns one replica. Validators drive it by consensus, observers by certified blocks from
peers; both serve the same reads. See `docs/architecture.md` for the way of a request through it.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from ledger.chain.block import Certificate
from ledger.chain.store import Store
from ledger.chain.transaction import Transaction
from ledger.client.verify import trust_in
from ledger.consensus.core import Core
from ledger.consensus.errors import PeerFault
from ledger.contracts.blocks import Executed, admission_fault
from ledger.contracts.replica import Replica
from ledger.crypto.keyfile import PassphraseSource
from ledger.crypto.keys import SigningKey
from ledger.node.agent import Agent
from ledger.node.announcing import keep_announced
from ledger.node.clockwatch import ClockWatch
from ledger.node.custody import Custody
from ledger.node.desk import RecordDesk
from ledger.node.driver import Diverged, Driver
from ledger.node.events import EventFeed
from ledger.node.executor import Executor
from ledger.node.expiry import ExpiryWatch
from ledger.node.finality import Finality
from ledger.node.holders import Holders, trusted_by
from ledger.node.housekeeping import Housekeeping
from ledger.node.inbox import Inbox
from ledger.node.inquiry import Dispute, Inquiry
from ledger.node.jobs import Jobs
from ledger.node.keyring import Keyring
from ledger.node.listening.postings import open_postings
from ledger.node.mempool import Mempool
from ledger.node.metrics import Metrics
from ledger.node.neighbourhood import Neighbourhood
from ledger.node.net import frames
from ledger.node.net.membership import Membership
from ledger.node.net.pki import TlsKey
from ledger.node.outreach import Outreach
from ledger.node.pseudonyms.desk import PseudonymDesk
from ledger.node.reading.index import ReadingIndex
from ledger.node.reading.room import ReadingRoom
from ledger.node.reads import ChainReads
from ledger.node.reception import Reception
from ledger.node.reconciling import Reconciliation, keep_reconciled
from ledger.node.room import Room
from ledger.node.seat import Seat
from ledger.node.service import Service
from ledger.node.setup.home import NodeHome
from ledger.node.signing.joining import Joining
from ledger.node.signing.register import Register
from ledger.node.signing.watermark import Watermark
from ledger.node.statusboard import StatusBoard
from ledger.node.surroundings import REAL, Surroundings
from ledger.node.sync import Sync, answer
from ledger.node.sync.peers import Peers
from ledger.node.sync.provider import Provider
from ledger.node.sync.snapshots import SnapshotSync
from ledger.node.testimony import FINDING_COUNT, Testimony, findings_on

_log = structlog.get_logger(__name__)

#: A validator waits so long for its own decision before it fetches a single block, in seconds.
PATIENCE_SECONDS = 0.5


class Node:
    """A running node. Make it, `start` it, await `run`, `close` it.

    Args:
        home: claimed by this process.
        store: open for writing; founded from the home's genesis when it is empty.
        key: the node's signing key.
        tls: the node's TLS key and certificate.
        surroundings: time, chance and links.
        custody: the keys of the staff; without it, those in the home that are not sealed.
    """

    def __init__(
        self,
        home: NodeHome,
        store: Store,
        key: SigningKey,
        tls: TlsKey,
        surroundings: Surroundings = REAL,
        custody: Custody | None = None,
        index: ReadingIndex | None = None,
    ) -> None:
        self.home = home
        self.store = store
        self.metrics_ = Metrics()
        self.keys = Keyring(home.node, key, store.value, self._height)
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._jobs = Jobs()
        was_empty = store.genesis() is None
        self.replica = Replica.open(store, home.genesis())
        self._register = Register(
            store,
            Watermark(home.signer, self.chain, self.node, surroundings.file_times),
            was_empty=was_empty,
        )
        self.membership = Membership(store.value, self._height, tls, self._clock)
        self.mempool = Mempool(
            self._admissible,
            lambda identity: bool(store.seen([identity])),
            since=self._height() + 1,
        )
        self._executor = Executor(self.replica, self.mempool.verified)
        self._room = Room(clock=self._clock)
        self._reception = Reception()
        self._clocks = ClockWatch(self._clock)
        self.neighbourhood = Neighbourhood(
            home,
            self.replica,
            self.membership,
            surroundings,
            on_frame=self._reception.receive,
            on_lost=self._lost,
            connected=self.metrics_.peers,
        )
        self.links = self.neighbourhood.links
        self.metrics_.peer_traffic.traffic = self.links.traffic
        self._joining = Joining(
            self.node,
            key,
            store,
            self._register,
            lambda: self.replica.position,
            self.links.send,
        )
        self.seat = Seat(
            self.node,
            self.replica,
            self.mempool,
            self.links,
            self._joining,
            self._driver,
            self._jobs.spawn,
        )
        self._feed = feed = EventFeed(
            store,
            open_postings(home.events_index, self.chain) if surroundings.keeps_records else None,
        )
        self._housekeeping = self._housekeeper()
        self._finality = self._follow_up(feed)
        self._inquiry = Inquiry(self._executor, self.links.send)
        self._dispute = Dispute(self._inquiry, self._jobs.spawn)
        self._provider = Provider(store, self.links.send)
        self.sync = self._catch_up()
        self.inbox = Inbox(
            store,
            self.mempool,
            next_height=lambda: self._height() + 1,
            publish=lambda frame: self.links.broadcast(frame, self.neighbourhood.upwards),
            work=self.seat.work,
        )
        self._reads = ChainReads(store)
        self.agent = Agent(
            self.keys.newest, self.replica, self.inbox, self._reads, surroundings.entropy
        )
        self._pseudonyms = PseudonymDesk(
            home,
            self.chain,
            self.keys,
            self._reads,
            seated=lambda: [member.node for member in self.replica.validators.members],
            perform=self.agent.perform,
            send=self.links.send,
            connected=lambda node: node in self.links,
            upwards=lambda: self.neighbourhood.upwards,
            spawn=self._jobs.spawn,
            clock=self._clock,
            entropy=surroundings.entropy,
        )
        self._testimony = Testimony(self.agent.perform, store.value, surroundings.entropy)
        self._expiry = ExpiryWatch(
            self.node,
            home.institution,
            self.membership,
            self._clock,
            home.settings.certificates.warn_days,
            self.metrics_.certificate_expiry,
        )
        self._board = StatusBoard(
            home,
            self.replica,
            self.links,
            self.seat,
            self.sync,
            self.neighbourhood.relay,
            self.mempool,
            self._room,
            self._dispute,
            self._clocks,
            clock=self._clock,
            expiry=self._expiry,
        )
        self._holders = Holders(self._reads.place, trusted_by(home))
        self._desk = self._record_desk() if surroundings.keeps_records else None
        self._outreach = (
            Outreach(
                home,
                self.chain,
                self._feed,
                store,
                self.keys.newest,
                self.agent.perform,
                clock=self._clock,
                block_time=lambda: self.replica.head.time,
            )
            if surroundings.keeps_records
            else None
        )
        self._answer_frames()
        self.metrics_.view.set_function(self._view)
        self._reading = (
            None if index is None else ReadingRoom(index, self._reads, feed, self._height)
        )
        #: What others may ask of this node.
        self.service = Service(
            home,
            self.replica,
            self.mempool,
            self.inbox,
            self._dispute,
            self._desk,
            feed,
            self._board,
            self.metrics_,
            self._room,
            self.agent,
            self._pseudonyms,
            custody or Custody(home.staff, PassphraseSource(environment={})),
            self._holders,
            self._reading,
            self._outreach,
        )

    def _catch_up(self) -> Sync:
        peers, gap = Peers(), self.home.settings.sync.snapshot_after
        trust = trust_in(self.replica.genesis)
        return Sync(
            self._height,
            self.links.send,
            self._finality.extend,
            patience=PATIENCE_SECONDS if self.seat.taken else 0.0,
            peers=peers,
            snapshots=SnapshotSync(
                trust, self.store, peers, self.links.send, self._finality.adopt, gap=gap
            ),
            gap=gap,
        )

    def _follow_up(self, feed: EventFeed) -> Finality:
        housekeeping, seat = self._housekeeping, self.seat
        return Finality(
            self.chain,
            self._executor,
            self._room,
            contextlib.nullcontext() if housekeeping is None else housekeeping.step,
            at_block=(
                lambda executed, _: seat.passed_over([done.id for done in executed.transactions]),
                lambda executed, _: self.inbox.follow(executed),
                self._count,
                lambda executed, _: self.neighbourhood.follow(executed.writes),
                lambda executed, _: self.neighbourhood.announce(executed.block.header),
                lambda executed, _: self._pseudonyms.follow(
                    executed.writes, executed.block.header.time
                ),
                lambda _, certificate: self._joining.decided(certificate),
                lambda _executed, _certificate: seat.advance(),
            ),
            at_snapshot=(
                lambda _: self.inbox.refresh(),
                self.metrics_.stands_at,
                lambda _: self.neighbourhood.refresh(),
                lambda _: seat.advance(),
            ),
            feed=feed,
        )

    def _count(self, executed: Executed, certificate: Certificate) -> None:
        metrics = self.metrics_
        metrics.stored(executed, certificate, self._clock())
        metrics.pending.set(len(self.mempool))
        if FINDING_COUNT in executed.writes:
            metrics.findings.set(findings_on(self.store.value))
        self._board.left_views(certificate.view)

    def _record_desk(self) -> RecordDesk:
        return RecordDesk(
            self.home,
            self.chain,
            trust_in(self.replica.genesis).validators,
            clock=self._clock,
            entropy=self._surroundings.entropy,
            block_time=lambda: self.replica.head.time,
            whois=self._reads.whois,
            ask=self._reads.ask,
            officer=self.keys.newest,
            perform=self.agent.perform,
            metrics=self.metrics_,
        )

    def _housekeeper(self) -> Housekeeping | None:
        retention = self.home.retention
        if retention is None:
            return None
        trust = trust_in(self.replica.genesis)
        return Housekeeping(self.store, retention, trust, self._surroundings)

    def _driver(self) -> Driver:
        return Driver(
            self.node,
            Core(self.node, self.keys.newest()),
            self.replica,
            self._executor,
            self.store,
            self.mempool,
            self._room,
            clock=self._clock,
            save=self._register.save,
            send=self.links.send,
            broadcast=self.links.broadcast,
            final=self._finality.stored,
            behind=self.sync.heard,
            lagging=self.neighbourhood.remind,
            disputed=self._dispute.refused,
            accused=self._accused,
            keys=self.keys.find,
        )

    def _accused(self, fault: PeerFault) -> None:
        self.metrics_.accusations.inc()
        self._testimony.accused(fault, self.chain, self.replica.validators)

    def hold(self, key: SigningKey) -> None:
        """Sign with one more key, for what the chain says that it is used for."""
        self.keys.add(key)
        self.seat.rearmed()
        self._pseudonyms.rearmed()

    # --- what it is ----------------------------------------------------------------------------

    @property
    def node(self) -> str:
        return self.home.node

    @property
    def chain(self) -> bytes:
        return self.replica.head.chain

    def _height(self) -> int:
        return self.replica.head.height

    def _view(self) -> float:
        core = self.seat.status()
        return 0 if core is None else core.view

    def _admissible(self, transaction: Transaction, height: int) -> str | None:
        parameters = self.replica.parameters
        if len(transaction.raw) > parameters.block_bytes:
            return "too_large"
        return admission_fault(transaction, self.chain, height, parameters)

    # --- its life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, dial, vote and catch up from now on; raises `OSError` for a taken port."""
        await self.links.start()
        spawn = self._jobs.spawn
        spawn(self.sync.run())
        spawn(self._reception.damage())
        spawn(self._provider.run())
        spawn(self.inbox.repeat())
        spawn(self._testimony.run())
        spawn(self._pseudonyms.run())
        spawn(self._expiry.run())
        spawn(self._feed.keep_indexed())
        if self._outreach is not None:
            self.metrics_.deliveries.source = self._outreach.standing
            for job in self._outreach.jobs():
                spawn(job)
        spawn(self.neighbourhood.keep_fed(lambda: not self._joining.vouched))
        self.seat.start()
        if self._desk is not None:
            spawn(self._desk.keep_anchored())
            self._announce()
            spawn(
                keep_reconciled(
                    self.store,
                    self.home.institution,
                    self._desk.handed,
                    self._found,
                    self._surroundings.breath(),
                )
            )
        if self._housekeeping is not None:
            spawn(self._housekeeping.run())
        if self._reading is not None:
            spawn(self._reading.follower.run())
        _log.info("node_started", node=self.node, height=self._height(), votes=self.seat.taken)

    def _found(self, compared: Reconciliation) -> None:
        for kind, count in compared.counts().items():
            self.metrics_.discrepancies.labels(kind).set(count)

    def _announce(self) -> None:
        url = self.home.settings.exchange.url
        if url is not None:
            places, perform = self._reads.place, self.agent.perform
            self._jobs.spawn(keep_announced(self.home.institution, url, places, perform))

    async def run(self) -> None:
        """Return when the first part of the node fails, by raising what it raised."""
        try:
            await self._jobs.failure()
        except Diverged as diverged:
            await self._halt(diverged)

    async def _halt(self, diverged: Diverged) -> None:
        """Take no further part, but go on answering: what is stored up to here is certified, and
        the operator has to be told why there is no more."""
        await self._jobs.stop()
        await self._dispute.lost(diverged)
        _log.error("halted", reason=self._dispute.halted)
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Stop everything; what was acknowledged is on disk already."""
        await self._jobs.stop()
        await self.links.close()
        await self._holders.close()
        await asyncio.to_thread(self._executor.close)
        self._pseudonyms.close()
        if self._desk is not None:
            self._desk.close()
        if self._outreach is not None:
            self.metrics_.deliveries.source = tuple
            await self._outreach.close()
        self._feed.close()

    # --- frames --------------------------------------------------------------------------------

    def _answer_frames(self) -> None:
        on = self._reception.on
        on(frames.Consensus, self.seat.received)
        on(frames.Transactions, self._gossiped)
        on(frames.GetBlocks, self._serve_blocks)
        on(frames.GetManifest, self._provider.asked)
        on(frames.GetChunk, self._provider.asked)
        on(frames.GetTrail, self._provider.asked)
        on(frames.Blocks, self.sync.arrived)
        on(frames.Manifest, self.sync.arrived)
        on(frames.Chunk, self.sync.arrived)
        on(frames.Trail, self.sync.arrived)
        on(frames.Evaluate, self._pseudonyms.switch.asked)
        on(frames.Evaluated, self._pseudonyms.switch.arrived)
        on(frames.Hello, self._connected)
        on(frames.Ping, self._beat)
        on(frames.Pong, self._beat)
        on(frames.GetOutcome, self._inquiry.asked)
        on(frames.Outcome, self._inquiry.arrived)
        on(frames.GetHeard, self.seat.asked)
        on(frames.Heard, self._joining.arrived)
        on(frames.NewHead, lambda peer, frame: self.sync.heard(peer, frame.height))

    def _beat(self, peer: str, frame: frames.Ping | frames.Pong) -> None:
        self._clocks.heard(peer, frame.time)
        self.sync.heard(peer, frame.height)

    def _gossiped(self, peer: str, frame: frames.Transactions) -> None:
        self.inbox.gossiped(frame, from_below=self.neighbourhood.below(peer))

    def _connected(self, peer: str, hello: frames.Hello) -> None:
        self._board.connected(peer)
        self._joining.met(peer, hello.height)
        self.neighbourhood.met(peer)
        self.sync.heard(peer, hello.height)
        if peer in self.neighbourhood.upwards:
            self.inbox.introduce(lambda known: self.links.send(peer, known))

    def _lost(self, peer: str) -> None:
        self._board.lost(peer)
        self.neighbourhood.lost(peer)
        self._clocks.lost(peer)
        self.sync.lost(peer)
        self._provider.lost(peer)
        self._joining.lost(peer)
        self._pseudonyms.switch.lost(peer)

    def _serve_blocks(self, peer: str, request: frames.GetBlocks) -> None:
        blocks = answer(self.store, self._height(), request, self._room.damaged)
        self.links.send(peer, blocks)
