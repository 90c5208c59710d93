"""The newest vote of each validator, of each kind, at one height.

One vote of a kind per sender is kept, the one of the highest view, so that no sender can make a
node remember more than that. Nothing is lost by it: an honest validator that votes in a higher view
has left the lower ones, and what it voted for there comes up again in the view change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import Final

from ledger.chain.block import Certificate, CommitSignature
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.evidence import contradiction, evidence_of
from ledger.consensus.messages import (
    Commit,
    Prepare,
    PrePrepare,
    Statement,
    ViewChange,
    signed,
    without_block,
)
from ledger.consensus.statements import Endorsement, PreparedCertificate, Signed

_DETAILS: Final = {
    Rule.EQUIVOCATION: "two votes of one kind in one view",
    Rule.AMNESIA: "a view change that hides what it committed",
}


def _subject(vote: Statement) -> object:
    return vote.prepared if isinstance(vote, ViewChange) else vote.digest


class Ballots:
    """Votes of one height, this node's own included, and the questions asked of them."""

    def __init__(self, height: int, quorum: int) -> None:
        self._height = height
        self._quorum = quorum
        self.pre_prepares: dict[str, PrePrepare] = {}
        self.prepares: dict[str, Prepare] = {}
        self.commits: dict[str, Commit] = {}
        self.view_changes: dict[str, ViewChange] = {}

    def held(self, vote: Statement) -> Statement | None:
        """The vote of that kind that is kept for its sender."""
        match vote:
            case PrePrepare():
                return self.pre_prepares.get(vote.node)
            case Prepare():
                return self.prepares.get(vote.node)
            case Commit():
                return self.commits.get(vote.node)
            case ViewChange():
                return self.view_changes.get(vote.node)

    def of(self, node: str) -> tuple[Statement, ...]:
        """The votes that are kept for a sender."""
        kinds: tuple[Mapping[str, Statement], ...] = (
            self.pre_prepares,
            self.prepares,
            self.commits,
            self.view_changes,
        )
        return tuple(votes[node] for votes in kinds if node in votes)

    def has_news(self, vote: Statement) -> bool:
        """Whether the vote is neither older than, nor the same as, the one kept."""
        held = self.held(vote)
        if held is None or vote.view > held.view:
            return True
        return vote.view == held.view and _subject(vote) != _subject(held)

    def add(self, vote: Statement) -> None:
        """Keep a vote that `has_news` and whose signature is good.

        Raises:
            PeerFault: it contradicts what its sender signed before; the votes kept stay as they
                are.
        """
        self.confront(signed(vote))
        match vote:
            case PrePrepare():
                self.pre_prepares[vote.node] = without_block(vote)
            case Prepare():
                self.prepares[vote.node] = vote
            case Commit():
                self.commits[vote.node] = vote
            case ViewChange():
                self.view_changes[vote.node] = without_block(vote)

    def confront(self, said: Signed) -> None:
        """Hold a statement, by whatever way it came, against the votes kept of its signer.

        Its signature is good. Raises `PeerFault` if it contradicts one of them.
        """
        for held in (
            self.pre_prepares.get(said.node),
            self.prepares.get(said.node),
            self.commits.get(said.node),
            self.view_changes.get(said.node),
        ):
            if held is not None:
                known = signed(held)
                rule = contradiction(known, said)
                if rule is not None:
                    raise PeerFault(said.node, rule, _DETAILS[rule], evidence_of(known, said))

    @staticmethod
    def voters(
        votes: Mapping[str, Prepare | Commit], view: int, digest: bytes | None
    ) -> tuple[str, ...]:
        """Who voted for the block in the view, sorted."""
        return tuple(
            node
            for node, vote in sorted(votes.items())
            if (vote.view, vote.digest) == (view, digest)
        )

    def prepared(self, view: int, digest: bytes) -> PreparedCertificate | None:
        """The certificate that a quorum prepared the block in the view, once there is one."""
        votes = [
            Endorsement(node, self.prepares[node].signature)
            for node in self.voters(self.prepares, view, digest)
        ]
        return (
            PreparedCertificate(view, digest, tuple(votes)) if len(votes) >= self._quorum else None
        )

    def committed(self) -> Certificate | None:
        """The certificate that a quorum committed a block, in whatever view, once there is one."""
        if len(self.commits) < self._quorum:
            return None
        tally = Counter((vote.view, vote.digest) for vote in self.commits.values())
        (view, digest), count = tally.most_common(1)[0]
        if count < self._quorum:
            return None
        signatures = tuple(
            CommitSignature(node, self.commits[node].signature)
            for node in self.voters(self.commits, view, digest)
        )
        return Certificate(self._height, view, digest, signatures)

    def changes_to(self, view: int, blocks: Container[bytes]) -> tuple[ViewChange, ...]:
        """A quorum of VIEW-CHANGEs to exactly ``view``, sorted by node; empty if there is none.

        One that claims a prepared block which is not among ``blocks`` does not count: its proposer
        could not propose that block.
        """
        changes = [
            change
            for _, change in sorted(self.view_changes.items())
            if change.view == view and (change.prepared is None or change.prepared.digest in blocks)
        ]
        return tuple(changes[: self._quorum]) if len(changes) >= self._quorum else ()

    def supporters(self, view: int) -> int:
        """How many validators have left every view below ``view``."""
        return sum(change.view >= view for change in self.view_changes.values())

    def joinable(self, view: int, support: int) -> int | None:
        """The highest view above ``view`` that at least ``support`` validators have moved to.

        With ``support`` = f+1 at least one of them is honest: liars alone move nobody, however
        high the view that they name.
        """
        above = sorted(
            (change.view for change in self.view_changes.values() if change.view > view),
            reverse=True,
        )
        return above[support - 1] if len(above) >= support else None
