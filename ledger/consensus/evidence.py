"""What convicts a validator, and whom it convinces.

Evidence is a list of canonical encodings, the statement or statements of the accused first:

| rule | evidence |
|---|---|
| equivocation | two `Signed` of one kind, height and view with different subjects |
| amnesia | `Signed` COMMIT, `Signed` VIEW-CHANGE to a higher view that hides it |
| unproven-prepared | `Signed` VIEW-CHANGE, the `PreparedCertificate` that it claims |
| invalid-proposal | `Signed` PRE-PREPARE, the `Header` of the block |

Honest validators can tell from each other's statements alone that these are contradictions; that
the node detects them and that a third party verifies them is one and the same function here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from ledger.chain import limits
from ledger.chain.block import Header, ValidatorSet
from ledger.chain.codec import decode, encode
from ledger.consensus.errors import Rule
from ledger.consensus.statements import (
    COMMIT,
    PRE_PREPARE,
    VIEW_CHANGE,
    Claim,
    PreparedCertificate,
    Signed,
    certificate_fault,
    claim_of,
)


class Proof(StrEnum):
    """What a third party needs to be convinced of a fault; the values are for people."""

    SIGNED = "the evidence alone"
    REPLAY = "the evidence, and executing the block"
    WITNESS = "nothing: only the peer has seen it"


#: What each accusation is worth to somebody who was not there.
PROOFS: Final[dict[Rule, Proof]] = {
    Rule.EQUIVOCATION: Proof.SIGNED,
    Rule.AMNESIA: Proof.SIGNED,
    Rule.UNPROVEN_PREPARED: Proof.SIGNED,
    Rule.INVALID_PROPOSAL: Proof.REPLAY,
    Rule.UNJUSTIFIED: Proof.WITNESS,
    Rule.NOT_PROPOSER: Proof.WITNESS,
    Rule.WRONG_BLOCK: Proof.WITNESS,
    Rule.BAD_SIGNATURE: Proof.WITNESS,
    Rule.STRANGER: Proof.WITNESS,
    Rule.IMPERSONATION: Proof.WITNESS,
}


class Unproven(ValueError):
    """Evidence that does not show what it is said to show."""


def contradiction(first: Signed, second: Signed) -> Rule | None:
    """The rule that one validator broke by signing both statements, or None."""
    if (first.node, first.height) != (second.node, second.height):
        return None
    if first.kind == second.kind:
        same = first.view != second.view or first.subject == second.subject
        return None if same else Rule.EQUIVOCATION
    for commit, change in ((first, second), (second, first)):
        if (commit.kind, change.kind) == (COMMIT, VIEW_CHANGE) and _hides(change, commit):
            return Rule.AMNESIA
    return None


def _hides(change: Signed, commit: Signed) -> bool:
    """Whether a VIEW-CHANGE claims less than its sender must have known when it committed.

    Whoever commits in a view holds a prepared certificate of that view for that block, and shows it
    or one of a later view whenever it leaves for a higher one.
    """
    if commit.view >= change.view:
        return False
    claim = change.subject
    if not isinstance(claim, Claim) or claim.view < commit.view:
        return True
    return claim.view == commit.view and claim.digest != commit.subject


def convict(
    rule: Rule, evidence: Sequence[bytes], chain: bytes, validators: ValidatorSet
) -> Signed:
    """Check evidence against the validators of its height; the first statement of the accused.

    For `Rule.INVALID_PROPOSAL` what remains is to execute the block of that header.

    Raises:
        Malformed: the evidence cannot be read.
        Unproven: it does not show that its signer broke the rule.
    """
    if PROOFS[rule] is Proof.WITNESS or len(evidence) != 2:
        raise Unproven(f"{rule} is not proven by {len(evidence)} pieces of evidence")
    said = _signed(evidence[0], chain, validators)
    if rule in (Rule.EQUIVOCATION, Rule.AMNESIA):
        if contradiction(said, _signed(evidence[1], chain, validators)) is not rule:
            raise Unproven(f"the two statements of {said.node} show no {rule}")
    elif rule is Rule.UNPROVEN_PREPARED:
        _check_unproven(said, evidence[1], chain, validators)
    else:
        header = decode(evidence[1], Header, limit=limits.MAX_RECEIPT_BYTES)
        if (said.kind, said.subject) != (PRE_PREPARE, header.hash()):
            raise Unproven(f"{said.node} did not propose that header")
    return said


def _signed(raw: bytes, chain: bytes, validators: ValidatorSet) -> Signed:
    said = decode(raw, Signed, limit=limits.MAX_RECEIPT_BYTES)
    member = validators.find(said.node)
    if member is None:
        raise Unproven(f"{said.node} had no vote at height {said.height}")
    if not said.holds(chain, member.key):
        raise Unproven(f"{said.node} did not sign that")
    return said


def _check_unproven(said: Signed, raw: bytes, chain: bytes, validators: ValidatorSet) -> None:
    prepared = decode(raw, PreparedCertificate, limit=limits.MAX_RECEIPT_BYTES)
    if said.kind != VIEW_CHANGE or said.subject != claim_of(prepared):
        raise Unproven(f"{said.node} did not claim that certificate")
    if certificate_fault(prepared, chain, said.height, validators) is None:
        raise Unproven(f"what {said.node} claims is proven by its certificate")


def evidence_of(*parts: Signed | PreparedCertificate | Header) -> tuple[bytes, ...]:
    """The encodings that `convict` reads."""
    return tuple(encode(part) for part in parts)
