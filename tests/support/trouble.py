"""Random trouble for a simulated consortium: everything that can go wrong, from one seed."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from ledger.chain.rules import proposer_of
from ledger.consensus.messages import (
    MAX_VIEW,
    Commit,
    Message,
    Prepare,
    ViewChange,
    new_view,
)
from ledger.consensus.statements import Endorsement, PreparedCertificate
from tests.support import voices
from tests.support.consensus import PARAMETERS, World, make_block


@dataclass
class Outcome:
    """What became of a run. ``recovery``: milliseconds from the end of the trouble to progress."""

    seed: int
    height: int
    recovery: int
    world: World


class Liar:
    """Signs whatever it likes: wild views, forged certificates, votes for anything it has seen."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name

    def speak(self) -> None:
        random = self.world.random
        heard = [message for _, _, message in self.world.sent[-60:]]
        if not heard:
            return
        message = self.lie(random.choice(heard))
        for target in self.world.names:
            if target != self.name and random.random() < 0.7:
                self.world.post(self.name, target, message)

    def lie(self, heard: Message) -> Message:
        random = self.world.random
        height = heard.height + random.choice((0, 0, 0, 1, 2, 5))
        view = random.choice((heard.view, heard.view, heard.view + 1, random.randint(0, MAX_VIEW)))
        digest = heard.digest if isinstance(heard, Prepare | Commit) else random.randbytes(32)
        match random.randrange(5):
            case 0:
                return voices.prepare(self.name, height, view, digest)
            case 1:
                return voices.commit(self.name, height, view, digest)
            case 2:
                return self.view_change(height, max(view, 1), digest)
            case 3:
                return Prepare(height, view, digest, self.name, random.randbytes(64))
            case _:
                return self.proposal()

    def view_change(self, height: int, view: int, digest: bytes) -> ViewChange:
        random = self.world.random
        forged = None
        if random.random() < 0.5:
            signature = voices.prepare(self.name, height, view - 1, digest).signature
            names = random.sample(self.world.names, self.world.validators.quorum)
            endorsements = tuple(Endorsement(name, signature) for name in sorted(names))
            forged = PreparedCertificate(view - 1, digest, endorsements)
        return voices.view_change(self.name, height, view, forged)

    def proposal(self) -> Message:
        """Often one that it may make: its turn, and real view changes to show for it."""
        world, random = self.world, self.world.random
        parent = max((node.head for node in world.nodes), key=lambda head: head.height)
        height, current = parent.height + 1, world.sent[-1][2].view
        view = next(
            view
            for view in range(current, current + world.validators.size)
            if proposer_of(parent, world.validators, PARAMETERS, height, view) == self.name
        )
        block = make_block(parent, world.validators, self.name, view, (random.randbytes(4),))
        if random.random() < 0.5:
            block = replace(block, header=replace(block.header, state_root=random.randbytes(32)))
        digest = block.header.hash()
        proposal = voices.pre_prepare(self.name, height, view, block)
        if view == 0 or random.random() < 0.2:
            return proposal
        changes = {
            message.node: message
            for _, _, message in world.sent
            if isinstance(message, ViewChange) and (message.height, message.view) == (height, view)
        }
        changes[self.name] = self.view_change(height, view, digest)
        return new_view(proposal, (changes[name] for name in sorted(changes)))


def run(seed: int, size: int, *, lies: bool = True, trouble_ms: int = 6_000) -> Outcome:
    """Trouble for a while, then calm; raises `AssertionError` naming the seed if a promise breaks.

    During the trouble messages are lost, doubled, delayed and reordered, links are cut, honest
    nodes crash (some in the middle of their effects, taking no more than their disk with them) and
    come back; up to f validators lie, and go on lying when the rest is calm again.
    """
    world = World(size, seed)
    random = world.random
    faults = world.validators.faults
    liars = random.sample(world.names, random.randint(0, faults)) if lies else []
    world = World(size, seed, liars)
    random = world.random
    world.loss = random.choice((0.0, 0.05, 0.15, 0.3))
    world.doubling = random.choice((0.0, 0.1))
    world.delay = random.choice(((1, 10), (1, 100), (1, 400)))
    world.business = random.choice((0.0, 0.5, 1.0))
    world.slowest = random.choice((15, 15, 500))
    world.grudges = random.choice((0.0, 0.0, 0.1, 0.5))
    try:
        world.start()
        _disturb(world, [Liar(world, name) for name in liars], trouble_ms)
        return _recover(world, seed)
    except Exception as error:
        raise AssertionError(f"seed {seed}, {size} validators, liars {liars}: {error}") from error


def _disturb(world: World, liars: list[Liar], trouble_ms: int) -> None:
    random = world.random
    end = world.now + trouble_ms
    while world.now < end:
        world.run(limit=random.randint(20, 400))
        node = random.choice(world.honest)
        match random.randrange(6):
            case 0 if node.alive:
                node.crash()
            case 1 if node.alive:
                node.crash_after = random.randint(1, 8)
            case 2:
                first, second = random.sample(world.names, 2)
                world.cut ^= {frozenset((first, second))}
            case 3:
                world.business_calls()
            case _:
                for fallen in world.honest:
                    if not fallen.alive and random.random() < 0.5:
                        fallen.start()
        for liar in liars:
            liar.speak()


def _recover(world: World, seed: int) -> Outcome:
    world.loss = world.doubling = world.grudges = 0.0
    world.delay, world.slowest = (1, 10), 15
    world.cut.clear()
    for node in world.honest:
        node.crash_after = None
        if not node.alive:
            node.start()
    calm = world.now
    goal = max(node.height for node in world.honest) + 3
    if not world.reach(goal, limit=120_000):
        raise AssertionError("; ".join(node.core.status().explain() for node in world.honest))
    return Outcome(seed, goal, world.now - calm, world)
