"""Snapshots: the state after one block, in pieces that prove themselves, and what goes with it.

Nothing here is made ahead: a snapshot is a way to ask for what a store holds anyway, and each
answer is checked by itself against a header that a quorum certified.

- The *manifest* has that header with its certificate and the handovers that lead to it from the
  genesis, and what the state alone cannot tell: the complete subtrees of the log of headers, and
  the schedule of the parameters with its proof.
- A *chunk* is a subtree of the state: all of its entries, or, where they would be too many, the
  sixteen subtrees below it. Either gives the hash of the subtree, so an entry that is left out,
  added or changed is noticed at once, and whoever knows the hash of a subtree can fetch it from
  anybody. A subtree that did not change keeps its hash, also in a later snapshot.
- The *trail* is the headers of the blocks before with the ids of their transactions, as far back as
  a transaction could still be sent again. It hangs together by the hashes of headers.

The answers are decoded by the strict decoder and bounded. Whatever is wrong with one is an
`InvalidSnapshot` that names the rule; it is the fault of who sent it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import limits, subtree, tiles
from ledger.chain.block import Certificate, Header, check_header
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.chain.constitution import PARAMETERS_KEY, oldest_repeatable
from ledger.chain.handover import Handover, InvalidProof, Succession, Trust, check_final
from ledger.chain.merkle import Log
from ledger.chain.statetree import StateProof, verify_state_proof
from ledger.chain.tiles import LEAF_SIZE, SLOTS
from ledger.crypto import hashing
from ledger.crypto.hashing import HASH_SIZE, ZERO_HASH

#: An answer stops growing here; only a single entry or block can make it longer.
PIECE_BYTES: Final = 64 * limits.KIB
#: The longest of each kind of answer, decompressed.
MAX_MANIFEST_BYTES: Final = limits.MAX_RECEIPT_BYTES
MAX_CHUNK_BYTES: Final = limits.MAX_STATE_VALUE_BYTES + 2 * limits.KIB
MAX_TRAIL_BYTES: Final = PIECE_BYTES + limits.MAX_BLOCK_TRANSACTIONS * HASH_SIZE + 2 * limits.KIB
#: Heights of the trail in one answer.
MAX_TRACES: Final = 64


class InvalidSnapshot(ValueError):
    """A piece of a snapshot that no correct node sends.

    ``rule``: what it breaks, one of the stable names ``malformed``, ``not_final``, ``handover``,
    ``log``, ``parameters``, ``chunk``, ``trail``.
    """

    def __init__(self, rule: str, explanation: str) -> None:
        super().__init__(explanation)
        self.rule = rule


class Manifest(Record, frozen=True, array_like=True):
    """What a snapshot hangs on, or a page of it where there are many handovers.

    ``peaks``: the roots of the complete subtrees of the log over all earlier headers, largest
    first. ``parameters``: the canonical bytes of ``parameters/schedule`` after the block of
    ``header``, ``proof``: that they are. ``first``: how many handovers come before those in this
    page, ``total``: how many there are in all.
    """

    header: Header
    certificate: Certificate
    peaks: tuple[bytes, ...]
    parameters: bytes
    proof: StateProof
    total: int
    first: int
    handovers: tuple[Handover, ...]


class Chunk(Record, frozen=True, array_like=True):
    """A subtree of the state; exactly one of the two is given.

    ``entries``: all keys and values in it, ascending by the hash of the key. ``slots``: what stands
    at the root of each of the sixteen subtrees below: nothing, a leaf (64 bytes), or the hash of a
    node (32 bytes).
    """

    entries: tuple[tuple[bytes, bytes], ...]
    slots: tuple[bytes, ...]


class Trace(Record, frozen=True, array_like=True):
    """A header, and the ids of its block's transactions in order, one after the other."""

    header: Header
    ids: bytes

    def identities(self) -> list[bytes]:
        """The ids, 32 bytes each."""
        return [self.ids[at : at + HASH_SIZE] for at in range(0, len(self.ids), HASH_SIZE)]


@dataclass(frozen=True, slots=True)
class Anchor:
    """A verified manifest. ``log``: over all headers before this one. ``oldest``: the first height
    of the trail; it is above the header's where nothing can be sent again. ``handovers``: with the
    height of each."""

    header: Header
    certificate: Certificate
    log: Log
    oldest: int
    handovers: tuple[tuple[int, bytes], ...]


class Introduction:
    """Checks the pages of one manifest, in their order.

    Args:
        trust: what the genesis says.
        height: of the block that the snapshot should be of.
    """

    def __init__(self, trust: Trust, height: int) -> None:
        self._trust = trust
        self.height = height
        self._succession = Succession(trust)
        self._taken: list[tuple[int, bytes]] = []

    @property
    def known(self) -> int:
        """How many handovers are checked; the next page begins with the one after them."""
        return len(self._taken)

    def take(self, raw: bytes) -> Anchor | None:
        """Check the next page; the anchor after the last one, None before.

        Raises:
            InvalidSnapshot: the page is not good; nothing has changed.
        """
        manifest: Manifest = _decoded(raw, Manifest, MAX_MANIFEST_BYTES)
        header = manifest.header
        if header.height != self.height or manifest.first != self.known:
            raise InvalidSnapshot("malformed", "this is not the manifest that was asked for")
        if not self.known <= self.known + len(manifest.handovers) <= manifest.total:
            raise InvalidSnapshot("malformed", "the number of handovers is not the one announced")
        if self.known < manifest.total and not manifest.handovers:
            raise InvalidSnapshot("malformed", "a page without the handovers that are missing")
        succession = copy(self._succession)
        taken = []
        try:
            for handover in manifest.handovers:
                if handover.header.height >= header.height:
                    raise InvalidProof("a handover is out of order")
                succession.follow(handover)
                taken.append((handover.header.height, encode(handover)))
        except InvalidProof as fault:
            raise InvalidSnapshot("handover", str(fault)) from None
        if self.known + len(taken) < manifest.total:
            self._succession = succession
            self._taken += taken
            return None
        try:
            check_final(self._trust.chain, header, manifest.certificate, succession.validators)
        except InvalidProof as fault:
            raise InvalidSnapshot("not_final", str(fault)) from None
        log = _log(header, manifest.peaks)
        oldest = _oldest(header, manifest.parameters, manifest.proof)
        self._succession = succession
        self._taken += taken
        return Anchor(header, manifest.certificate, log, oldest, tuple(self._taken))


def _log(header: Header, peaks: tuple[bytes, ...]) -> Log:
    if len(peaks) != header.height.bit_count() or any(len(peak) != HASH_SIZE for peak in peaks):
        raise InvalidSnapshot("log", "not the complete subtrees of a log of that size")
    log = Log(header.height, peaks)
    if log.root() != header.log_root:
        raise InvalidSnapshot("log", "the log is not that of the header")
    return log


def _oldest(header: Header, parameters: bytes, proof: StateProof) -> int:
    good = len(parameters) <= limits.MAX_STATE_VALUE_BYTES and verify_state_proof(
        header.state_root, PARAMETERS_KEY, parameters, proof
    )
    if not good:
        raise InvalidSnapshot("parameters", "the parameters are not in the state")
    try:
        return oldest_repeatable({PARAMETERS_KEY: parameters}.get, header.height)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        # They are certified, so only a faulty quorum could have made them something else.
        raise InvalidSnapshot("parameters", "the parameters cannot be read") from None


def read_chunk(raw: bytes, path: bytes, expected: bytes) -> Chunk:
    """Decode the chunk at a path and check that its subtree has the ``expected`` hash.

    Raises:
        InvalidSnapshot: it is not exactly that subtree.
    """
    chunk: Chunk = _decoded(raw, Chunk, MAX_CHUNK_BYTES)
    if bool(chunk.entries) == bool(chunk.slots):
        raise InvalidSnapshot("malformed", "a chunk has either entries or slots")
    if chunk.slots:
        _check_slots(path, chunk.slots)
        entry = subtree.fold(chunk.slots)
    else:
        entry = subtree.plant(path, leaves_of(path, chunk.entries), 0)[0]
    if tiles.entry_hash(entry) != expected:
        where = path.hex()[1::2] or "the root"
        raise InvalidSnapshot("chunk", f"the subtree at {where} has another hash")
    return chunk


def leaves_of(path: bytes, entries: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The leaves of a chunk's entries; raises `InvalidSnapshot` unless they can stand there."""
    leaves = []
    last = b""
    for key, value in entries:
        if len(key) > limits.MAX_STATE_KEY_BYTES or len(value) > limits.MAX_STATE_VALUE_BYTES:
            raise InvalidSnapshot("malformed", "a key or a value is too long")
        leaf = subtree.leaf_of(key, value)
        if leaf[:HASH_SIZE] <= last or not subtree.lies_below(leaf, path):
            raise InvalidSnapshot("chunk", "entries are out of order or out of place")
        last = leaf[:HASH_SIZE]
        leaves.append(leaf)
    return leaves


def _check_slots(path: bytes, slots: tuple[bytes, ...]) -> None:
    if len(slots) != SLOTS or len(path) >= subtree.MAX_PATH:
        raise InvalidSnapshot("malformed", f"a node has {SLOTS} slots, and a leaf none")
    for number, slot in enumerate(slots):
        if len(slot) not in (0, HASH_SIZE, LEAF_SIZE) or slot == ZERO_HASH:
            raise InvalidSnapshot("malformed", "a slot is nothing, a hash or a leaf")
        if len(slot) == LEAF_SIZE and not subtree.lies_below(slot, path + bytes([number])):
            raise InvalidSnapshot("chunk", "a leaf is out of place")


def children(path: bytes, slots: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """The subtrees below a node that are not empty: path and hash of each."""
    return [
        (path + bytes([number]), tiles.entry_hash(slot))
        for number, slot in enumerate(slots)
        if slot
    ]


def read_trail(raw: bytes, top: int, chain: bytes) -> tuple[Trace, ...]:
    """Decode a piece of the trail whose newest height should be ``top``.

    That it hangs together is checked here; that its newest header is the parent of the one above,
    or the certified one itself, is for the caller to compare.

    Raises:
        InvalidSnapshot: it is not such a piece.
    """
    traces: tuple[Trace, ...] = _decoded(raw, tuple[Trace, ...], MAX_TRAIL_BYTES)
    if not 0 < len(traces) <= MAX_TRACES or traces[-1].header.height != top:
        raise InvalidSnapshot("malformed", "this is not the trail that was asked for")
    parent: Header | None = None
    for trace in traces:
        header = trace.header
        try:
            check_header(header)
        except Malformed as fault:
            raise InvalidSnapshot("malformed", str(fault)) from None
        if header.chain != chain or header.height < 1:
            raise InvalidSnapshot("trail", "a header of another chain, or of no block")
        if len(trace.ids) % HASH_SIZE or hashing.IDENTITIES(trace.ids) != header.identities:
            raise InvalidSnapshot("trail", f"the ids of block {header.height} are others")
        if parent is not None and (
            header.height != parent.height + 1 or header.parent != parent.hash()
        ):
            raise InvalidSnapshot("trail", f"block {header.height} has another parent")
        parent = header
    return traces


def _decoded(raw: bytes, kind: Any, limit: int) -> Any:
    try:
        return decode(raw, kind, limit=limit)
    except Malformed as fault:
        raise InvalidSnapshot("malformed", str(fault)) from None
