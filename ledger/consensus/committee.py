"""The validators of one height as judges of each other's messages. Immutable but for a cache."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.chain import merkle
from ledger.chain.block import Block
from ledger.chain.codec import encode
from ledger.chain.rules import InvalidHeader, check_successor, proposer_of
from ledger.consensus.errors import PeerFault, ProtocolBug, Rule
from ledger.consensus.inputs import HeightContext
from ledger.consensus.messages import (
    NewView,
    PreparedCertificate,
    PrePrepare,
    Statement,
    ViewChange,
    encode_message,
    prepare_statement,
    statement,
    without_block,
)
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
        self._good_certificates: set[PreparedCertificate] = set()

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
        """What is wrong with a prepared certificate, or None. A good one is verified once."""
        if certificate in self._good_certificates:
            return None
        nodes = [endorsement.node for endorsement in certificate.endorsements]
        if len(set(nodes)) != len(nodes):
            return "a validator is counted twice"
        if len(nodes) < self.quorum:
            return f"{len(nodes)} signatures where a quorum of {self.quorum} is needed"
        signed = prepare_statement(self.chain, self.height, certificate.view, certificate.digest)
        for endorsement in certificate.endorsements:
            key = self._keys.get(endorsement.node)
            if key is None or not suites.verify(key, signed, endorsement.signature):
                return f"the signature of {endorsement.node} is not good"
        self._good_certificates.add(certificate)
        return None

    def check_view_change(self, message: ViewChange) -> None:
        """Check what an authenticated VIEW-CHANGE claims; raises `PeerFault`."""
        prepared = message.prepared
        if prepared is None:
            return
        fault = self.certificate_fault(prepared)
        if fault is not None:
            evidence = (encode_message(without_block(message)),)
            raise PeerFault(message.node, Rule.UNPROVEN_PREPARED, fault, evidence)

    def check_justification(self, message: NewView, held: Mapping[str, ViewChange]) -> None:
        """Check that a NEW-VIEW proposes what its quorum of VIEW-CHANGEs obliges it to.

        Only the certificates of the highest view claimed are looked at: they alone decide, and a
        bad one lower down changes nothing. ``held``: view changes that are verified already.

        Raises:
            PeerFault: accusing the proposer.
        """
        proposer = message.node
        if len(message.view_changes) < self.quorum:
            raise PeerFault(proposer, Rule.UNJUSTIFIED, "too few view changes for a new view")
        for change in message.view_changes:
            if held.get(change.node) != change:
                try:
                    self.authenticate(change)
                except PeerFault as fault:
                    raise PeerFault(proposer, Rule.UNJUSTIFIED, str(fault)) from None
        highest = highest_prepared(message.view_changes)
        if highest is None:
            if self.is_fresh(message.pre_prepare):
                return
            raise PeerFault(proposer, Rule.UNJUSTIFIED, "it proposes an old block nobody prepared")
        for change in message.view_changes:
            if change.prepared is not None and change.prepared.view == highest.view:
                bad = self.certificate_fault(change.prepared)
                if bad is not None:
                    raise PeerFault(
                        proposer, Rule.UNJUSTIFIED, f"{change.node}'s certificate: {bad}"
                    )
        if message.pre_prepare.digest != highest.digest:
            raise PeerFault(
                proposer, Rule.UNJUSTIFIED, "it passes over the block that was prepared"
            )

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
        evidence = [encode_message(without_block(proposal))]
        if proposal.block is not None:
            evidence.append(encode(proposal.block.header))
        return PeerFault(proposal.node, Rule.INVALID_PROPOSAL, detail, tuple(evidence))


def body_fits(block: Block) -> bool:
    """Whether the transactions are those that the header promises.

    The signatures cover the header alone. A block whose transactions were swapped has to be turned
    away before anything is remembered under its hash.
    """
    return merkle.root(block.transactions) == block.header.transactions_root


def highest_prepared(changes: tuple[ViewChange, ...]) -> PreparedCertificate | None:
    """The prepared certificate of the highest view among the view changes, if there is any."""
    certificates = [change.prepared for change in changes if change.prepared is not None]
    return max(certificates, key=lambda certificate: certificate.view, default=None)
