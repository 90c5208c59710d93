"""Blocks, their headers, and the certificates that make them final."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.chain import limits
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.crypto import hashing, suites

PROTOCOL_VERSION = 1


class Header(Record, frozen=True, array_like=True):
    """What a block says about itself; all hashes are 32 bytes.

    ``chain``: hash of the genesis. ``view``: the view in which the block was first proposed.
    ``parent``: hash of the previous header. ``proposer``: node id. ``time``: milliseconds since
    1970-01-01 UTC by the proposer's clock. ``transactions_root`` and ``results_root``: RFC 9162
    roots over the raw envelopes and the encoded results. ``identities``: `identities_hash` of the
    transactions' ids, so that ids can be handed over without bodies and be checked against headers
    alone. ``state_root``: after this block.
    ``log_root``: RFC 9162 root over the hashes of all earlier headers, from height 0 on.
    ``validators``: hash of the validator set that certifies this block.
    """

    version: int
    chain: bytes
    height: int
    view: int
    parent: bytes
    proposer: str
    time: int
    transactions_root: bytes
    identities: bytes
    results_root: bytes
    state_root: bytes
    log_root: bytes
    validators: bytes

    def hash(self) -> bytes:
        """The 32-byte hash by which the block is known and which validators certify."""
        return hashing.HEADER(encode(self))


def identities_hash(ids: Iterable[bytes]) -> bytes:
    """The hash over the 32-byte transaction ids of a block, in order, that its header names."""
    return hashing.IDENTITIES(b"".join(ids))


class Block(Record, frozen=True, array_like=True):
    """A header and the raw envelopes of its transactions, in order."""

    header: Header
    transactions: tuple[bytes, ...]


class Validator(Record, frozen=True, array_like=True):
    """One voting node: its id, the institution that answers for it, and its wire public key."""

    node: str
    institution: str
    key: bytes


class ValidatorSet(Record, frozen=True, array_like=True):
    """The validators of one height, in proposer order."""

    members: tuple[Validator, ...]

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def faults(self) -> int:
        """The largest number f of faulty validators that n = 3f+1 or more tolerate."""
        return (len(self.members) - 1) // 3

    @property
    def quorum(self) -> int:
        """How many validators must agree: n - f, which is 2f+1 for n = 3f+1."""
        return len(self.members) - self.faults

    def find(self, node: str) -> Validator | None:
        """The validator with that node id, or None."""
        return next((member for member in self.members if member.node == node), None)

    def index(self, node: str) -> int:
        """The place of a node in proposer order; raises `ValueError` for a stranger."""
        for place, member in enumerate(self.members):
            if member.node == node:
                return place
        raise ValueError(f"{node} is not a validator")

    def hash(self) -> bytes:
        return hashing.VALIDATORS(encode(self))


class CommitSignature(Record, frozen=True, array_like=True):
    """A validator's node id and its signature over `commit_digest`."""

    node: str
    signature: bytes


class Certificate(Record, frozen=True, array_like=True):
    """Commit signatures of a quorum over one header, sorted by node id.

    ``view`` is the view in which the commits were sent; it is the header's view or a later one.
    """

    height: int
    view: int
    block: bytes
    signatures: tuple[CommitSignature, ...]


class InvalidCertificate(ValueError):
    """A certificate that does not make its header final."""


def commit_digest(chain: bytes, height: int, view: int, block: bytes) -> bytes:
    """What a validator signs to commit: binds chain, height, view and header hash."""
    return hashing.MESSAGE(encode(("commit", chain, height, view, block)))


def verify_certificate(header: Header, certificate: Certificate, validators: ValidatorSet) -> None:
    """Check that ``certificate`` makes ``header`` final under the validator set of its height.

    Raises:
        InvalidCertificate: saying what is wrong.
    """
    if validators.hash() != header.validators:
        raise InvalidCertificate("the header names another validator set")
    block = header.hash()
    if certificate.height != header.height or certificate.block != block:
        raise InvalidCertificate("the certificate is for another block")
    if certificate.view < header.view:
        raise InvalidCertificate("the certificate's view is before the block's")
    nodes = [entry.node for entry in certificate.signatures]
    if nodes != sorted(set(nodes)):
        raise InvalidCertificate("signatures are not sorted by node, or one is there twice")
    if len(nodes) < validators.quorum:
        raise InvalidCertificate(
            f"{len(nodes)} signatures where a quorum of {validators.quorum} is needed"
        )
    digest = commit_digest(header.chain, header.height, certificate.view, block)
    for entry in certificate.signatures:
        member = validators.find(entry.node)
        if member is None:
            raise InvalidCertificate(f"{entry.node} is not a validator at this height")
        if not suites.verify(member.key, digest, entry.signature):
            raise InvalidCertificate(f"the signature of {entry.node} is not good")


def encode_block(block: Block) -> bytes:
    return encode(block)


def decode_block(raw: bytes) -> Block:
    """Read one block from the wire; raises `Malformed`. Says nothing about validity."""
    block = decode(raw, Block, limit=limits.MAX_BLOCK_BYTES)
    check_header(block.header)
    if len(block.transactions) > limits.MAX_BLOCK_TRANSACTIONS:
        raise Malformed(f"a block has at most {limits.MAX_BLOCK_TRANSACTIONS} transactions")
    return block


def check_header(header: Header) -> None:
    """The shape rules of a header that hold without knowing the chain; raises `Malformed`."""
    if header.version != PROTOCOL_VERSION:
        raise Malformed(f"protocol version {header.version}, this is {PROTOCOL_VERSION}")
    if header.height < 0 or header.view < 0 or header.time < 0:
        raise Malformed("a negative height, view or time")
    if not 0 < len(header.proposer) <= limits.MAX_NAME_BYTES and header.height > 0:
        raise Malformed("proposer is empty or too long")
    hashes = (
        header.chain, header.parent, header.transactions_root, header.identities,
        header.results_root, header.state_root, header.log_root, header.validators,
    )  # fmt: skip
    if any(len(item) != hashing.HASH_SIZE for item in hashes):
        raise Malformed("a hash in the header is not 32 bytes")
