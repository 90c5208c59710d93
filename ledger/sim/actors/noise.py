"""Lies that cost others work: what is old, far away, foreign, unreadable or too much."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from ledger.chain.transaction import Transaction
from ledger.consensus.messages import Commit, Message, Prepare, PrePrepare, ViewChange
from ledger.node.net.frames import GetBlocks, GetHeard, GetManifest, Transactions, encode_frame
from ledger.sim.actors.liar import Liar, Lie
from ledger.sim.actors.serving import FAR, flipped
from ledger.sim.actors.speech import MESSAGES, Said


class Replay(Lie):
    """Says again what it said at earlier heights and in earlier views."""

    def __init__(self) -> None:
        self._said: deque[Message] = deque(maxlen=300)

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if isinstance(said, MESSAGES):
            self._said.append(said)
        return (said,)

    def speak(self, liar: Liar) -> None:
        if self._said:
            for _ in range(3):
                liar.say(liar.random.choice(self._said))


class Impersonate(Lie):
    """Passes on what others have said, true or forged, as if they had sent it."""

    def speak(self, liar: Liar) -> None:
        heard = liar.coalition.heard(liar.random)
        if heard is None:
            return
        if isinstance(heard, Prepare | Commit | ViewChange) and liar.random.random() < 0.5:
            heard = replace(heard, height=heard.height + 1)
        liar.say(heard)


class HugeHeight(Lie):
    """Votes at heights that nobody has reached."""

    def speak(self, liar: Liar) -> None:
        height = liar.world.checker.height + liar.random.choice((2, 3, 100, FAR))
        digest = liar.random.randbytes(32)
        liar.say(liar.voice.prepare(height, 0, digest))
        liar.say(liar.voice.commit(height, 0, digest))
        liar.say(liar.voice.change_view(height, liar.random.randint(1, 9), None))


class Spam(Lie):
    """Fills the queues of the others: votes with bad signatures, questions, the same once more."""

    def speak(self, liar: Liar) -> None:
        random, height = liar.random, liar.world.checker.height + 1
        for _ in range(6):
            digest = random.randbytes(32)
            vote = liar.voice.prepare(height, random.randrange(3), digest)
            liar.say(replace(vote, signature=random.randbytes(64)))
            liar.say(GetBlocks(random.randrange(height), 256))
            liar.say(GetHeard(random.randrange(height)))
            liar.say(GetManifest(random.randrange(height), 0))


class Unreadable(Lie):
    """Sends bytes that no correct node sends; it costs the liar its connection."""

    def speak(self, liar: Liar) -> None:
        random = liar.random
        heard = liar.coalition.heard(random)
        if heard is None or random.random() < 0.7:
            return
        peer = random.choice(liar.peers)
        content = random.choice(
            (bytes([random.randrange(256)]) + random.randbytes(30), b"\x02" + random.randbytes(9))
        )
        liar.send(len(content).to_bytes(4, "big") + content, [peer])

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if isinstance(said, PrePrepare) and said.block is not None and liar.random.random() < 0.2:
            return (replace(said, signature=flipped(liar, said.signature)),)
        return (said,)


class BadGossip(Lie):
    """Passes on transactions that it should not: badly signed ones, or long in the chain."""

    def speak(self, liar: Liar) -> None:
        world, random = liar.world, liar.random
        if not world.tickets:
            return
        transaction: Transaction = random.choice(world.tickets[-20:]).transaction
        raws = [transaction.raw]
        if random.random() < 0.2:
            raws.append(flipped(liar, transaction.raw))
        liar.send(encode_frame(Transactions(tuple(raws))), liar.peers)
