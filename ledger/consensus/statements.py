"""What exactly a validator signs, and the signed statement as a third party is shown it.

Signed is never a message but a statement about it, `hashing.MESSAGE` over the canonical encoding of

    [kind, chain, height, view, subject]

so that a signature holds for one chain, one height, one view and one meaning. The subject is the
hash of the header; for a VIEW-CHANGE it is a `Claim`, or nil. Statements are small whatever they
are about: blocks and certificates travel beside them and are bound by their hashes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ledger.chain.block import ValidatorSet, commit_digest
from ledger.chain.codec import Record, encode
from ledger.crypto import hashing, suites

PRE_PREPARE: Final = "pre-prepare"
PREPARE: Final = "prepare"
COMMIT: Final = "commit"
VIEW_CHANGE: Final = "view-change"


class Endorsement(Record, frozen=True, array_like=True):
    """A validator's node id and its signature under a statement known from the context."""

    node: str
    signature: bytes


class PreparedCertificate(Record, frozen=True, array_like=True):
    """A quorum's PREPARE signatures for one block in one view, sorted by node id.

    Whoever holds it knows that no other block can be prepared in that view.
    """

    view: int
    digest: bytes
    endorsements: tuple[Endorsement, ...]


class Claim(Record, frozen=True, array_like=True):
    """What a VIEW-CHANGE says about the newest block that its sender saw prepared.

    ``certificate``: hash of the prepared certificate sent along. So the claim can be handed on
    without the certificate, and one that was not proven still convicts whoever made it.
    """

    view: int
    digest: bytes
    certificate: bytes


Subject = bytes | Claim | None


class Signed(Record, frozen=True, array_like=True):
    """One signed statement of a validator, as evidence carries it; ``kind`` is one of the four."""

    kind: str
    height: int
    view: int
    subject: Subject
    node: str
    signature: bytes

    def holds(self, chain: bytes, key: bytes) -> bool:
        """Whether the owner of the wire public ``key`` signed it for that chain."""
        signed = _statement(self.kind, chain, self.height, self.view, self.subject)
        return suites.verify(key, signed, self.signature)


def claim_of(prepared: PreparedCertificate | None) -> Claim | None:
    """The claim that goes with a prepared certificate."""
    if prepared is None:
        return None
    return Claim(prepared.view, prepared.digest, hashing.PREPARED(encode(prepared)))


def _statement(kind: str, chain: bytes, height: int, view: int, subject: Subject) -> bytes:
    return hashing.MESSAGE(encode((kind, chain, height, view, subject)))


def pre_prepare_statement(chain: bytes, height: int, view: int, digest: bytes) -> bytes:
    """What the proposer signs to propose."""
    return _statement(PRE_PREPARE, chain, height, view, digest)


def prepare_statement(chain: bytes, height: int, view: int, digest: bytes) -> bytes:
    """What a validator signs to prepare."""
    return _statement(PREPARE, chain, height, view, digest)


def commit_statement(chain: bytes, height: int, view: int, digest: bytes) -> bytes:
    """What a validator signs to commit; the signature enters the block's certificate."""
    return commit_digest(chain, height, view, digest)


def view_change_statement(chain: bytes, height: int, view: int, claim: Claim | None) -> bytes:
    """What a validator signs to leave all views below ``view``."""
    return _statement(VIEW_CHANGE, chain, height, view, claim)


def certificate_fault(
    prepared: PreparedCertificate,
    chain: bytes,
    height: int,
    validators: ValidatorSet,
    verified: Collection[Endorsement] = (),
) -> str | None:
    """What is wrong with a prepared certificate, or None.

    ``verified``: endorsements of the same block in the same view that are known to be good.
    """
    nodes = [endorsement.node for endorsement in prepared.endorsements]
    if len(set(nodes)) != len(nodes):
        return "a validator is counted twice"
    if len(nodes) < validators.quorum:
        return f"{len(nodes)} signatures where a quorum of {validators.quorum} is needed"
    keys = {member.node: member.key for member in validators.members}
    said = prepare_statement(chain, height, prepared.view, prepared.digest)
    for endorsement in prepared.endorsements:
        if endorsement in verified:
            continue
        key = keys.get(endorsement.node)
        if key is None or not suites.verify(key, said, endorsement.signature):
            return f"the signature of {endorsement.node} is not good"
    return None
