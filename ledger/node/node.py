"""One member's node: everything that runs in it, put together.

The node owns one replica. Validators drive it by consensus, observers by certified blocks from
peers; both serve the same reads. See `docs/architecture.md` for the way of a request through it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Coroutine, Sequence
from importlib.metadata import version

import structlog
from prometheus_client import CollectorRegistry

from ledger.chain import limits
from ledger.chain.block import Block, Certificate, InvalidCertificate
from ledger.chain.constitution import validators_at
from ledger.chain.result import CallResult
from ledger.chain.store import Store
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.consensus import inputs
from ledger.consensus.core import Core
from ledger.consensus.messages import decode_message
from ledger.contracts.blocks import BlockFault, Executed, admission_fault
from ledger.contracts.replica import Replica
from ledger.crypto.keys import SigningKey
from ledger.node.answers import Cursor, Expiry, LedgerEvent, PeerStatus, Status, Submission
from ledger.node.condition import Situation, explain, validator_statuses
from ledger.node.desk import RecordDesk
from ledger.node.driver import Driver, diverged, now_ms
from ledger.node.events import EventFeed
from ledger.node.executor import Executor
from ledger.node.inbox import Inbox
from ledger.node.mempool import Mempool
from ledger.node.metrics import Metrics
from ledger.node.net import frames
from ledger.node.net.membership import Membership, changes_membership
from ledger.node.net.pki import TlsKey
from ledger.node.net.transport import PeerNetwork, nodes_to_dial
from ledger.node.reads import ChainReads
from ledger.node.room import Room
from ledger.node.setup.home import NodeHome
from ledger.node.sync import Sync, answer, may_vote

_log = structlog.get_logger(__name__)

#: A validator waits so long for its own decision before it fetches a single block, in seconds.
PATIENCE_SECONDS = 0.5
#: How often a starting validator looks whether it may vote yet, in seconds.
JOIN_SECONDS = 0.05
#: A node that lags is told so at most once in this time, in seconds.
REMIND_SECONDS = 0.5
#: Heights for which a transaction of the node itself stays valid.
OWN_WINDOW = 1_000
#: How long the node waits for a transaction of its own, in seconds.
OWN_PATIENCE = 60.0


class Node(ChainReads):
    """A running node. Make it, `start` it, await `run`, `close` it.

    Args:
        home: claimed by this process.
        store: open for writing; founded from the home's genesis when it is empty.
        key: the node's signing key.
        tls: the node's TLS key and certificate.
    """

    def __init__(self, home: NodeHome, store: Store, key: SigningKey, tls: TlsKey) -> None:
        self.home = home
        super().__init__(store)
        self.metrics_ = Metrics()
        self._key = key
        genesis = home.genesis()
        stored = store.genesis()
        if stored is None:
            self.replica = Replica.found(store, genesis)
        elif stored.chain_id() != genesis.chain_id():
            raise ValueError("the store holds another chain than genesis.json")
        else:
            self.replica = Replica(store)
        self.membership = Membership(store.value, tls)
        self.mempool = Mempool(
            self._admissible,
            lambda identity: bool(store.seen([identity])),
            since=self._height() + 1,
        )
        self._executor = Executor(self.replica, self.mempool.verified)
        self._room = Room()
        self._feed = EventFeed(store)
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
        self._oldest: tuple[bytes, float] | None = None
        self._missing_since = dict.fromkeys(self._other_validators(), now_ms())
        self._reminded: dict[str, float] = {}
        self._view_changes = 0
        self._next_expiry = Expiry(
            what=f"TLS certificate of {self.node}",
            expires=int(tls.certificate.not_valid_after_utc.timestamp() * 1000),
        )
        self.metrics_.certificate_expiry.set(self._next_expiry.expires / 1000)
        self.started = now_ms()
        self.sync = Sync(
            self._height,
            self._ask,
            self._extend,
            patience=PATIENCE_SECONDS if self.validates else 0.0,
        )
        self.inbox = Inbox(
            store,
            self.mempool,
            next_height=lambda: self._height() + 1,
            publish=lambda frame: self.links.broadcast(frame, self._other_validators()),
            work=self._work,
        )
        self.links = PeerNetwork(
            self.node,
            self.chain,
            (home.settings.peer.host, home.settings.peer.port),
            self.membership.tls,
            addresses=home.settings.peers,
            dial=self._dial(),
            authorise=self.membership.authorise,
            recognise=self.membership.recognise,
            height=self._height,
            on_frame=self._on_frame,
            on_lost=self._lost,
        )
        self.driver = self._driver() if self.validates else None
        self._desk = RecordDesk(
            home,
            self.chain,
            validators_at(lambda key: store.value(key, 0), 1),
            block_time=lambda: self.replica.head.time,
            whois=self.whois,
            perform=self.perform,
            metrics=self.metrics_,
        )

    # --- what it is ----------------------------------------------------------------------------

    @property
    def node(self) -> str:
        return self.home.node

    @property
    def institution(self) -> str:
        return self.home.institution

    @property
    def network(self) -> str:
        return self.replica.genesis.network

    @property
    def chain(self) -> bytes:
        return self.replica.head.chain

    @property
    def metrics(self) -> CollectorRegistry:
        return self.metrics_.registry

    @property
    def validates(self) -> bool:
        """Whether this node votes on the next block."""
        return self.replica.validators.find(self.node) is not None

    def _height(self) -> int:
        return self.replica.head.height

    def _other_validators(self) -> list[str]:
        return [
            member.node for member in self.replica.validators.members if member.node != self.node
        ]

    def _dial(self) -> set[str]:
        validators = [member.node for member in self.replica.validators.members]
        return nodes_to_dial(self.node, validators)

    def _admissible(self, transaction: Transaction, height: int) -> str | None:
        return admission_fault(transaction, self.chain, height, self.replica.parameters)

    # --- its life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, dial, vote and catch up from now on; raises `OSError` for a taken port."""
        await self.links.start()
        self._spawn(self.sync.run())
        self._spawn(self.inbox.repeat())
        if self.driver is not None:
            self._spawn(self._join(self.driver))
        self._spawn(self._desk.keep_anchored())
        _log.info("node_started", node=self.node, height=self._height(), votes=self.validates)

    async def _join(self, driver: Driver) -> None:
        """Vote once `may_vote` says so."""
        while True:
            others = set(self._other_validators())
            claims = [peer.height for peer in self.links.peers() if peer.node in others]
            if may_vote(self._height(), claims, self.replica.validators):
                break
            await asyncio.sleep(JOIN_SECONDS)
        await driver.run()

    async def run(self) -> None:
        """Return when the first part of the node fails, by raising what it raised."""
        while True:
            task = await self._ended.get()
            self._tasks.remove(task)
            task.result()

    async def close(self) -> None:
        """Stop everything; what was acknowledged is on disk already."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.links.close()
        await asyncio.to_thread(self._executor.close)
        self._desk.close()

    def _spawn(self, job: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(job)
        task.add_done_callback(self._ended.put_nowait)
        self._tasks.append(task)

    def _ask(self, node: str, request: frames.GetBlocks) -> bool:
        return self.links.send(node, request)

    def _driver(self) -> Driver:
        return Driver(
            self.node,
            Core(self.node, self._key),
            self.replica,
            self._executor,
            self.store,
            self.mempool,
            self._room,
            send=self.links.send,
            broadcast=self.links.broadcast,
            final=self._final,
            behind=self.sync.heard,
            lagging=self._remind,
            accused=lambda _node: self.metrics_.accusations.inc(),
        )

    # --- blocks --------------------------------------------------------------------------------

    async def _extend(self, block: Block, certificate: Certificate) -> None:
        if block.header.chain != self.chain:
            raise InvalidCertificate("a block of another chain")
        try:
            executed = await self._room.write(lambda: self._executor.extend(block, certificate))
        except BlockFault as fault:
            raise diverged(block, fault) from fault
        if executed is not None:
            await self._final(executed, certificate)

    async def _final(self, executed: Executed, certificate: Certificate) -> None:
        """A block is stored: let everybody who waits for it know."""
        header = executed.block.header
        ids = [transaction.id for transaction in executed.transactions]
        registry_changed = any(key.startswith(b"registry/keys/") for key in executed.writes)
        self.inbox.final(ids, registry_changed)
        metrics = self.metrics_
        metrics.height.set(header.height)
        metrics.block_time.set(header.time / 1000)
        metrics.blocks.inc()
        metrics.transactions.inc(len(ids))
        metrics.view_changes.inc(certificate.view)
        self._view_changes += certificate.view
        metrics.commit_seconds.observe(max(0, now_ms() - header.time) / 1000)
        metrics.pending.set(len(self.mempool))
        if changes_membership(executed.writes):
            self.membership.refresh()
            self.links.configure(self.home.settings.peers, self._dial())
            self.links.recheck()
        validators = {member.node for member in self.replica.validators.members}
        followers = [peer.node for peer in self.links.peers() if peer.node not in validators]
        self.links.broadcast(frames.NewHead(header.height, header.hash()), followers)
        self._take_part()
        await self._feed.grew(header.height)

    def _take_part(self) -> None:
        """Vote on the next height if this node is a validator there."""
        if not self.validates:
            return
        if self.driver is None:
            self.driver = self._driver()
            self._spawn(self.driver.run())
        else:
            self.driver.begin()
            if self._neglected():
                self.driver.feed(inputs.Neglected())

    def _neglected(self) -> bool:
        """Whether the oldest waiting transaction is passed over although blocks are made."""
        first = next(iter(self.mempool), None)
        if first is None:
            self._oldest = None
            return False
        now = asyncio.get_running_loop().time()
        if self._oldest is None or self._oldest[0] != first.id:
            self._oldest = (first.id, now)
            return False
        return now - self._oldest[1] > 2 * self.replica.parameters.view_timeout / 1000

    def _remind(self, node: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._reminded.get(node, -REMIND_SECONDS) >= REMIND_SECONDS:
            self._reminded[node] = now
            head = self.replica.head
            self.links.send(node, frames.NewHead(head.height, head.hash()))

    def _work(self) -> None:
        if self.driver is not None:
            self.driver.feed(inputs.WorkPending())

    def _lost(self, peer: str) -> None:
        self._missing_since[peer] = now_ms()
        self.metrics_.peers.set(len(self.links.peers()))
        self.sync.lost(peer)

    def _on_frame(self, peer: str, frame: frames.Frame) -> None:
        match frame:
            case frames.Consensus(message):
                if self.driver is not None:
                    self.driver.feed(inputs.Received(peer, decode_message(message)))
            case frames.Transactions():
                self.inbox.gossiped(frame)
            case frames.GetBlocks():
                self.links.send(peer, answer(self.store, self._height(), frame))
            case frames.Blocks():
                self.sync.arrived(peer, frame)
            case frames.Hello():
                self._missing_since.pop(peer, None)
                self.metrics_.peers.set(len(self.links.peers()))
                self.sync.heard(peer, frame.height)
                if self.replica.validators.find(peer) is not None:
                    self.inbox.introduce(lambda known: self.links.send(peer, known))
            case frames.Ping() | frames.Pong() | frames.NewHead():
                self.sync.heard(peer, frame.height)

    # --- transactions --------------------------------------------------------------------------

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        answers = self.inbox.submit(raws)
        for given in answers:
            if not given.accepted:
                self.metrics_.refused.labels(given.code).inc()
        return answers

    async def wait(self, tx_id: bytes, timeout_s: float) -> None:
        await self.inbox.wait(tx_id, timeout_s)

    def pending(self, tx_id: bytes) -> bool:
        return tx_id in self.mempool

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        """Send one call signed by this node; its height and result once it is final.

        Raises:
            TimeoutError: it was not final in time.
            PermissionError: the node does not take it in.
        """
        height = self._height()
        body = Body(
            chain=self.chain,
            nonce=secrets.token_bytes(limits.MAX_NONCE_BYTES),
            valid_from=height,
            valid_until=height + min(OWN_WINDOW, self.replica.parameters.validity_window),
            atomic=False,
            calls=(call,),
            signers=(self._key.public,),
        )
        transaction = sign_transaction(body, self._key)
        (submission,) = await self.submit([transaction.raw])
        if not submission.accepted:
            raise PermissionError(f"{submission.code}: {submission.detail}")
        await self.wait(transaction.id, OWN_PATIENCE)
        outcome = self.outcome(transaction.id)
        if outcome is None:
            raise TimeoutError("the transaction is not final yet")
        return outcome[0], outcome[2].calls[0]

    # --- records and events -----------------------------------------------------------------------

    async def release(self, request: bytes) -> bytes:
        return await self._desk.release(request)

    async def pointers(self, request: bytes) -> bytes:
        return await self._desk.pointers(request)

    def events(self, after: Cursor) -> AsyncGenerator[LedgerEvent, None]:
        return self._feed.after(after)

    def status(self) -> Status:
        core = self.driver.snapshot() if self.driver is not None and self.validates else None
        validators = self.replica.validators
        peers = {peer.node: peer for peer in self.links.peers()}
        head = self.replica.head
        committing, reason = explain(
            Situation(
                now=now_ms(),
                height=head.height,
                block_time=head.time if head.height else self.started,
                target=self.sync.target,
                trouble=self._room.shortage,
                pending=len(self.mempool),
                idle_interval=self.replica.parameters.empty_block_interval,
                validators=[member.node for member in validators.members],
                quorum=validators.quorum,
                connected=list(peers),
                node=self.node,
                core=core,
            )
        )
        return Status(
            node=self.node,
            institution=self.institution,
            network=self.network,
            chain=self.chain.hex(),
            role="validator" if self.validates else "observer",
            height=head.height,
            block=head.hash().hex(),
            block_time=head.time,
            view=core.view if core is not None else 0,
            phase=core.phase.value if core is not None else "following",
            proposer=core.proposer if core is not None else head.proposer,
            committing=committing,
            reason=reason,
            validators=validator_statuses(
                core,
                {member.node: member.institution for member in validators.members},
                list(peers),
                self._missing_since,
                self.node,
            ),
            peers=tuple(
                PeerStatus(
                    node=node,
                    address=address,
                    connected=node in peers,
                    height=peers[node].height if node in peers else None,
                )
                for node, address in sorted(self.home.settings.peers.items())
            ),
            pending_transactions=len(self.mempool),
            pending_bytes=self.mempool.size_bytes,
            view_changes=self._view_changes,
            syncing=self.sync.target > head.height + 1,
            next_expiry=self._next_expiry,
            version=version("health-ledger"),
        )

    def ready(self) -> tuple[bool, str]:
        if self.links.port == 0:
            return False, "the node is starting"
        if self.sync.target > self._height() + 10:
            return False, f"catching up: at {self._height()} of {self.sync.target}"
        return True, "ready"
