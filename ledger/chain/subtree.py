"""Parts of the state tree, built from their entries instead of by a sequence of updates.

A *path* names a subtree: one byte for every four bits that the hashes of all its keys begin with.
What a subtree amounts to is its *entry*, in the notation of `ledger.chain.tiles`: nothing, one leaf
of 64 bytes, or the hash of a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.chain import tiles
from ledger.chain.tiles import HEIGHT_SIZE, LEVELS, SLOTS, join
from ledger.crypto.hashing import HASH_SIZE, STATE_KEY, STATE_VALUE

#: As long as a path can be: all bits of a key's hash.
MAX_PATH: Final = 8 * HASH_SIZE // LEVELS

_NIBBLES = tuple(bytes([nibble]) for nibble in range(SLOTS))

#: Tiles in their stored form, by path.
TileMap = dict[bytes, bytes]


def leaf_of(key: bytes, value: bytes) -> bytes:
    """The leaf of an entry: hash of the key, then hash of the value."""
    return STATE_KEY(key) + STATE_VALUE(value)


def lies_below(name: bytes, path: bytes) -> bool:
    """Whether a key with the hash ``name`` belongs to the subtree at ``path``."""
    return name.hex().startswith(path.hex()[1::2])


def plant(path: bytes, leaves: Sequence[bytes], height: int) -> tuple[bytes, TileMap]:
    """The subtree at a path over all of its leaves.

    Args:
        path: where it stands.
        leaves: 64 bytes each, ascending, none twice, all of them below the path.
        height: that of the block at which the tiles are written.

    Returns:
        What stands in the slot of the tile above (64 bytes for a single leaf, 37 for a child tile,
        none for no leaves), and the tiles below. The whole tree, at the empty path, always has a
        tile.
    """
    made: TileMap = {}
    entry = _plant(path, leaves, height, made)
    if leaves and not path and not made:
        slots = [b""] * SLOTS
        slots[leaves[0][0] >> 4] = leaves[0]
        return graft(path, slots, height)
    return entry, made


def _plant(path: bytes, leaves: Sequence[bytes], height: int, made: TileMap) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else b""
    byte, odd = divmod(len(path), 2)
    groups: list[list[bytes]] = [[] for _ in range(SLOTS)]
    for leaf in leaves:
        groups[leaf[byte] & 15 if odd else leaf[byte] >> 4].append(leaf)
    slots = [
        _plant(path + nibble, group, height, made)
        for nibble, group in zip(_NIBBLES, groups, strict=True)
    ]
    entry, tile = graft(path, slots, height)
    made.update(tile)
    return entry


def graft(path: bytes, slots: Sequence[bytes], height: int) -> tuple[bytes, TileMap]:
    """A subtree whose sixteen child subtrees are there already; returns what `plant` does, with
    the one tile at the path. ``slots``: what `plant` or `graft` gave for each of them."""
    entry = fold(slots)
    if len(entry) != HASH_SIZE and path:
        return entry, {}
    places: list[Any] = [(height, height, 0), *[b""] * (SLOTS - 1), *slots]
    tile = tiles.encode_tile(places)
    if len(entry) == HASH_SIZE:
        entry += height.to_bytes(HEIGHT_SIZE, "big")
    return entry, {path: tile}


def fold(slots: Sequence[bytes]) -> bytes:
    """What stands above sixteen slots, each in any of the forms of `ledger.chain.tiles`."""
    row = list(slots)
    while len(row) > 1:
        row = [join(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]
