"""Tiles: four binary levels of the state tree, held and stored as one piece.

In memory a tile is a tuple of 32 places in heap order: place 1 is its root, place ``i`` has the
children ``2i`` and ``2i + 1``, and places 16 to 31 are its sixteen *slots*. Place 0 is the height
at which this version of the tile was written. What stands at a place is told by its length:

====== =====================================================================================
 0     nothing below
 64    exactly one leaf below: hash of the key, then hash of the value
 32    two or more leaves below, at an inner place: the hash of the node
 37    two or more leaves below, at a slot: the hash, then the height (5 bytes, big-endian) of
       the version of the child tile that belongs to it
====== =====================================================================================

A tuple of bytes and numbers is invisible to Python's cyclic garbage collector, so many thousand
cached tiles do not slow it down. A stored tile is its sixteen slots: sixteen bytes of lengths, then
the slots one after the other. Because a slot names the version of the child, a tile of any height
is found by one exact look-up (the layout of the Jellyfish Merkle tree), and tiles are only ever
appended.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ledger.chain.codec import Malformed
from ledger.crypto.hashing import HASH_SIZE, ZERO_HASH

LEVELS: Final = 4
SLOTS: Final = 1 << LEVELS
HEIGHT_SIZE: Final = 5
LEAF_SIZE: Final = 2 * HASH_SIZE
CHILD_SIZE: Final = HASH_SIZE + HEIGHT_SIZE

Tile = tuple[bytes | int, ...]

#: The places of a tile without entries, ready to be filled.
EMPTY: Final[tuple[bytes, ...]] = (b"",) * (2 * SLOTS)

_LEAF = b"\x02"
_NODE = b"\x03"
_SIZES = frozenset((0, LEAF_SIZE, CHILD_SIZE))


def entry_hash(entry: bytes) -> bytes:
    """The hash of what stands at a place: 32 zero bytes for nothing, else of its leaf or node."""
    if len(entry) == LEAF_SIZE:
        return sha256(_LEAF + entry).digest()
    return entry[:HASH_SIZE] or ZERO_HASH


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over the hashes of its children."""
    return sha256(_NODE + left + right).digest()


def join(left: bytes, right: bytes) -> bytes:
    """What stands above two places. A leaf that is alone below a node takes the node's place."""
    if not left:
        if not right or len(right) == LEAF_SIZE:
            return right
        return sha256(_NODE + ZERO_HASH + right[:HASH_SIZE]).digest()
    if not right:
        if len(left) == LEAF_SIZE:
            return left
        return sha256(_NODE + left[:HASH_SIZE] + ZERO_HASH).digest()
    if len(left) == LEAF_SIZE:
        left = sha256(_LEAF + left).digest()
    if len(right) == LEAF_SIZE:
        right = sha256(_LEAF + right).digest()
    return sha256(_NODE + left[:HASH_SIZE] + right[:HASH_SIZE]).digest()


def encode_tile(places: list[bytes]) -> bytes:
    """The stored form of a tile, from its 32 places."""
    slots = places[SLOTS:]
    return bytes(map(len, slots)) + b"".join(slots)


def decode_tile(raw: bytes, height: int) -> Tile:
    """Read a stored tile and compute its inner places; raises `Malformed`."""
    sizes = raw[:SLOTS]
    if len(sizes) != SLOTS or not _SIZES.issuperset(sizes) or len(raw) != SLOTS + sum(sizes):
        raise Malformed("not a tile of the state tree")
    places = list(EMPTY)
    offset = SLOTS
    for slot, size in enumerate(sizes, SLOTS):
        if size:
            places[slot] = raw[offset : offset + size]
            offset += size
    for place in range(SLOTS - 1, 0, -1):
        left = places[2 * place]
        right = places[2 * place + 1]
        if left or right:
            places[place] = join(left, right)
    return (height, *places[1:])


def child_height(entry: bytes) -> int:
    """The version of the child tile that a slot of 37 bytes names."""
    return int.from_bytes(entry[HASH_SIZE:], "big")
