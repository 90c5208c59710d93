"""The validators of one height as judges of each other's messages. Immutable but for a cache."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.chain import merkle
from ledger.chain.block import Block
from ledger.chain.rules import InvalidHeader, check_successor, proposer_of
from ledger.consensus.errors import PeerFault, ProtocolBug, Rule
from ledger.consensus.evidence import evidence_of
from ledger.consensus.inputs import HeightContext
from ledger.consensus.messages import (
    NewView,
    PrePrepare,
    Statement,
    ViewChange,
    departure,
    signed,
    signed_departure,
    statement,
)
from ledger.consensus.statements import Endorsement, PreparedCertificate, certificate_fault
from ledger.crypto import suites


class Committee:
    """Who may vote at a height, who proposes in which view, and what makes a message good."""

    def __init__(self, context: HeightContext) -> None:
        self.chain = context.chain
        self.height = context.height
        self.parent = context.parent
        self.validators = context.validators
        self.parameters = context.parameters
        self.quorum = context.validators.quorum
        self.faults = context.validators.faults
        self.nodes = tuple(member.node for member in context.validators.members)
        self._keys = {member.node: member.key for member in context.validators.members}
        self._good_endorsements: dict[tuple[int, bytes], set[Endorsement]] = {}

    def key(self, node: str) -> bytes | None:
        """The wire public key of a validator; None for a stranger."""
        return self._keys.get(node)

    def proposer(self, view: int) -> str:
        """The node id of the one validator that may propose in a view."""
        return proposer_of(self.parent, self.validators, self.parameters, self.height, view)

    def authenticate(self, message: Statement) -> None:
        """Raises `PeerFault` unless ``message.node`` signed it."""
        key = self._keys.get(message.node)
        if key is None:
            raise PeerFault(message.node, Rule.STRANGER, "it has no vote at this height")
        if not suites.verify(key, statement(self.chain, message), message.signature):
            raise PeerFault(message.node, Rule.BAD_SIGNATURE, "its signature does not fit")

    def certificate_fault(self, certificate: PreparedCertificate) -> str | None:
        """What is wrong with a prepared certificate, or None.

        A signature in a good one is verified once, so that the certificates of all the members,
        each put together from another quorum, cost no more than one signature of each.
        """
        about = certificate.view, certificate.digest
        verified = self._good_endorsements.get(about, set())
        fault = certificate_fault(certificate, self.chain, self.height, self.validators, verified)
        if fault is None:
            self._good_endorsements.setdefault(about, set()).update(certificate.endorsements)
        return fault

    def check_view_change(self, message: ViewChange) -> None:
        """Check what an authenticated VIEW-CHANGE claims; raises `PeerFault`."""
        prepared = message.prepared
        if prepared is None:
            return
        fault = self.certificate_fault(prepared)
        if fault is not None:
            evidence = evidence_of(signed(message), prepared)
            raise PeerFault(message.node, Rule.UNPROVEN_PREPARED, fault, evidence)

    def check_justification(self, message: NewView, held: Mapping[str, ViewChange]) -> None:
        """Check that a NEW-VIEW proposes what its quorum of VIEW-CHANGEs obliges it to.

        The highest claim alone decides, and it has to be proven; what is claimed lower down changes
        nothing. ``held``: view changes that are verified already.

        Raises:
            PeerFault: accusing the proposer.
        """
        fault = self._justification_fault(message, held)
        if fault is not None:
            raise PeerFault(message.node, Rule.UNJUSTIFIED, fault)

    def _justification_fault(self, message: NewView, held: Mapping[str, ViewChange]) -> str | None:
        if len(message.departures) < self.quorum:
            return "too few view changes for a new view"
        for left in message.departures:
            known = held.get(left.node)
            if known is not None and known.view == message.view and departure(known) == left:
                continue
            key = self._keys.get(left.node)
            if key is None:
                return f"it counts {left.node}, which has no vote at this height"
            if not signed_departure(message.height, message.view, left).holds(self.chain, key):
                return f"the view change of {left.node} is not good"
        claims = [left.claim for left in message.departures if left.claim is not None]
        prepared = message.prepared
        if not claims:
            fresh = prepared is None and self.is_fresh(message.pre_prepare)
            return None if fresh else "it proposes an old block nobody prepared"
        highest = max(claim.view for claim in claims)
        if prepared is None or prepared.view != highest:
            return "it does not prove what its view changes claim"
        bad = self.certificate_fault(prepared)
        if bad is not None:
            return f"its prepared certificate: {bad}"
        obliged = {claim.digest for claim in claims if claim.view == highest}
        if obliged | {prepared.digest} != {message.pre_prepare.digest}:
            return "it passes over the block that was prepared"
        return None

    def is_fresh(self, proposal: PrePrepare) -> bool:
        """Whether the block was made for the view in which it is proposed."""
        return proposal.block is not None and proposal.block.header.view == proposal.view

    def check_proposed_block(self, proposal: PrePrepare) -> Block:
        """The block of a proposal, if it obeys every rule that needs no state.

        A block handed on from an earlier view keeps that view and its proposer in its header.

        Raises:
            PeerFault: accusing the proposer of this view.
        """
        block = proposal.block
        if block is None or block.header.hash() != proposal.digest:
            raise PeerFault(proposal.node, Rule.WRONG_BLOCK, "the block is not the one it signed")
        header = block.header
        try:
            check_successor(self.parent, header, self.validators, self.parameters)
        except InvalidHeader as error:
            raise self.invalid_proposal(proposal, str(error)) from None
        if header.view > proposal.view:
            raise self.invalid_proposal(proposal, "the block is from a view yet to come")
        if not body_fits(block):
            raise PeerFault(
                proposal.node, Rule.WRONG_BLOCK, "the transactions are not the header's"
            )
        return block

    def check_own_block(self, block: Block, view: int) -> None:
        """Raises `ProtocolBug` if this node built for ``view`` what nobody may accept."""
        header = block.header
        try:
            check_successor(self.parent, header, self.validators, self.parameters)
        except InvalidHeader as error:
            raise ProtocolBug(f"this node built a block that nobody may accept: {error}") from None
        if header.view != view:
            raise ProtocolBug(f"the block built for view {view} names view {header.view}")

    def invalid_proposal(self, proposal: PrePrepare, detail: str) -> PeerFault:
        """The accusation for a signed proposal whose block breaks a rule: statement and header."""
        header = () if proposal.block is None else (proposal.block.header,)
        evidence = evidence_of(signed(proposal), *header)
        return PeerFault(proposal.node, Rule.INVALID_PROPOSAL, detail, evidence)


def body_fits(block: Block) -> bool:
    """Whether the transactions are those that the header promises.

    The signatures cover the header alone. A block whose transactions were swapped has to be turned
    away before anything is remembered under its hash.
    """
    return merkle.root(block.transactions) == block.header.transactions_root
