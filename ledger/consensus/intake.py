"""Where the messages for one height are examined and filed.

Cheap questions come first: who sent it, is it news. A signature is verified once, and only of a
message that could change something.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.chain.block import Block
from ledger.consensus.ballots import Ballots
from ledger.consensus.candidates import Candidates
from ledger.consensus.committee import Committee, body_fits
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.messages import (
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    signed_departure,
    without_block,
)
from ledger.consensus.statements import PREPARE, Signed


class Intake:
    """Fills the ballots and the candidates of a height with what stands up to examination.

    Every method raises `PeerFault`, after which the ballots are as they were.
    """

    def __init__(self, committee: Committee, ballots: Ballots, candidates: Candidates) -> None:
        self._committee = committee
        self._ballots = ballots
        self._candidates = candidates

    def vote(self, vote: Prepare | Commit) -> bool:
        """File a vote; whether it was news."""
        if not self._ballots.has_news(vote):
            return False
        self._committee.authenticate(vote)
        self._ballots.add(vote)
        return True

    def view_change(self, change: ViewChange, *, wants_block: bool) -> bool:
        """File a VIEW-CHANGE, with the block beside it if this node could have to propose it.

        Returns whether there was news.
        """
        news = self._ballots.has_news(change)
        if news:
            self._committee.authenticate(change)
            self._committee.check_view_change(change)
            self._ballots.add(change)
        elif self._ballots.held(change) != without_block(change):
            return False
        if not wants_block or change.block is None or change.prepared is None:
            return news
        digest = change.prepared.digest
        if digest in self._candidates:
            return news
        if change.block.header.hash() != digest or not body_fits(change.block):
            raise PeerFault(change.node, Rule.WRONG_BLOCK, "the block is not the one prepared")
        self._candidates.keep(digest, change.block)
        return True

    def contradictions(self, message: ViewChange | NewView) -> Iterator[PeerFault]:
        """The faults of others that come to light by what a checked message repeats of them.

        A liar that says one thing here and another there is found out as soon as the two meet.
        """
        repeated: list[Signed] = []
        if isinstance(message, NewView):
            repeated += [
                signed_departure(message.height, message.view, left) for left in message.departures
            ]
        prepared = message.prepared
        if prepared is not None:
            repeated += [
                Signed(
                    PREPARE,
                    message.height,
                    prepared.view,
                    prepared.digest,
                    endorsement.node,
                    endorsement.signature,
                )
                for endorsement in prepared.endorsements
            ]
        for said in repeated:
            try:
                self._ballots.confront(said)
            except PeerFault as fault:
                yield fault

    def pre_prepare(self, proposal: PrePrepare) -> None:
        """File the signed statement of a proposal; what it proposes is for `proposed_block`."""
        proposer = self._committee.proposer(proposal.view)
        if proposal.node != proposer:
            detail = f"it is not the proposer of view {proposal.view}, {proposer} is"
            raise PeerFault(proposal.node, Rule.NOT_PROPOSER, detail)
        if self._ballots.held(proposal) == without_block(proposal):
            return
        self._committee.authenticate(proposal)
        if self._ballots.has_news(proposal):
            self._ballots.add(proposal)

    def proposed_block(self, message: PrePrepare | NewView) -> Block:
        """The block of a proposal whose statement has been filed, if it may stand in its view."""
        if isinstance(message, NewView):
            self._committee.check_justification(message, self._ballots.view_changes)
            return self._committee.check_proposed_block(message.pre_prepare)
        if message.view > 0:
            raise PeerFault(message.node, Rule.UNJUSTIFIED, "a new view without view changes")
        return self._committee.check_proposed_block(message)
