"""The five messages of the protocol: their bytes, and what exactly is signed.

On the wire a message is a canonical msgpack array that starts with its kind. Signed is never the
message but a statement about it, `hashing.MESSAGE` over the canonical encoding of

    (kind, chain, height, view, subject)

so that a signature holds for one chain, one height, one view and one meaning. The subject is the
hash of the header, or for a VIEW-CHANGE the prepared certificate. Blocks travel beside the signed
part: their hash is what is signed, so statements stay small wherever they are stored or forwarded.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from ledger.chain import limits
from ledger.chain.block import Block, check_header, commit_digest
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.crypto import hashing

MAX_VIEW: Final = 2**31 - 1
MAX_HEIGHT: Final = 2**53 - 1
MAX_SIGNATURE_BYTES: Final = 128

#: A frame with a block has room for the statements around it, one without has only those.
_STATEMENTS_BYTES: Final = 4 * limits.MIB


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


class NewView(Record, frozen=True, array_like=True, tag="new-view"):
    """The first proposal of a view above 0, and the quorum of VIEW-CHANGEs that justifies it.

    The view changes are sorted by node id and carry no blocks. The envelope itself is not signed:
    each part is, and a receiver checks that the parts fit together.
    """

    pre_prepare: PrePrepare
    view_changes: tuple[ViewChange, ...]

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
S = TypeVar("S", bound=Statement)


def pre_prepare_statement(chain: bytes, height: int, view: int, digest: bytes) -> bytes:
    """What the proposer signs to propose."""
    return hashing.MESSAGE(encode(("pre-prepare", chain, height, view, digest)))


def prepare_statement(chain: bytes, height: int, view: int, digest: bytes) -> bytes:
    """What a validator signs to prepare."""
    return hashing.MESSAGE(encode(("prepare", chain, height, view, digest)))


def view_change_statement(
    chain: bytes, height: int, view: int, prepared: PreparedCertificate | None
) -> bytes:
    """What a validator signs to leave all views below ``view``."""
    return hashing.MESSAGE(encode(("view-change", chain, height, view, prepared)))


def statement(chain: bytes, message: Statement) -> bytes:
    """The 32 bytes that the sender of ``message`` signed."""
    match message:
        case PrePrepare(height=height, view=view, digest=digest):
            return pre_prepare_statement(chain, height, view, digest)
        case Prepare(height=height, view=view, digest=digest):
            return prepare_statement(chain, height, view, digest)
        case Commit(height=height, view=view, digest=digest):
            return commit_digest(chain, height, view, digest)
        case ViewChange(height=height, view=view, prepared=prepared):
            return view_change_statement(chain, height, view, prepared)


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
    prepared = message.prepared
    if prepared is None:
        if message.block is not None:
            raise Malformed("a block without the certificate that it was prepared")
        return
    _check_digest(prepared.digest)
    if not 0 <= prepared.view < message.view:
        raise Malformed("a block prepared in no view before the new one")
    for endorsement in prepared.endorsements:
        _check_signer(endorsement.node, endorsement.signature)
    _check_sorted([endorsement.node for endorsement in prepared.endorsements])


def _check_new_view(message: NewView) -> None:
    for view_change in message.view_changes:
        _check_view_change(view_change)
        if view_change.block is not None:
            raise Malformed("a view change inside a new view carries no block")
        if view_change.height != message.height or view_change.view != message.view:
            raise Malformed("a view change for another view than the new one")
    _check_sorted([view_change.node for view_change in message.view_changes])


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
        raise Malformed("a header hash is not 32 bytes")


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
