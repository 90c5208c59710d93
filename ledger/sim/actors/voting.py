"""Lies in the phases of a vote: two stories, silence, and votes for what nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ledger.consensus.messages import (
    Commit,
    NewView,
    Prepare,
    PrePrepare,
)
from ledger.sim.actors.liar import Liar, Lie
from ledger.sim.actors.speech import MESSAGES, Said, proposal_of


def reproposed(liar: Liar, said: PrePrepare | NewView, twin: PrePrepare) -> PrePrepare | NewView:
    """A proposal with another block in it."""
    return replace(said, pre_prepare=twin) if isinstance(said, NewView) else twin


class Equivocate(Lie):
    """Two valid blocks in one view, each with the votes for it: one half hears of one, the other of
    the other. Allies vote along."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        proposal = proposal_of(said)
        if proposal is not None and proposal.block is not None:
            twin = liar.coalition.twin(proposal.block)
            if twin is None or not liar.coalition.is_deceived(peer):
                return (said,)
            other = liar.voice.propose(proposal.height, proposal.view, twin)
            assert isinstance(said, PrePrepare | NewView)
            return (reproposed(liar, said, other),)
        if isinstance(said, Prepare | Commit) and liar.coalition.is_deceived(peer):
            digest = liar.coalition.twin_of(said.digest)
            if digest is not None:
                sign = liar.voice.prepare if isinstance(said, Prepare) else liar.voice.commit
                return (sign(said.height, said.view, digest),)
        return (said,)

    def speak(self, liar: Liar) -> None:
        """Vote for both blocks of an ally, to each side for its own."""
        heard = liar.coalition.heard(liar.random)
        if not isinstance(heard, Prepare | Commit) or heard.node in liar.coalition.names:
            return
        for peer in liar.validators:
            if liar.coalition.is_deceived(peer) == liar.coalition.is_deceived(heard.node):
                liar.say(liar.voice.prepare(heard.height, heard.view, heard.digest), peer)
                liar.say(liar.voice.commit(heard.height, heard.view, heard.digest), peer)


class DoubleVote(Lie):
    """Two different votes in one phase, both to everybody: what a third party can prove."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        other = bytes(byte ^ 0xFF for byte in getattr(said, "digest", b""))
        match said:
            case Prepare(height=height, view=view):
                return said, liar.voice.prepare(height, view, other)
            case Commit(height=height, view=view):
                return said, liar.voice.commit(height, view, other)
            case PrePrepare(height=height, view=view, block=block) if block is not None:
                twin = liar.coalition.twin(block)
                return (said,) if twin is None else (said, liar.voice.propose(height, view, twin))
        return (said,)


class BadSignature(Lie):
    """Votes as an honest validator does, with signatures that are none."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if isinstance(said, Prepare | Commit):
            return (replace(said, signature=liar.random.randbytes(64)),)
        return (said,)


class Withhold(Lie):
    """Says nothing of some kinds in the consensus; without kinds: nothing at all."""

    def __init__(self, *kinds: type[Said]) -> None:
        self._kinds = kinds or MESSAGES

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        return () if isinstance(said, self._kinds) else (said,)


class TellSome(Lie):
    """Speaks only to some; whom, changes from height to height."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if not isinstance(said, MESSAGES):
            return (said,)
        place = liar.validators.index(peer) if peer in liar.validators else 0
        return (said,) if (place + said.height) % 2 else ()


class VoteForAnything(Lie):
    """Prepares and commits whatever it has heard of, without having looked at it."""

    def speak(self, liar: Liar) -> None:
        heard = liar.coalition.heard(liar.random)
        if isinstance(heard, Prepare | Commit | PrePrepare):
            height, view, digest = heard.height, heard.view, heard.digest
            liar.say(liar.voice.prepare(height, view, digest))
            liar.say(liar.voice.commit(height, view, digest))


class VoteInOtherViews(Lie):
    """Votes for a block that it has heard of in views where nobody proposed it."""

    def speak(self, liar: Liar) -> None:
        heard = liar.coalition.heard(liar.random)
        if not isinstance(heard, Prepare | Commit | PrePrepare):
            return
        view = max(0, heard.view + liar.random.choice((-2, -1, 1, 2, 3)))
        digest = liar.random.choice((heard.digest, liar.random.randbytes(32)))
        liar.say(liar.voice.prepare(heard.height, view, digest))
        liar.say(liar.voice.commit(heard.height, view, digest))
