"""Asking the other validators what they have heard, until this node may vote, and after.

Their answers are proofs: what they show is signed with this node's key, so a liar can keep
something back but not invent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ledger.chain.block import Certificate
from ledger.chain.codec import Malformed
from ledger.chain.store import Store, StoreUnusable
from ledger.consensus.messages import (
    Statement,
    decode_statement,
    encode_message,
    statement,
    without_block,
)
from ledger.consensus.promises import Promises
from ledger.contracts.replica import Position
from ledger.crypto import suites
from ledger.crypto.keys import SigningKey
from ledger.node.net.frames import MAX_STATEMENTS, Frame, GetHeard, Heard
from ledger.node.signing.register import Register
from ledger.node.signing.standing import (
    Abstain,
    Admission,
    Answer,
    Distrust,
    Memory,
    Standing,
    Stop,
    Vote,
    Wait,
    overtaken,
)

_log = structlog.get_logger(__name__)

#: How often a node that may not vote yet asks the others, in seconds.
ASK_SECONDS: Final = 0.25
#: How often one that votes asks them whether somebody else votes in its name, in seconds.
WATCH_SECONDS: Final = 5.0
#: How often it looks whether it may vote by now, in seconds.
LOOK_SECONDS: Final = 0.05


class IdentityInUse(RuntimeError):
    """Another process signs with this node's key."""


class Joining:
    """The way of one node into the votes.

    Args:
        position: where this node's chain stands.
        send: queues a frame for one node; False when it is not connected.
    """

    def __init__(
        self,
        node: str,
        key: SigningKey,
        store: Store,
        register: Register,
        position: Callable[[], Position],
        send: Callable[[str, Frame], bool],
    ) -> None:
        self._node = node
        self._key = key
        self._store = store
        self._register = register
        self._position = position
        self._send = send
        self._admission = Admission(register.standing)
        # The first head that each peer claimed since the start.
        self._claims: dict[str, int] = {}
        # One at a time sets the watermark.
        self._noting = asyncio.Lock()
        self._voting = False
        #: The highest height of a signature that this node did not make, once it votes.
        self._foreign = 0
        #: Why this node does not vote, for its status; empty if it does, or need not.
        self.reason = ""

    # What others ask.

    def answer(self, statements: Sequence[Statement]) -> Heard:
        """What this node tells the validator whose signed messages these are."""
        return Heard(
            self._position().head.height,
            tuple(encode_message(without_block(each)) for each in statements[:MAX_STATEMENTS]),
        )

    # What this node asks.

    def arrived(self, peer: str, heard: Heard) -> None:
        """A peer has answered; raises `Malformed` for what is no statement of this node."""
        head = self._position().head.height
        forgotten = 0
        for raw in heard.statements:
            message = self._own(raw)
            if message.height > max(head, forgotten) and self._signed(message):
                forgotten = message.height
        self._admission.heard(peer, Answer(heard.height, forgotten))
        if self._voting and forgotten:
            self._foreign = max(self._foreign, forgotten)

    def decided(self, certificate: Certificate) -> None:
        """A block was stored; raises `IdentityInUse` where another process has signed it."""
        height = certificate.height
        signers = {entry.node for entry in certificate.signatures}
        if self._node not in signers or self._register.committed(height):
            return
        verdict = Stop(height) if self._voting else self._admission.signed(height)
        match verdict:
            case Stop():
                raise _twin(self._node, height)
            case Distrust():
                self._register.distrust()
                self._admission.distrust()
                _log.warning("signed_above_the_watermark", height=height)

    def met(self, peer: str, height: int) -> None:
        """A peer has connected, and claims a head of this height."""
        self._claims.setdefault(peer, height)

    def lost(self, peer: str) -> None:
        """A peer is no longer connected."""
        self._admission.lost(peer)

    def _own(self, raw: bytes) -> Statement:
        message = decode_statement(raw)
        if message.node != self._node:
            raise Malformed("a message of another node, given as this node's own")
        return message

    def _signed(self, message: Statement) -> bool:
        """Whether this node has signed a message, with its key of now or of the newest block, and
        does not know of it."""
        position = self._position()
        chain = position.head.chain
        digest = statement(chain, message)
        member = position.validators.find(self._node)
        keys = {self._key.public} if member is None else {self._key.public, member.key}
        if not any(suites.verify(key, digest, message.signature) for key in keys):
            return False
        stored = self._promises(message.height).restored()
        return all(statement(chain, each) != digest for each in stored)

    def _promises(self, height: int) -> Promises:
        """The stored votes of a height; raises `StoreUnusable` where they cannot be read."""
        chain = self._position().head.chain
        try:
            return Promises(self._node, self._key, chain, height, self._store.votes(height))
        except Malformed as error:
            raise StoreUnusable(f"the stored votes are damaged: {error}") from None

    async def admitted(self) -> None:
        """Return when this node may vote.

        Raises:
            IdentityInUse: another process signs with its key.
            StoreError: what it learned cannot be noted.
        """
        if self._voting:
            return
        loop = asyncio.get_running_loop()
        known = self._admission.known
        if known.memory is not Memory.WHOLE:
            _log.warning(
                "votes_not_vouched_for",
                memory=known.memory.value,
                through=known.through,
                watermark=self._register.flaw or None,
            )
        asked = -ASK_SECONDS
        while True:
            if loop.time() - asked >= ASK_SECONDS:
                asked = loop.time()
                self._ask()
            position = self._position()
            verdict = self._admission.verdict(position.head.height, position.validators)
            match verdict:
                case Vote():
                    async with self._noting:
                        self._register.vouch(position.head.height)
                    self._voting, self.reason = True, ""
                    return
                case Stop(height):
                    raise _twin(self._node, height)
                case Abstain(through):
                    async with self._noting:
                        await asyncio.to_thread(self._register.abstain, through)
                    self._admission.abstain(through)
                    _log.warning("votes_withheld", through=through, height=position.head.height)
                case Wait(reason):
                    self.reason = reason
                    await asyncio.sleep(LOOK_SECONDS)

    @property
    def vouched(self) -> bool:
        """Whether it is known up to which height this node may have signed."""
        return self._voting or self._admission.known.memory in (Memory.WHOLE, Memory.OLDER)

    async def follows(self) -> None:
        """This node has no vote on the next height: see whether it can tell by now that nothing it
        has forgotten is above its head, and note that. Raises `StoreError`."""
        position = self._position()
        height = position.head.height
        if self.vouched or not overtaken(height, self._claims, position.validators):
            return
        async with self._noting:
            if not self.vouched:
                await asyncio.to_thread(self._register.vouch, height)
                self._admission.known = Standing(Memory.WHOLE)
                _log.info("votes_vouched_for", height=height)

    async def watch(self) -> None:
        """Look for another process with this node's key, as long as this one votes.

        Raises:
            IdentityInUse: there is one.
        """
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._foreign > self._position().head.height:
                raise _twin(self._node, self._foreign)
            self._foreign = 0
            self._ask()

    def _ask(self) -> None:
        position = self._position()
        for member in position.validators.members:
            if member.node != self._node:
                self._send(member.node, GetHeard(position.head.height))


def _twin(node: str, height: int) -> IdentityInUse:
    return IdentityInUse(
        f"another process uses the identity of {node}: others have its signature for height "
        f"{height}, and this process did not make it; stop the other one, or give it a key of its "
        "own"
    )
