"""The five messages of the protocol and their bytes.

On the wire a message is a canonical msgpack array that starts with its kind. What its sender signs
is a statement about it (`ledger.consensus.statements`); blocks and certificates are beside the
signed part, which binds them by their hashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from ledger.chain import limits
from ledger.chain.block import Block, check_header
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.consensus.statements import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    VIEW_CHANGE,
    Claim,
    PreparedCertificate,
    Signed,
    claim_of,
    commit_statement,
    pre_prepare_statement,
    prepare_statement,
    view_change_statement,
)
from ledger.crypto import hashing

MAX_VIEW: Final = 2**31 - 1
MAX_HEIGHT: Final = 2**53 - 1
MAX_SIGNATURE_BYTES: Final = 128

#: A frame with a block has room for the statements around it, one without has only those.
_STATEMENTS_BYTES: Final = 4 * limits.MIB


class PrePrepare(Record, frozen=True, array_like=True, tag="pre-prepare"):
    """The proposer of ``view`` proposes the block with that header hash.

    ``block`` is None where only the statement is kept: in votes and in evidence.
    """

    height: int
    view: int
    digest: bytes
    node: str
    signature: bytes
    block: Block | None


class Prepare(Record, frozen=True, array_like=True, tag="prepare"):
    """The sender accepted the proposal of ``view``, executed it and found every root right."""

    height: int
    view: int
    digest: bytes
    node: str
    signature: bytes


class Commit(Record, frozen=True, array_like=True, tag="commit"):
    """The sender holds a prepared certificate for the block in ``view``.

    The signature is over `ledger.chain.block.commit_digest` and enters the block's certificate.
    """

    height: int
    view: int
    digest: bytes
    node: str
    signature: bytes


class ViewChange(Record, frozen=True, array_like=True, tag="view-change"):
    """The sender has left every view below ``view``; ``prepared`` is its newest certificate.

    ``block`` is the prepared block, sent along only to the proposer of ``view``.
    """

    height: int
    view: int
    prepared: PreparedCertificate | None
    node: str
    signature: bytes
    block: Block | None


class Departure(Record, frozen=True, array_like=True):
    """A VIEW-CHANGE as a NEW-VIEW repeats it: the claim without its proof."""

    node: str
    claim: Claim | None
    signature: bytes


class NewView(Record, frozen=True, array_like=True, tag="new-view"):
    """The first proposal of a view above 0, and the quorum of VIEW-CHANGEs that justifies it.

    ``departures`` are sorted by node id. ``prepared`` proves the highest claim among them: it alone
    obliges the proposer, so the others go without their proofs and the message grows with the
    number of validators, not with its square. The envelope itself is not signed: each part is, and
    a receiver checks that the parts fit together.
    """

    pre_prepare: PrePrepare
    departures: tuple[Departure, ...]
    prepared: PreparedCertificate | None

    @property
    def height(self) -> int:
        return self.pre_prepare.height

    @property
    def view(self) -> int:
        return self.pre_prepare.view

    @property
    def node(self) -> str:
        return self.pre_prepare.node


#: What carries one signature of its sender.
Statement = PrePrepare | Prepare | Commit | ViewChange
Message = Statement | NewView

_ANY_MESSAGE: Final[Any] = Message
_ANY_STATEMENT: Final[Any] = Statement
S = TypeVar("S", bound=Statement)


def statement(chain: bytes, message: Statement) -> bytes:
    """The 32 bytes that the sender of ``message`` signed."""
    match message:
        case PrePrepare(height=height, view=view, digest=digest):
            return pre_prepare_statement(chain, height, view, digest)
        case Prepare(height=height, view=view, digest=digest):
            return prepare_statement(chain, height, view, digest)
        case Commit(height=height, view=view, digest=digest):
            return commit_statement(chain, height, view, digest)
        case ViewChange(height=height, view=view, prepared=prepared):
            return view_change_statement(chain, height, view, claim_of(prepared))


def signed(message: Statement) -> Signed:
    """The statement of a message, as evidence carries it."""
    if isinstance(message, ViewChange):
        return signed_departure(message.height, message.view, departure(message))
    kind = {PrePrepare: PRE_PREPARE, Prepare: PREPARE, Commit: COMMIT}[type(message)]
    height, view, digest = message.height, message.view, message.digest
    return Signed(kind, height, view, digest, message.node, message.signature)


def signed_departure(height: int, view: int, left: Departure) -> Signed:
    """The statement of a VIEW-CHANGE that a NEW-VIEW for ``view`` repeats."""
    return Signed(VIEW_CHANGE, height, view, left.claim, left.node, left.signature)


def departure(change: ViewChange) -> Departure:
    """A view change as a NEW-VIEW repeats it."""
    return Departure(change.node, claim_of(change.prepared), change.signature)


def new_view(pre_prepare: PrePrepare, changes: Iterable[ViewChange]) -> NewView:
    """The NEW-VIEW that these view changes, sorted by node id, justify."""
    justification = tuple(changes)
    departures = tuple(departure(change) for change in justification)
    return NewView(pre_prepare, departures, highest_prepared(justification))


def highest_prepared(changes: Iterable[ViewChange]) -> PreparedCertificate | None:
    """The prepared certificate of the highest view among the view changes, if there is any."""
    certificates = [change.prepared for change in changes if change.prepared is not None]
    return max(certificates, key=lambda certificate: certificate.view, default=None)


def without_block(message: S) -> S:
    """The signed part alone: what is stored as a vote and shown as evidence."""
    if isinstance(message, PrePrepare | ViewChange) and message.block is not None:
        return msgspec.structs.replace(message, block=None)
    return message


def with_block(change: ViewChange, block: Block) -> ViewChange:
    """The view change as its new proposer gets it."""
    return msgspec.structs.replace(change, block=block)


def encode_message(message: Message) -> bytes:
    """The bytes of a frame."""
    return encode(message)


def decode_message(raw: bytes) -> Message:
    """Read one frame from a peer; says nothing about signatures or rules.

    Raises:
        Malformed: in any way not one well-formed message of at most `limits.MAX_FRAME_BYTES`.
    """
    message: Message = decode(raw, _ANY_MESSAGE, limit=limits.MAX_FRAME_BYTES)
    block: Block | None = None
    match message:
        case PrePrepare():
            _check_statement(message)
            block = _required_block(message)
        case Prepare() | Commit():
            _check_statement(message)
        case ViewChange():
            _check_view_change(message)
            block = message.block
        case NewView():
            _check_statement(message.pre_prepare)
            block = _required_block(message.pre_prepare)
            _check_new_view(message)
    _check_size(raw, block)
    return message


def decode_statement(raw: bytes) -> Statement:
    """Read one signed statement without a block, as it is kept in votes and shown as evidence.

    Raises:
        Malformed: in any way not one, or with a block beside it.
    """
    message: Statement = decode(raw, _ANY_STATEMENT, limit=_STATEMENTS_BYTES)
    if isinstance(message, PrePrepare | ViewChange) and message.block is not None:
        raise Malformed("a statement with a block beside it")
    if isinstance(message, ViewChange):
        _check_view_change(message)
    else:
        _check_statement(message)
    return message


def _check_statement(message: Statement) -> None:
    if not 1 <= message.height <= MAX_HEIGHT:
        raise Malformed("a height out of range")
    if not 0 <= message.view <= MAX_VIEW:
        raise Malformed("a view out of range")
    _check_signer(message.node, message.signature)
    if not isinstance(message, ViewChange):
        _check_digest(message.digest)


def _check_view_change(message: ViewChange) -> None:
    _check_statement(message)
    if message.view == 0:
        raise Malformed("nobody changes to view 0")
    if message.prepared is not None:
        _check_certificate(message.prepared, message.view)
    elif message.block is not None:
        raise Malformed("a block without the certificate that it was prepared")


def _check_certificate(prepared: PreparedCertificate, view: int) -> None:
    """Check a prepared certificate that is shown on entering ``view``."""
    _check_prepared(prepared.view, prepared.digest, view)
    for endorsement in prepared.endorsements:
        _check_signer(endorsement.node, endorsement.signature)
    _check_sorted([endorsement.node for endorsement in prepared.endorsements])


def _check_prepared(prepared: int, digest: bytes, view: int) -> None:
    _check_digest(digest)
    if not 0 <= prepared < view:
        raise Malformed("a block prepared in no view before the new one")


def _check_new_view(message: NewView) -> None:
    if message.view == 0:
        raise Malformed("nobody changes to view 0")
    for left in message.departures:
        _check_signer(left.node, left.signature)
        if left.claim is not None:
            _check_prepared(left.claim.view, left.claim.digest, message.view)
            _check_digest(left.claim.certificate)
    _check_sorted([left.node for left in message.departures])
    if message.prepared is not None:
        _check_certificate(message.prepared, message.view)


def _check_sorted(nodes: list[str]) -> None:
    if len(nodes) > limits.MAX_VALIDATORS:
        raise Malformed(f"more than {limits.MAX_VALIDATORS} signatures")
    if nodes != sorted(set(nodes)):
        raise Malformed("signatures are not sorted by node, or one is there twice")


def _check_signer(node: str, signature: bytes) -> None:
    if not 0 < len(node.encode()) <= limits.MAX_NAME_BYTES:
        raise Malformed("a node id is empty or too long")
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise Malformed("a signature is too long")


def _check_digest(digest: bytes) -> None:
    if len(digest) != hashing.HASH_SIZE:
        raise Malformed("a hash is not 32 bytes")


def _required_block(message: PrePrepare) -> Block:
    if message.block is None:
        raise Malformed("a proposal without its block")
    return message.block


def _check_size(raw: bytes, block: Block | None) -> None:
    if block is None:
        if len(raw) > _STATEMENTS_BYTES:
            raise Malformed("a message without a block is too long")
        return
    check_header(block.header)
    if len(block.transactions) > limits.MAX_BLOCK_TRANSACTIONS:
        raise Malformed(f"a block has at most {limits.MAX_BLOCK_TRANSACTIONS} transactions")
    if sum(map(len, block.transactions)) > limits.MAX_BLOCK_BYTES:
        raise Malformed("a block is too long")
