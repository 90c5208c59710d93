"""What nodes say to each other, as bytes. No socket, no clock.

A frame on the wire is a 4-byte big-endian length, then as many bytes of payload. The payload is one
byte that names the kind and the canonical msgpack encoding of that kind's `Record`. Every length is
held against the limit before anything of that size is allocated.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final

from msgspec import Meta

from ledger.chain import limits
from ledger.chain.codec import MAX_INT, Malformed, Record, decode, encode
from ledger.chain.evaluation import MAX_QUESTION_BYTES, MAX_REPLY_BYTES
from ledger.chain.snapshot import (
    MAX_CHUNK_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_TRACES,
    MAX_TRAIL_BYTES,
)
from ledger.chain.subtree import MAX_PATH
from ledger.crypto import hashing

HEADER_BYTES: Final = 4
#: Nothing longer is read from a peer before its `Hello`.
MAX_HELLO_BYTES: Final = limits.KIB
#: A sender splits its gossip into frames that hold at most so much.
MAX_GOSSIP_BYTES: Final = 4 * limits.MIB
#: More than well-formed transactions, with a key and a signature each, fit into that many bytes.
MAX_GOSSIP_TRANSACTIONS: Final = 32_768
MAX_BLOCKS: Final = 256
#: The statements of one validator with the prepared certificates that they show.
MAX_HEARD_BYTES: Final = 4 * limits.MIB
#: Of each kind of signed statement one at the present height and one that came early.
MAX_STATEMENTS: Final = 10

#: Through so many nodes a question finds its way from a follower to a validator.
MAX_HOPS: Final = 8

#: What compression and the other fields can add to bytes that do not compress.
_COMPRESSED: Final = 16 * limits.KIB

_HEAD: Final = struct.Struct(">IB")
_LENGTH: Final = struct.Struct(">I")

Height = Annotated[int, Meta(ge=0, le=MAX_INT)]
Digest = Annotated[bytes, Meta(min_length=hashing.HASH_SIZE, max_length=hashing.HASH_SIZE)]
NodeId = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_BYTES)]


class FrameError(Malformed):
    """Bytes that no correct peer sends.

    ``reason`` is one of the stable codes ``empty``, ``oversized``, ``unknown_kind``, ``malformed``.
    """

    def __init__(self, reason: str, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason


class Hello(Record, frozen=True, array_like=True):
    """The first frame in each direction.

    ``version``: protocol version. ``chain``: 32-byte chain id. ``node``: the sender's node id,
    which must be the one on its certificate. ``height``: of the sender's newest final block.
    """

    version: Height
    chain: Digest
    node: NodeId
    height: Height


class Consensus(Record, frozen=True, array_like=True):
    """One signed message of the consensus core, still encoded."""

    message: bytes


class Transactions(Record, frozen=True, array_like=True):
    """Raw transaction envelopes that the sender has verified and wants to see in a block."""

    envelopes: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_GOSSIP_TRANSACTIONS)]


class GetBlocks(Record, frozen=True, array_like=True):
    """Asks for ``count`` certified blocks from height ``start`` on; fewer may come back."""

    start: Height
    count: Annotated[int, Meta(ge=1, le=MAX_BLOCKS)]


class CertifiedBlock(Record, frozen=True, array_like=True):
    """An encoded `Block` and its encoded `Certificate`."""

    block: bytes
    certificate: bytes


class Blocks(Record, frozen=True, array_like=True):
    """The answer to `GetBlocks`: consecutive blocks, the first at height ``start``.

    Empty when the sender has no block at that height. ``base``: the height of the oldest block that
    it has.
    """

    start: Height
    blocks: Annotated[tuple[CertifiedBlock, ...], Meta(max_length=MAX_BLOCKS)]
    base: Height = 0


class NewHead(Record, frozen=True, array_like=True):
    """The sender has a new newest final block; ``block`` is its header's hash."""

    height: Height
    block: Digest


class Ping(Record, frozen=True, array_like=True):
    """Asks for a `Pong`; ``height`` is that of the sender's newest final block, ``time`` its clock
    in milliseconds."""

    height: Height
    time: Height


class Pong(Record, frozen=True, array_like=True):
    """Answers a `Ping`; ``height`` is that of the sender's newest final block, ``time`` its clock
    in milliseconds."""

    height: Height
    time: Height


class GetOutcome(Record, frozen=True, array_like=True):
    """Asks what the receiver computed for the block with that header hash."""

    block: Digest


class Outcome(Record, frozen=True, array_like=True):
    """The answer to `GetOutcome`: the encoded results, and the entries that change with the new
    value or none. Both are empty where the sender no longer knows; the roots of the header tell."""

    block: Digest
    results: tuple[bytes, ...]
    writes: tuple[tuple[bytes, bytes | None], ...]


class GetHeard(Record, frozen=True, array_like=True):
    """Asks for the newest consensus messages of the sender itself that the receiver holds.

    ``height``: of the sender's newest final block.
    """

    height: Height


class Heard(Record, frozen=True, array_like=True):
    """The answer to `GetHeard`: encoded statements that the receiver has signed, without blocks.

    ``height``: of the sender's newest final block.
    """

    height: Height
    statements: Annotated[tuple[bytes, ...], Meta(max_length=MAX_STATEMENTS)]


class GetManifest(Record, frozen=True, array_like=True):
    """Asks for the manifest of a snapshot of block ``height``, or of the newest where that is 0,
    with the handovers behind the first ``known``."""

    height: Height
    known: Height


class Manifest(Record, frozen=True, array_like=True):
    """The answer to `GetManifest`: the compressed manifest of `ledger.chain.snapshot`, and of which
    height it is. Empty when the sender cannot give a snapshot of that block."""

    height: Height
    known: Height
    content: bytes


class GetChunk(Record, frozen=True, array_like=True):
    """Asks for the chunk at a path of the state after block ``height``."""

    height: Height
    path: Annotated[bytes, Meta(max_length=MAX_PATH)]


class Chunk(Record, frozen=True, array_like=True):
    """The answer to `GetChunk`: the compressed chunk, or nothing when the sender has not got it."""

    height: Height
    path: Annotated[bytes, Meta(max_length=MAX_PATH)]
    content: bytes


class GetTrail(Record, frozen=True, array_like=True):
    """Asks for the trail of at most ``count`` heights that ends with ``top``."""

    top: Height
    count: Annotated[int, Meta(ge=1, le=MAX_TRACES)]


class Trail(Record, frozen=True, array_like=True):
    """The answer to `GetTrail`: the compressed trail, or nothing when the sender has not got it."""

    top: Height
    content: bytes


class Evaluate(Record, frozen=True, array_like=True):
    """A signed question of `ledger.chain.evaluation` for one holder of shares.

    ``holder``: whom it is for. ``ticket``: 16 bytes by which the answer finds back. ``hops``: how
    many more nodes may pass it on.
    """

    holder: NodeId
    ticket: Annotated[bytes, Meta(min_length=16, max_length=16)]
    hops: Annotated[int, Meta(ge=0, le=MAX_HOPS)]
    question: bytes


class Evaluated(Record, frozen=True, array_like=True):
    """The answer to `Evaluate`, on the same way back."""

    holder: NodeId
    ticket: Annotated[bytes, Meta(min_length=16, max_length=16)]
    reply: bytes


Frame = (
    Hello
    | Consensus
    | Transactions
    | GetBlocks
    | Blocks
    | NewHead
    | Ping
    | Pong
    | GetHeard
    | Heard
    | GetOutcome
    | Outcome
    | GetManifest
    | Manifest
    | GetChunk
    | Chunk
    | GetTrail
    | Trail
    | Evaluate
    | Evaluated
)

#: Kind byte → record and the largest encoding of it, in bytes without the kind byte.
KINDS: Final[dict[int, tuple[type[Frame], int]]] = {
    1: (Hello, MAX_HELLO_BYTES - 1),
    2: (Consensus, limits.MAX_FRAME_BYTES - 1),
    3: (Transactions, MAX_GOSSIP_BYTES),
    4: (GetBlocks, 64),
    5: (Blocks, limits.MAX_FRAME_BYTES - 1),
    6: (NewHead, 64),
    7: (Ping, 64),
    8: (Pong, 64),
    9: (GetHeard, 64),
    10: (Heard, MAX_HEARD_BYTES),
    11: (GetManifest, 64),
    12: (Manifest, MAX_MANIFEST_BYTES + _COMPRESSED),
    13: (GetChunk, 128),
    14: (Chunk, MAX_CHUNK_BYTES + _COMPRESSED),
    15: (GetOutcome, 64),
    16: (Outcome, limits.MAX_FRAME_BYTES - 1),
    17: (GetTrail, 64),
    18: (Trail, MAX_TRAIL_BYTES + _COMPRESSED),
    19: (Evaluate, MAX_QUESTION_BYTES + 128),
    20: (Evaluated, MAX_REPLY_BYTES + 128),
}
_NUMBERS: Final[dict[type[Frame], tuple[int, int]]] = {
    record: (number, limit) for number, (record, limit) in KINDS.items()
}


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame with its length in front.

    Raises:
        ValueError: the frame holds more than its kind allows; the sender should have split it.
    """
    number, limit = _NUMBERS[type(frame)]
    if isinstance(frame, Transactions) and not 1 <= len(frame.envelopes) <= MAX_GOSSIP_TRANSACTIONS:
        raise ValueError(f"{len(frame.envelopes)} transactions in one frame")
    if isinstance(frame, Blocks) and len(frame.blocks) > MAX_BLOCKS:
        raise ValueError(f"{len(frame.blocks)} blocks in one frame")
    body = encode(frame)
    if len(body) > limit:
        raise ValueError(f"{type(frame).__name__} of {len(body)} bytes; at most {limit} fit")
    return _HEAD.pack(1 + len(body), number) + body


def decode_frame(payload: bytes) -> Frame:
    """Read the payload of one frame, as `FrameReader` cut it out.

    Raises:
        FrameError: empty, of an unknown kind, too long for its kind, or not that kind's record.
    """
    if not payload:
        raise FrameError("empty", "a frame without payload")
    known = KINDS.get(payload[0])
    if known is None:
        raise FrameError("unknown_kind", f"no frame has the kind {payload[0]}")
    record, limit = known
    if len(payload) - 1 > limit:
        raise FrameError(
            "oversized", f"{record.__name__} of {len(payload) - 1} bytes; at most {limit} fit"
        )
    try:
        return decode(payload[1:], record, limit=limit)
    except Malformed as error:
        raise FrameError("malformed", str(error)) from None


class FrameReader:
    """Cuts a stream of bytes into payloads, however the bytes arrive.

    Each byte is copied a bounded number of times: a partial frame is collected in one growing
    buffer and looked at again only when it is complete.

    Args:
        limit: the longest payload, in bytes.
        first_limit: the longest first payload, where that is smaller.
    """

    __slots__ = ("_error", "_limit", "_limit_after", "_needed", "_partial")

    def __init__(
        self, limit: int = limits.MAX_FRAME_BYTES, *, first_limit: int | None = None
    ) -> None:
        self._limit = limit if first_limit is None else first_limit
        self._limit_after = limit
        self._partial = bytearray()
        self._needed = HEADER_BYTES
        self._error: FrameError | None = None

    @property
    def buffered(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._partial)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream, give the payloads that they complete, in order.

        Raises:
            FrameError: a length of zero or above the limit. The stream is lost for good, with the
                frames that came in the same ``data``; the same error is raised ever after.
        """
        if self._error is not None:
            raise self._error
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return []
            data = bytes(self._partial)
            self._partial.clear()
        payloads: list[bytes] = []
        position, size = 0, len(data)
        while size - position >= HEADER_BYTES:
            (length,) = _LENGTH.unpack_from(data, position)
            if not 0 < length <= self._limit:
                raise self._refuse(length)
            end = position + HEADER_BYTES + length
            if end > size:
                break
            payloads.append(data[position + HEADER_BYTES : end])
            self._limit = self._limit_after
            position = end
        self._keep(data, position)
        return payloads

    def _keep(self, data: bytes, position: int) -> None:
        rest = len(data) - position
        self._needed = HEADER_BYTES
        if rest:
            self._partial += memoryview(data)[position:]
            if rest >= HEADER_BYTES:
                self._needed += _LENGTH.unpack_from(data, position)[0]

    def _refuse(self, length: int) -> FrameError:
        self._error = (
            FrameError("oversized", f"a frame of {length} bytes where {self._limit} are allowed")
            if length
            else FrameError("empty", "a frame of length zero")
        )
        return self._error
