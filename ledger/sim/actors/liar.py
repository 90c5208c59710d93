"""A validator that lies: a real node, and somebody who changes what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from ledger.chain.codec import Malformed
from ledger.consensus.messages import Message, decode_message, encode_message
from ledger.crypto.keys import SigningKey
from ledger.node.net.frames import Consensus, Frame, Hello, decode_frame, encode_frame
from ledger.sim.actors.coalition import Coalition
from ledger.sim.actors.speech import MESSAGES, Said
from ledger.sim.actors.voice import Voice
from ledger.sim.network import payload

#: Between two times that it speaks unasked, in virtual seconds: least and most.
PAUSE_S = (0.05, 0.6)
#: No more frames of its own making leave in one go.
MOST_AT_ONCE = 60


class Lie:
    """One habit of a liar. By itself it changes nothing and says nothing."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        """What ``peer`` gets instead of what the real node says to it."""
        return (said,)

    def speak(self, liar: Liar) -> None:
        """Called again and again; says whatever it likes by `Liar.say`."""


class Liar:
    """Changes the frames of one node, and sends more in its name.

    It stands in the network as the rewriter of its node. The node behind it is a real one, which
    follows the chain and may crash and come back.

    Args:
        coalition: those that lie together with it; the world is theirs.
        lies: by the names under which they are counted.
    """

    def __init__(self, coalition: Coalition, name: str, lies: dict[str, Lie]) -> None:
        self.coalition = coalition
        self.world = coalition.world
        self.name = name
        self.random = Random(f"{self.world.seed}/liar {name}")
        self.lies = dict(lies)
        #: How often each lie was told.
        self.told: Counter[str] = Counter()
        self.voice = Voice(self.world.consortium.chain, name, self.key)
        self._read: tuple[bytes, Said | None] = b"", None
        self._left = 0
        self._active = True
        coalition.names.add(name)
        self.world.checker.liars.add(name)
        self.world.network.rewriters[name] = self
        self._later()

    @property
    def key(self) -> SigningKey:
        return self.world.nodes[self.name].key

    @property
    def peers(self) -> list[str]:
        """The other nodes."""
        return [name for name in self.world.nodes if name != self.name]

    @property
    def validators(self) -> list[str]:
        """The other validators."""
        return [name for name in self.world.validators if name != self.name]

    def stop(self) -> None:
        """Tell no more lies; nothing is expected of the node for what it has said before."""
        self._active = False
        self.lies.clear()

    # --- what its node says --------------------------------------------------------------------

    def __call__(self, peer: str, frame: bytes) -> Sequence[bytes]:
        """The frames that leave instead of one that its node sends."""
        if not self.lies:
            return (frame,)
        said = self._decoded(frame)
        if said is None or isinstance(said, Hello):
            return (frame,)
        words: list[Said] = [said]
        for name, lie in self.lies.items():
            before = words
            words = [one for word in words for one in lie.instead(self, peer, word)]
            if words != before:
                self.told[name] += 1
        return (frame,) if words == [said] else [self._encoded(word) for word in words]

    def _decoded(self, frame: bytes) -> Said | None:
        """The last one is remembered: the same frame goes to one peer after the other."""
        if self._read[0] != frame:
            said: Said | None
            try:
                said = decode_frame(payload(frame))
                if isinstance(said, Consensus):
                    said = decode_message(said.message)
            except Malformed:
                said = None
            self._read = frame, said
        return self._read[1]

    @staticmethod
    def _encoded(said: Said) -> bytes:
        if isinstance(said, MESSAGES):
            return encode_frame(Consensus(encode_message(said)))
        return encode_frame(said)

    # --- what it says by itself ----------------------------------------------------------------

    def say(self, said: Message | Frame, *peers: str) -> None:
        """Send something to some peers, or to all other validators."""
        self.send(self._encoded(said), peers or self.validators)

    def send(self, frame: bytes, peers: Iterable[str]) -> None:
        """Put bytes on the lines to some peers, as far as there is a connection."""
        for peer in peers:
            if self._left > 0 and self.world.network.inject(self.name, peer, frame):
                self._left -= 1

    def _later(self) -> None:
        loop = self.world.loop
        loop.call_later(self.random.uniform(*PAUSE_S), self._speak, context=loop.context(None))

    def _speak(self) -> None:
        if not self._active:
            return
        if not self.world.nodes[self.name].paused:
            for name, lie in list(self.lies.items()):
                self._left = MOST_AT_ONCE
                lie.speak(self)
                self.told[name] += self._left < MOST_AT_ONCE
        self._later()
