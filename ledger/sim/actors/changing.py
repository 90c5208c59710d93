"""Lies about the view: hidden and forged locks, views that nobody asked for, unjustified ones."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ledger.chain.block import Block
from ledger.consensus.messages import (
    MAX_VIEW,
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    departure,
)
from ledger.consensus.statements import Endorsement, PreparedCertificate, claim_of
from ledger.sim.actors.coalition import Coalition
from ledger.sim.actors.liar import Liar, Lie
from ledger.sim.actors.speech import Said
from ledger.sim.actors.voice import Voice


def forged_lock(liar: Liar, height: int, view: int, digest: bytes) -> PreparedCertificate:
    """A certificate that no quorum made: allies sign it in truth, the others' names are forged."""
    random, nodes = liar.random, list(liar.world.validators)
    quorum = len(nodes) - (len(nodes) - 1) // 3
    signers = sorted(random.sample(nodes, random.choice((quorum, quorum, len(nodes), 1))))
    return PreparedCertificate(
        view,
        digest,
        tuple(
            Endorsement(name, _endorsement(liar.coalition, name, liar, height, view, digest))
            for name in signers
        ),
    )


def _endorsement(
    coalition: Coalition, name: str, liar: Liar, height: int, view: int, digest: bytes
) -> bytes:
    if name not in coalition.names:
        return liar.random.randbytes(64)
    ally = Voice(liar.voice.chain, name, liar.world.nodes[name].key)
    return ally.prepare(height, view, digest).signature


class HideLock(Lie):
    """Leaves a view as if it had never seen a block prepared."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if isinstance(said, ViewChange) and said.prepared is not None:
            return (liar.voice.change_view(said.height, said.view, None),)
        return (said,)


class ForgeLock(Lie):
    """Leaves a view with a forged certificate that a block was prepared."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if not isinstance(said, ViewChange):
            return (said,)
        digest = liar.random.randbytes(32)
        if said.prepared is not None and liar.random.random() < 0.5:
            digest = said.prepared.digest
        lock = forged_lock(liar, said.height, said.view - 1, digest)
        return (liar.voice.change_view(said.height, said.view, lock),)


class Rush(Lie):
    """Asks for the next views all the time, a little above the present one."""

    def speak(self, liar: Liar) -> None:
        heard = liar.coalition.heard(liar.random)
        if heard is not None:
            view = min(heard.view + liar.random.randint(1, 3), MAX_VIEW)
            liar.say(liar.voice.change_view(heard.height, view, None))


class HugeView(Lie):
    """Claims views that nobody will ever see."""

    def speak(self, liar: Liar) -> None:
        heard = liar.coalition.heard(liar.random)
        if heard is None:
            return
        view = liar.random.choice((MAX_VIEW, MAX_VIEW - 1, liar.random.randint(1, MAX_VIEW)))
        digest = liar.random.randbytes(32)
        liar.say(liar.voice.change_view(heard.height, view, None))
        liar.say(liar.voice.prepare(heard.height, view, digest))
        liar.say(liar.voice.commit(heard.height, view, digest))


class Unjustified(Lie):
    """Starts a view with a block of its own choice: it passes over the prepared one, counts view
    changes that were never made, or proposes out of turn."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if not isinstance(said, NewView) or said.pre_prepare.block is None:
            return (said,)
        match liar.random.randrange(4):
            case 0:
                return (replace(said, departures=said.departures[:-1]),)
            case 1:
                forged = tuple(
                    replace(left, signature=liar.random.randbytes(64)) if number == 0 else left
                    for number, left in enumerate(said.departures)
                )
                return (replace(said, departures=forged),)
            case 2:
                twin = liar.coalition.twin(said.pre_prepare.block)
                if twin is None:
                    return (said,)
                other = liar.voice.propose(said.height, said.view, twin)
                return (replace(said, pre_prepare=other, prepared=None),)
            case _:
                own = departure(liar.voice.change_view(said.height, said.view, None))
                left = [own if one.node == liar.name else one for one in said.departures]
                return (replace(said, departures=tuple(left)),)

    def speak(self, liar: Liar) -> None:
        heard = liar.coalition.heard(liar.random)
        block = _block_of(heard)
        if heard is None or block is None:
            return
        view = heard.view + liar.random.randrange(3)
        proposal = liar.voice.propose(heard.height, view, block)
        if view == 0 or liar.random.random() < 0.3:
            liar.say(proposal)
            return
        lock = forged_lock(liar, heard.height, view - 1, proposal.digest)
        change = liar.voice.change_view(heard.height, view, lock)
        departures = tuple(
            replace(departure(change), node=name, claim=claim_of(lock))
            for name in sorted(liar.world.validators)
        )
        liar.say(NewView(proposal, departures, liar.random.choice((lock, None))))


def _block_of(heard: Message | None) -> Block | None:
    match heard:
        case PrePrepare(block=block) | ViewChange(block=block):
            return block
        case NewView(pre_prepare=proposal):
            return proposal.block
        case Prepare() | Commit() | None:
            return None
