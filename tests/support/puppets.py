"""One real core among puppets: the test speaks for all the other validators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from ledger.chain.block import Block
from ledger.chain.vote import Vote
from ledger.consensus.core import Core
from ledger.consensus.effects import Broadcast, Effect, Persist, Send
from ledger.consensus.inputs import (
    Begin,
    BlockBuilt,
    BlockChecked,
    HeightContext,
    Received,
    Timer,
    TimerFired,
)
from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    new_view,
)
from ledger.consensus.statements import Endorsement, PreparedCertificate
from ledger.consensus.status import Status
from tests.support import voices
from tests.support.consensus import (
    CHAIN,
    PARAMETERS,
    genesis_header,
    make_block,
    signing_key,
    validator_set,
)

E = TypeVar("E", bound=Effect)


class Puppets:
    """At height 1 of four validators n1 proposes in view 0, n2 in 1, n3 in 2, n0 in 3."""

    def __init__(self, me: str = "n0", *, size: int = 4) -> None:
        self.me = me
        self.validators = validator_set(size)
        self.parent = genesis_header(self.validators)
        self.core = Core(me, signing_key(me))

    def begin(
        self,
        votes: Iterable[Vote] = (),
        *,
        work: bool = True,
        height: int = 1,
        neglected: bool = False,
    ) -> list[Effect]:
        context = self.context(votes, work=work, height=height)
        return self.core.handle(Begin(replace(context, neglected=neglected)))

    def context(
        self, votes: Iterable[Vote] = (), *, work: bool = True, height: int = 1
    ) -> HeightContext:
        parent = self.parent
        for _ in range(height - 1):
            parent = make_block(parent, self.validators, "n1").header
        return HeightContext(CHAIN, height, parent, self.validators, PARAMETERS, tuple(votes), work)

    @property
    def status(self) -> Status:
        status = self.core.status()
        assert status is not None
        return status

    # What happens to the core

    def give(self, *messages: Message) -> list[Effect]:
        """Hand over messages, each from its own sender; all effects together."""
        return [
            effect
            for message in messages
            for effect in self.core.handle(Received(message.node, message))
        ]

    def fire(self, timer: Timer, *, view: int | None = None, height: int = 1) -> list[Effect]:
        at = self.status.view if view is None else view
        return self.core.handle(TimerFired(timer, height, at))

    def checked(
        self, block: Block, fault: str | None = None, doubt: str | None = None
    ) -> list[Effect]:
        return self.core.handle(BlockChecked(block.header.hash(), fault, doubt))

    def built(self, block: Block, view: int = 0) -> list[Effect]:
        return self.core.handle(BlockBuilt(1, view, block))

    # What the puppets say

    def block(self, proposer: str = "n1", view: int = 0, content: bytes = b"tx") -> Block:
        return make_block(self.parent, self.validators, proposer, view, (content,))

    def propose(self, block: Block, view: int = 0, node: str = "n1") -> PrePrepare:
        return voices.pre_prepare(node, 1, view, block)

    def prepare(self, node: str, block: Block, view: int = 0, height: int = 1) -> Prepare:
        return voices.prepare(node, height, view, block.header.hash())

    def commit(self, node: str, block: Block, view: int = 0) -> Commit:
        return voices.commit(node, 1, view, block.header.hash())

    def certificate(
        self, block: Block, view: int = 0, nodes: Iterable[str] = ("n0", "n1", "n2")
    ) -> PreparedCertificate:
        votes = [self.prepare(node, block, view) for node in nodes]
        endorsements = tuple(Endorsement(vote.node, vote.signature) for vote in votes)
        return PreparedCertificate(view, block.header.hash(), endorsements)

    def change(
        self,
        node: str,
        view: int = 1,
        prepared: PreparedCertificate | None = None,
        block: Block | None = None,
    ) -> ViewChange:
        return voices.view_change(node, 1, view, prepared, block)

    def new_view(self, block: Block, node: str, changes: Iterable[ViewChange]) -> NewView:
        justification = tuple(changes)
        view = justification[0].view if justification else 1
        return new_view(self.propose(block, view, node), justification)


def only(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    """The effects of one kind, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: Iterable[Effect], kind: type = object) -> list[Any]:
    """The messages of one kind that the effects send, to one or to all."""
    messages = [effect.message for effect in effects if isinstance(effect, Broadcast | Send)]
    return [message for message in messages if isinstance(message, kind)]


def votes_of(effects: Iterable[Effect]) -> list[Vote]:
    """What the effects put on the disk."""
    return [vote for effect in only(effects, Persist) for vote in effect.votes]
