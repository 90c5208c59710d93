"""A consortium's agreement in one process: real cores, simulated network, clock and disk.

Everything random comes out of one seed, so a run can be repeated. Three promises are checked at
every step, and a breach raises at once: no two honest validators finalise different blocks at a
height; no honest validator signs two things for one height, view and phase, restarts included;
nothing signed leaves before its vote is on the disk.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from ledger.chain import merkle
from ledger.chain.block import (
    Block,
    Certificate,
    Header,
    Validator,
    ValidatorSet,
    verify_certificate,
)
from ledger.chain.constitution import Parameters
from ledger.chain.vote import Vote
from ledger.consensus import agreement
from ledger.consensus.core import Core
from ledger.consensus.effects import (
    Accuse,
    Behind,
    Broadcast,
    BuildBlock,
    CancelTimer,
    CheckBlock,
    Decide,
    Effect,
    Lagging,
    Persist,
    Send,
    SetTimer,
)
from ledger.consensus.inputs import (
    Begin,
    BlockBuilt,
    BlockChecked,
    HeightContext,
    Input,
    Received,
    Timer,
    TimerFired,
    WorkPending,
)
from ledger.consensus.messages import (
    Message,
    NewView,
    PrePrepare,
    Statement,
    ViewChange,
    decode_message,
    encode_message,
)
from ledger.consensus.phases import Event, Phase, step
from ledger.crypto.keys import SigningKey

CHAIN = sha256(b"a chain for tests").digest()
START = 1_700_000_000_000
PARAMETERS = Parameters(
    view_timeout=200, view_timeout_cap=3_200, empty_block_interval=1_000, proposer_term=3
)


def signing_key(node: str) -> SigningKey:
    return SigningKey(sha256(node.encode()).digest())


def validator_set(size: int) -> ValidatorSet:
    names = [f"n{place}" for place in range(size)]
    return ValidatorSet(tuple(Validator(name, name, signing_key(name).public) for name in names))


def genesis_header(validators: ValidatorSet) -> Header:
    empty = merkle.root(())
    return Header(
        1,
        CHAIN,
        0,
        0,
        bytes(32),
        "",
        START,
        empty,
        bytes(32),
        empty,
        bytes(32),
        empty,
        validators.hash(),
    )


def make_block(
    parent: Header,
    validators: ValidatorSet,
    proposer: str,
    view: int = 0,
    transactions: Iterable[bytes] = (),
    time: int | None = None,
) -> Block:
    """A block that `fault_of` finds nothing wrong with."""
    raws = tuple(transactions)
    root = merkle.root(raws)
    header = Header(
        version=1,
        chain=parent.chain,
        height=parent.height + 1,
        view=view,
        parent=parent.hash(),
        proposer=proposer,
        time=parent.time + 1 if time is None else time,
        transactions_root=root,
        identities=root,
        results_root=root,
        state_root=sha256(parent.state_root + root).digest(),
        log_root=sha256(parent.hash()).digest(),
        validators=validators.hash(),
    )
    return Block(header, raws)


def fault_of(block: Block, parent: Header) -> str | None:
    """What stands in for executing a block."""
    expected = sha256(parent.state_root + merkle.root(block.transactions)).digest()
    return None if block.header.state_root == expected else "the state roots differ"


#: The rows of the transition table that simulated cores have taken so far.
TAKEN: set[tuple[Phase, Event]] = set()


def _noting_step(phase: Phase, event: Event) -> Phase:
    TAKEN.add((phase, event))
    return step(phase, event)


agreement.step = _noting_step


class Decided(NamedTuple):
    """A block that a validator added to its chain."""

    block: Block
    certificate: Certificate


@dataclass
class Disk:
    """What survives a crash."""

    chain: list[tuple[Block, Certificate]] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)


class Node:
    """One validator: a core, its disk, and the driver that carries out the effects."""

    def __init__(self, world: World, name: str, *, honest: bool = True) -> None:
        self.world = world
        self.name = name
        self.honest = honest
        self.disk = Disk()
        self.alive = False
        self.lives = 0
        self.timers: dict[Timer, int] = {}
        self.crash_after: int | None = None
        #: What happened while the node got no processor; None while it runs.
        self.missed: list[Input] | None = None
        self.core = Core(name, signing_key(name))

    @property
    def head(self) -> Header:
        return self.disk.chain[-1][0].header if self.disk.chain else self.world.genesis

    @property
    def height(self) -> int:
        return self.head.height

    def start(self) -> None:
        self.core = Core(self.name, signing_key(self.name))
        self.alive = True
        self.lives += 1
        self.crash_after = None
        self.missed = None
        self.begin()

    def crash(self) -> None:
        self.alive = False
        self.lives += 1
        self.timers.clear()

    def begin(self) -> None:
        height = self.height + 1
        votes = tuple(vote for vote in self.disk.votes if vote.height == height)
        work = self.world.random.random() < self.world.business
        neglected = self.world.random.random() < self.world.grudges
        self.feed(
            Begin(
                HeightContext(
                    CHAIN,
                    height,
                    self.head,
                    self.world.validators,
                    PARAMETERS,
                    votes,
                    work,
                    neglected,
                )
            )
        )

    def later(self, delay: int, happened: Callable[[], None]) -> None:
        """Do something later, unless the node crashes before."""
        life = self.lives

        def guarded() -> None:
            if self.alive and self.lives == life:
                happened()

        self.world.after(delay, guarded)

    def freeze(self, milliseconds: int) -> None:
        """Get no processor for a while; then take due timers first, as an event loop does."""
        self.missed = []

        def thaw() -> None:
            missed, self.missed = self.missed or [], None
            for happened in sorted(missed, key=lambda each: not isinstance(each, TimerFired)):
                self.feed(happened)

        self.later(milliseconds, thaw)

    def feed(self, happened: Input) -> None:
        if self.missed is not None:
            self.missed.append(happened)
            return
        for effect in self.core.handle(happened):
            if not self.alive:
                return
            self.carry_out(effect)
            if self.crash_after is not None:
                self.crash_after -= 1
                if self.crash_after <= 0:
                    self.crash()

    def carry_out(self, effect: Effect) -> None:
        world = self.world
        match effect:
            case Persist(votes):
                self.disk.votes.extend(votes)
                if self.honest:
                    world.journal.extend((self.name, vote) for vote in votes)
            case Broadcast(message):
                for name in world.names:
                    if name != self.name:
                        world.transmit(self, name, message)
            case Send(node, message):
                world.transmit(self, node, message)
            case SetTimer(timer, height, view, delay):
                self.set_timer(timer, height, view, delay)
            case CancelTimer(timer):
                self.timers.pop(timer, None)
            case BuildBlock(height, view):
                block = self.build(view)
                self.later(world.labour(), lambda: self.feed(BlockBuilt(height, view, block)))
            case CheckBlock(digest, block):
                fault = fault_of(block, self.head) if self.honest else None
                self.later(world.labour(), lambda: self.feed(BlockChecked(digest, fault)))
            case Decide(block, certificate):
                self.later(0, lambda: self.store(block, certificate))
            case Behind(height, nodes):
                for name in nodes:
                    self.later(20, lambda name=name: self.fetch(name, height))
            case Lagging(name, height):
                for node in world.nodes:
                    if node.name == name:
                        node.later(20, lambda node=node: node.fetch(self.name, height))
            case Accuse(fault):
                world.accusations.append((self.name, fault))
                if self.honest and fault.accused not in world.liars:
                    raise AssertionError(f"{self.name} accuses an honest node: {fault}")

    def set_timer(self, timer: Timer, height: int, view: int, delay: int) -> None:
        self.world.timers_set += 1
        token = self.timers[timer] = self.world.timers_set

        def fire() -> None:
            if self.timers.get(timer) == token:
                del self.timers[timer]
                self.feed(TimerFired(timer, height, view))

        self.later(delay, fire)

    def build(self, view: int) -> Block:
        self.world.blocks_built += 1
        transactions = (f"{self.name}:{self.world.blocks_built}".encode(),)
        time = max(self.head.time + 1, START + self.world.now)
        block = make_block(self.head, self.world.validators, self.name, view, transactions, time)
        self.world.headers[block.header.hash()] = block.header
        return block

    def store(self, block: Block, certificate: Certificate) -> None:
        """Add a certified block; what is stored already is passed over."""
        if block.header.height != self.height + 1:
            return
        verify_certificate(block.header, certificate, self.world.validators)
        if self.honest:
            assert fault_of(block, self.head) is None, "a quorum certified an invalid block"
            self.world.finalised(self.name, block)
            self.world.journal.append((self.name, Decided(block, certificate)))
        self.disk.chain.append((block, certificate))
        self.begin()

    def fetch(self, name: str, height: int) -> None:
        """Take over certified blocks up to a height, as far as the other one has them."""
        for other in self.world.nodes:
            if other.name == name and other.honest and other.alive:
                for block, certificate in other.disk.chain[self.height : height]:
                    self.store(block, certificate)


class World:
    """Validators n0, n1, … and what lies between them.

    ``loss`` and ``doubling``: probabilities per message. ``delay``: bounds in milliseconds.
    ``slowest``: the longest time, in milliseconds, that executing a block takes. ``business``: how
    likely the mempool holds something when a height begins. ``grudges``: how likely a validator
    complains of the proposer then.
    ``liars``: names that are played by two cores with the same key which do not know of each other
    (Bano et al., "Twins", 2020): between them they equivocate in every way that a core can speak.
    """

    def __init__(self, size: int, seed: int = 0, liars: Iterable[str] = ()) -> None:
        self.random = random.Random(seed)
        self.validators = validator_set(size)
        self.genesis = genesis_header(self.validators)
        self.names = [member.node for member in self.validators.members]
        self.liars = set(liars)
        self.now = 0
        self.loss = 0.0
        self.doubling = 0.0
        self.delay = (1, 20)
        self.business = 1.0
        self.grudges = 0.0
        self.slowest = 15
        self.cut: set[frozenset[str]] = set()
        self.drop: Callable[[str, str, Message], bool] = lambda _source, _target, _message: False
        self.sent: list[tuple[str, str, Message]] = []
        self.accusations: list[tuple[str, Exception]] = []
        #: What honest validators made durable, in order: every vote and every final block.
        self.journal: list[tuple[str, Vote | Decided]] = []
        #: Every header that anybody made or put on the wire, by its hash.
        self.headers: dict[bytes, Header] = {}
        self.blocks_built = 0
        self.timers_set = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._final: dict[int, bytes] = {}
        self._said: dict[tuple[str, int, int, str], object] = {}
        self.nodes = [
            Node(self, name, honest=name not in self.liars)
            for name in self.names
            for _ in range(2 if name in self.liars else 1)
        ]

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    @property
    def honest(self) -> list[Node]:
        return [node for node in self.nodes if node.honest]

    def start(self, *names: str) -> None:
        for node in self.nodes:
            if not names or node.name in names:
                node.start()

    def after(self, delay: int, happened: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (self.now + delay, self._order, happened))

    def labour(self) -> int:
        """How long it takes to execute a block."""
        return self.random.randint(1, self.slowest)

    def run(self, *, until: Callable[[], bool] = lambda: False, limit: int) -> bool:
        """Let time pass; whether ``until`` came true before ``limit`` milliseconds were over."""
        end = self.now + limit
        while self._queue and self._queue[0][0] <= end:
            self.now, _, happened = heapq.heappop(self._queue)
            happened()
            if until():
                return True
        self.now = end
        return until()

    def reach(self, height: int, *names: str, limit: int = 60_000) -> bool:
        """Run until the named nodes, or all honest ones that are up, have that height."""

        def reached() -> bool:
            return all(
                node.height >= height
                for node in self.honest
                if (node.name in names if names else node.alive)
            )

        return self.run(until=reached, limit=limit)

    def transmit(self, source: Node, target: str, message: Message) -> None:
        if source.honest:
            self._check_promise(source, message)
            self.sent.append((source.name, target, message))
        elif self.random.random() < 0.4:
            return
        self.post(source.name, target, message)

    def post(self, source: str, target: str, message: Message) -> None:
        """Put a message on the wire."""
        if frozenset((source, target)) in self.cut or self.random.random() < self.loss:
            return
        if self.drop(source, target, message):
            return
        self._note_header(message)
        raw = encode_message(message)
        for _ in range(2 if self.random.random() < self.doubling else 1):
            delay = self.random.randint(*self.delay)
            self.after(delay, lambda: self._arrive(source, target, raw))

    def _arrive(self, source: str, target: str, raw: bytes) -> None:
        for node in self.nodes:
            if node.name == target and node.alive and (node.honest or self.random.random() < 0.7):
                node.feed(Received(source, decode_message(raw)))

    def _note_header(self, message: Message) -> None:
        carrier = message.pre_prepare if isinstance(message, NewView) else message
        block = carrier.block if isinstance(carrier, PrePrepare | ViewChange) else None
        if block is not None:
            self.headers[block.header.hash()] = block.header

    def _check_promise(self, source: Node, message: Message) -> None:
        statement: Statement = message.pre_prepare if isinstance(message, NewView) else message
        kind = type(statement).__name__
        change = isinstance(statement, ViewChange)
        subject = statement.prepared if change else statement.digest
        key = (source.name, statement.height, statement.view, kind)
        assert self._said.setdefault(key, subject) == subject, f"{key} was signed twice"
        phase = {"PrePrepare": "pre-prepare", "ViewChange": "view-change"}.get(kind, kind.lower())
        assert any(
            (vote.height, vote.view, vote.phase) == (statement.height, statement.view, phase)
            for vote in source.disk.votes
        ), f"{key} left before it was stored"

    def finalised(self, name: str, block: Block) -> None:
        digest = block.header.hash()
        known = self._final.setdefault(block.header.height, digest)
        assert known == digest, f"{name} finalised another block at {block.header.height}"

    def business_calls(self) -> None:
        """A transaction reaches every mempool."""
        for node in self.nodes:
            if node.alive:
                node.later(self.random.randint(0, 5), lambda node=node: node.feed(WorkPending()))
