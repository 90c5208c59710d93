"""Gives the consensus core its inputs and carries out its effects.

The core decides, this module does: it is the only place where votes meet the disk and the network,
so the rule that a vote is durable before it is sent is kept here, by carrying out effects in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from ledger.chain.block import Block, Certificate, Validator
from ledger.chain.rules import clock_doubt
from ledger.chain.store import Store
from ledger.chain.vote import Vote
from ledger.consensus import effects, inputs
from ledger.consensus.core import Core
from ledger.consensus.errors import PeerFault
from ledger.consensus.messages import Statement, encode_message
from ledger.consensus.status import Status
from ledger.contracts.blocks import BlockFault, Executed
from ledger.contracts.replica import Replica
from ledger.crypto.keys import SigningKey
from ledger.node.executor import Executor
from ledger.node.mempool import Mempool
from ledger.node.net.frames import Consensus, Frame
from ledger.node.pace import Pace
from ledger.node.room import Room
from ledger.node.timers import Timers

_log = structlog.get_logger(__name__)

#: A proposer waits so long for company when a lone transaction arrives, in seconds.
LINGER_SECONDS = 0.008
#: Inputs from peers that may wait; what comes beyond is dropped, and resent by the protocol.
MAX_WAITING_INPUTS = 20_000


class Diverged(RuntimeError):
    """A quorum certified a block, complete as certified, that does not check out here: this node
    must not go on."""

    def __init__(self, block: Block, certificate: Certificate, fault: BlockFault) -> None:
        height = block.header.height
        super().__init__(
            f"diverged: a quorum decided block {height}, which this node cannot reproduce: {fault}"
        )
        self.block = block
        self.certificate = certificate
        _log.error("diverged", height=height, fault=str(fault))


class Driver:
    """Runs one validator's part in the consensus.

    Args:
        room: carries out the writes.
        clock: milliseconds since 1970-01-01 UTC.
        send: queues a frame for one node; broadcast: for several.
        save: writes votes down; they are durable when it returns.
        final: called after a block was stored, before the next height begins.
        behind: told which nodes have a height that this node lacks.
        lagging: told which node lacks a height that this node has.
        disputed: told of a proposal whose execution came out otherwise here.
        accused: told what a peer did against the rules.
        keys: the signing key with a public half, if this node holds it.
    """

    def __init__(
        self,
        node: str,
        core: Core,
        replica: Replica,
        executor: Executor,
        store: Store,
        mempool: Mempool,
        room: Room,
        *,
        clock: Callable[[], int],
        save: Callable[[Sequence[Vote]], None],
        send: Callable[[str, Frame], bool],
        broadcast: Callable[[Frame, list[str]], object],
        final: Callable[[Executed, Certificate], Awaitable[None]],
        behind: Callable[[str, int], None],
        lagging: Callable[[str], None],
        disputed: Callable[[Block], None] = lambda _block: None,
        accused: Callable[[PeerFault], None],
        keys: Callable[[bytes], SigningKey | None],
    ) -> None:
        self.node = node
        self._core = core
        # Of the newest `Begin`: a block can arrive while the one before it is being announced.
        self._opened = 0
        self._pace = Pace()
        self._replica = replica
        self._executor = executor
        self._store = store
        self._mempool = mempool
        self._room = room
        self._clock = clock
        self._save = save
        # Until `run`, the core gets nothing: what it would answer could be for a height long past.
        self._runs = False
        self._send = send
        self._broadcast = broadcast
        self._final = final
        self._behind = behind
        self._lagging = lagging
        self._disputed = disputed
        self._accused = accused
        self._keys = keys
        #: Why this node cannot sign at the height that is open, for its status.
        self.keyless = ""
        self._inputs: deque[inputs.Input] = deque()
        self._wake = asyncio.Event()
        self._timers = Timers(self.feed)
        # In order, as they are cancelled in the end: a set would do that in the order of addresses.
        self._jobs: dict[asyncio.Task[None], None] = {}
        # Votes have a writer of their own: one must not wait behind the execution of a block.
        self._votes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="votes")

    def feed(self, item: inputs.Input) -> None:
        """Queue an input for the core; before `run` nothing is."""
        if not self._runs:
            return
        if isinstance(item, inputs.Received) and len(self._inputs) >= MAX_WAITING_INPUTS:
            return
        self._inputs.append(item)
        self._wake.set()

    def heard(self, node: str) -> tuple[Statement, ...]:
        """What a validator has signed that is kept here; see `Core.heard`."""
        return self._core.heard(node)

    @property
    def waiting(self) -> int:
        """How many inputs the core has yet to take."""
        return len(self._inputs)

    def snapshot(self) -> Status | None:
        """Where the core stands, or None before the first height began."""
        return self._core.status()

    def begin(self, *, neglected: bool = False) -> None:
        """Tell the core that the next height is open, if it has not heard and has a vote there.

        ``neglected``: whether the proposer leaves a transaction out for too long.

        Raises:
            StoreAway: it has not been told.
        """
        position = self._replica.position
        height = position.head.height + 1
        member = position.validators.find(self.node)
        if not self._runs or height <= self._opened or member is None or not self._can_sign(member):
            return
        votes = tuple(self._store.votes(height))
        self._opened = height
        self.feed(
            inputs.Begin(
                inputs.HeightContext(
                    chain=position.head.chain,
                    height=height,
                    parent=position.head,
                    validators=position.validators,
                    parameters=position.parameters,
                    votes=votes,
                    work_pending=self._mempool.has_work(position.parameters.block_bytes),
                    neglected=neglected,
                )
            )
        )

    def _can_sign(self, member: Validator) -> bool:
        """Whether this node holds the key that the validator set names for it."""
        key = self._keys(member.key)
        if key is not None:
            self._core.learn(key)
            self.keyless = ""
        elif not self.keyless:
            self.keyless = (
                "this node does not hold the signing key that the chain names for it, "
                f"{member.key.hex()}: put it into node.next.key"
            )
            _log.error("signing_key_missing", public=member.key.hex())
        return key is not None

    async def run(self) -> None:
        """Feed the core until cancelled; raises `Diverged` when this node must not go on."""
        self._runs = True
        await self._room.read(self.begin)
        try:
            while True:
                while self._inputs:
                    item = self._inputs.popleft()
                    if isinstance(item, inputs.TimerFired) and not self._timers.deliver(item):
                        continue
                    for effect in self._core.handle(item):
                        await self._carry_out(effect)
                self._wake.clear()
                await self._wake.wait()
        finally:
            self._timers.close()
            for job in self._jobs:
                job.cancel()
            self._votes.shutdown(wait=True)

    async def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Persist(votes):
                await self._persist(votes)
            case effects.Broadcast(message):
                others = [
                    member.node
                    for member in self._replica.validators.members
                    if member.node != self.node
                ]
                self._broadcast(Consensus(encode_message(message)), others)
            case effects.Send(node, message):
                self._send(node, Consensus(encode_message(message)))
            case effects.SetTimer(timer, height, view, delay_ms):
                self._timers.start(timer, height, view, delay_ms)
            case effects.CancelTimer(timer):
                self._timers.stop(timer)
            case effects.BuildBlock(height, view):
                self._start(self._build(height, view))
            case effects.CheckBlock(digest, block):
                self._start(self._check(digest, block))
            case effects.Decide(block, certificate):
                await self._decide(block, certificate)
            case effects.Behind(height, nodes):
                for node in nodes:
                    self._behind(node, height)
            case effects.Lagging(node, _height):
                self._lagging(node)
            case effects.Accuse(fault):
                _log.warning(
                    "peer_accused", peer=fault.accused, rule=fault.rule, detail=fault.detail
                )
                self._accused(fault)

    def _start(self, job: Awaitable[None]) -> None:
        task = asyncio.ensure_future(job)
        self._jobs[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._jobs.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("consensus_job_failed", error=repr(error), exc_info=error)

    async def _persist(self, votes: tuple[Vote, ...]) -> None:
        loop = asyncio.get_running_loop()
        await self._room.write(lambda: loop.run_in_executor(self._votes, self._save, votes))

    async def _build(self, height: int, view: int) -> None:
        parameters = self._replica.parameters
        if 0 < len(self._mempool) < parameters.block_transactions // 4:
            await asyncio.sleep(LINGER_SECONDS)
        chosen = self._pace.fitting(
            self._mempool.take(
                self._pace.bytes(view, parameters.block_bytes),
                parameters.block_transactions,
                height,
            ),
            parameters.view_timeout,
        )
        start = asyncio.get_running_loop().time()
        block = await self._room.write(
            lambda: self._executor.build(height, view, self.node, self._clock(), chosen)
        )
        if block is not None:
            seconds = asyncio.get_running_loop().time() - start
            self._pace.took(chosen[: len(block.transactions)], seconds)
            self.feed(inputs.BlockBuilt(height, view, block))

    async def _check(self, digest: bytes, block: Block) -> None:
        doubt = clock_doubt(
            block.header, self._replica.head, self._replica.parameters, self._clock()
        )
        fault = await self._room.write(lambda: self._executor.check(block))
        if block.header.height <= self._replica.head.height:
            return  # final meanwhile: others were quicker, and nobody waits for the answer
        if fault is not None or doubt is not None:
            _log.warning("proposal_refused", height=block.header.height, fault=str(fault or doubt))
        if fault is not None and fault.of_execution:
            self._disputed(block)
        self.feed(inputs.BlockChecked(digest, None if fault is None else str(fault), doubt))

    async def _decide(self, block: Block, certificate: Certificate) -> None:
        try:
            executed = await self._room.write(lambda: self._executor.commit(block, certificate))
        except BlockFault as fault:
            raise Diverged(block, certificate, fault) from fault
        if executed is not None:
            self._pace.final(certificate.view)
            await self._final(executed, certificate)
