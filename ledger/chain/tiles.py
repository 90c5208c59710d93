"""Tiles: four binary levels of the state tree, held and stored as one piece.

In memory a tile is a tuple of 32 places in heap order: place 1 is its root, place ``i`` has the
children ``2i`` and ``2i + 1``, and places 16 to 31 are its sixteen *slots*. Place 0 is its
`Version`. What stands at a place is told by its length:

====== =====================================================================================
 0     nothing below
 64    exactly one leaf below: hash of the key, then hash of the value
 32    two or more leaves below, at an inner place: the hash of the node
 37    two or more leaves below, at a slot: the hash, then the height (5 bytes, big-endian) of
       the version of the child tile that belongs to it
====== =====================================================================================

A tuple of bytes and numbers is invisible to Python's cyclic garbage collector, so many thousand
cached tiles do not slow it down.

Tiles are only ever appended, by height and path. Because a slot names the version of the child, a
tile of any height is found by an exact look-up (the layout of the Jellyfish Merkle tree). A version
is stored whole, or as the slots that changed since the last one that was: low in the tree a block
touches one slot of sixteen. The stored form is the height of the whole version to start from
(5 bytes; its own height when it is whole itself), a mask of the slots that follow (2 bytes, bit i
for slot i), their lengths (a byte each), and the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

from ledger.chain.codec import Malformed
from ledger.crypto.hashing import HASH_SIZE, ZERO_HASH

LEVELS: Final = 4
SLOTS: Final = 1 << LEVELS
HEIGHT_SIZE: Final = 5
LEAF_SIZE: Final = 2 * HASH_SIZE
CHILD_SIZE: Final = HASH_SIZE + HEIGHT_SIZE

#: The height at which a tile was written, the height of the whole version that its stored form
#: starts from, and a mask of the slots that differ from that one.
Version = tuple[int, int, int]

#: A `Version`, then 31 byte strings.
Tile = tuple[Any, ...]

#: The places of a tile without entries, ready to be filled.
EMPTY: Final[tuple[bytes, ...]] = (b"",) * (2 * SLOTS)

_WHOLE = (1 << SLOTS) - 1
_HEADER = HEIGHT_SIZE + 2
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


def climb(places: list[Any], place: int) -> None:
    """Recompute what stands above one place that changed: `join` along a single way, with less
    overhead because it is the most frequent step of all."""
    entry = places[place]
    while place > 1:
        beside = places[place ^ 1]
        if not beside and (not entry or len(entry) == LEAF_SIZE):
            pass
        elif not entry and len(beside) == LEAF_SIZE:
            entry = beside
        else:
            if len(entry) == LEAF_SIZE:
                entry = sha256(_LEAF + entry).digest()
            if len(beside) == LEAF_SIZE:
                beside = sha256(_LEAF + beside).digest()
            own, other = entry[:HASH_SIZE] or ZERO_HASH, beside[:HASH_SIZE] or ZERO_HASH
            entry = sha256(_NODE + other + own if place & 1 else _NODE + own + other).digest()
        place >>= 1
        places[place] = entry


def next_version(places: list[Any], changed: int, height: int) -> Version:
    """The version of a tile in which the slots of a mask changed, at a new height.

    With k changed slots out of n in use, starting afresh when k squared exceeds 2n writes the
    fewest bytes on average.
    """
    if places[0]:
        _, base, mask = places[0]
        mask |= changed
        used = SLOTS - places[SLOTS:].count(b"")
        if mask.bit_count() ** 2 <= 2 * used:
            return height, base, mask
    return height, height, 0


def encode_tile(places: list[Any]) -> bytes:
    """The stored form of a tile, from its 32 places."""
    height, base, mask = places[0]
    if base == height:
        slots = places[SLOTS:]
        mask = _WHOLE
    else:
        slots = [places[place] for place in _places(mask)]
    head: bytes = (base << 16 | mask).to_bytes(_HEADER, "big")
    return head + bytes(map(len, slots)) + b"".join(slots)


def decode_tile(raw: bytes, height: int, read: Callable[[int], bytes | None]) -> Tile:
    """Read a stored tile and compute its inner places.

    Args:
        raw: the stored form.
        height: that of the version.
        read: gives the stored form of the same tile at another height.

    Raises:
        Malformed: it is no tile, or the version that it starts from is missing or not whole.
    """
    base, mask = _head(raw)
    places = list(EMPTY)
    if base != height:
        whole = read(base)
        if whole is None or _head(whole) != (base, _WHOLE):
            raise Malformed(f"the whole tile of height {base} is missing")
        _fill(places, whole, _WHOLE)
        _fill(places, raw, mask)
    elif mask == _WHOLE:
        _fill(places, raw, mask)
        mask = 0
    else:
        raise Malformed("a whole tile without all of its slots")
    for place in range(SLOTS - 1, 0, -1):
        left = places[2 * place]
        right = places[2 * place + 1]
        if left or right:
            places[place] = join(left, right)
    return ((height, base, mask), *places[1:])


def _head(raw: bytes) -> tuple[int, int]:
    """The base and the mask of a stored form."""
    return int.from_bytes(raw[:HEIGHT_SIZE], "big"), int.from_bytes(raw[HEIGHT_SIZE:_HEADER], "big")


def _fill(places: list[bytes], raw: bytes, mask: int) -> None:
    """Put the slots of a stored form into their places."""
    offset = _HEADER + mask.bit_count()
    sizes = raw[_HEADER:offset]
    if not mask or not _SIZES.issuperset(sizes) or len(raw) != offset + sum(sizes):
        raise Malformed("not a tile of the state tree")
    for place, size in zip(_places(mask), sizes, strict=True):
        places[place] = raw[offset : offset + size]
        offset += size


def _places(mask: int) -> Iterable[int]:
    """The places of the slots of a mask, ascending."""
    if mask == _WHOLE:
        return range(SLOTS, 2 * SLOTS)
    found = []
    while mask:
        lowest = mask & -mask
        found.append(SLOTS - 1 + lowest.bit_length())
        mask ^= lowest
    return found


def child_height(entry: bytes) -> int:
    """The version of the child tile that a slot of 37 bytes names."""
    return int.from_bytes(entry[HASH_SIZE:], "big")
