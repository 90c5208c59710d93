"""Snapshots out of a store, for whoever asks: of any block whose state is kept, without a file.

Every answer is bounded in size and in the work that it takes. None means that the store does not
hold it (any more, or yet), which is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.chain import tiles
from ledger.chain.codec import encode
from ledger.chain.constitution import PARAMETERS_KEY
from ledger.chain.handover import Handover, handovers
from ledger.chain.snapshot import MAX_TRACES, PIECE_BYTES, Chunk, Manifest, Trace
from ledger.chain.statetree import StateTree, read_tile
from ledger.chain.store import Store, StoreUnusable
from ledger.chain.subtree import MAX_PATH, lies_below
from ledger.chain.tiles import CHILD_SIZE, LEAF_SIZE, SLOTS, Tile
from ledger.crypto.hashing import HASH_SIZE

#: What an entry, a header or an array takes beyond its own bytes, at most.
_OVERHEAD = 16


def holds_state(store: Store, height: int) -> bool:
    """Whether a snapshot of that block can be taken from this store."""
    return max(store.base() - 1, 1) <= height <= store.height()


def manifest(store: Store, height: int, known: int) -> bytes | None:
    """The encoded manifest of a snapshot, with as many of the handovers behind the first ``known``
    as fit, but at least one of them."""
    if not holds_state(store, height):
        return None
    header, certificate = store.header(height), store.certificate(height)
    parameters = store.value(PARAMETERS_KEY, height)
    if header is None or certificate is None or parameters is None:
        return None
    every = handovers(store, height)
    page: list[Handover] = []
    size = 0
    for handover in every[known:]:
        size += len(encode(handover))
        if page and size > PIECE_BYTES:
            break
        page.append(handover)
    found = Manifest(
        header=header,
        certificate=certificate,
        peaks=store.log(height).peaks,
        parameters=parameters,
        proof=StateTree(store, cache=0).prove(PARAMETERS_KEY, height),
        total=len(every),
        first=known,
        handovers=tuple(page),
    )
    return encode(found)


def chunk(store: Store, height: int, path: bytes) -> bytes | None:
    """The encoded chunk at a path of the state after a block; None also for an empty subtree."""
    return own_chunk(store, height, path) if holds_state(store, height) else None


def own_chunk(store: Store, height: int, path: bytes) -> bytes | None:
    """The same, of any state that the store has, for the use of its own node: also of block 0."""
    entry, tile = _at(store, height, path)
    if len(entry) == LEAF_SIZE:
        return encode(Chunk((_entry(store, entry, height),), ()))
    if tile is None:
        return None
    entries: list[tuple[bytes, bytes]] = []
    size = 0
    for leaf in _leaves(store, path, tile):
        found = _entry(store, leaf, height)
        size += len(found[0]) + len(found[1]) + _OVERHEAD
        if size > PIECE_BYTES and entries:
            slots = tuple(
                slot[:HASH_SIZE] if len(slot) == CHILD_SIZE else slot for slot in tile[SLOTS:]
            )
            return encode(Chunk((), slots))
        entries.append(found)
    return encode(Chunk(tuple(entries), ()))


def subtree_hash(store: Store, height: int, path: bytes) -> bytes:
    """The hash of the subtree at a path of the state after a block; zeros where it is empty."""
    entry, tile = _at(store, height, path)
    return tiles.entry_hash(entry or (tile[1] if tile is not None else b""))


def _at(store: Store, height: int, path: bytes) -> tuple[bytes, Tile | None]:
    """What stands at a path: a single leaf, or a tile, or neither."""
    if len(path) > MAX_PATH or any(nibble >= SLOTS for nibble in path):
        return b"", None
    version = store.tree_height(height)
    for depth in range(len(path)):
        if version is None:
            return b"", None
        entry = read_tile(store, path[:depth], version)[SLOTS + path[depth]]
        if len(entry) == LEAF_SIZE:
            return (entry if lies_below(entry, path) else b""), None
        version = tiles.child_height(entry) if entry else None
    return b"", None if version is None else read_tile(store, path, version)


def trail(store: Store, top: int, count: int) -> bytes | None:
    """The encoded trail of at most ``count`` heights that ends with ``top``, ascending."""
    found: list[Trace] = []
    size = 0
    for height in range(top, max(top - min(count, MAX_TRACES), 0), -1):
        trace = store.trace(height) if height <= store.height() else None
        if trace is None:
            break
        found.append(Trace(*trace))
        size += len(encode(trace[0])) + len(trace[1]) + _OVERHEAD
        if size > PIECE_BYTES:
            break
    return encode(tuple(reversed(found))) if found else None


def _entry(store: Store, leaf: bytes, height: int) -> tuple[bytes, bytes]:
    found = store.entry(leaf[:HASH_SIZE], height)
    if found is None:
        raise StoreUnusable(f"the state of block {height} lacks an entry of its tree")
    return found


def _leaves(store: Store, path: bytes, tile: Tile) -> Iterator[bytes]:
    """The leaves below a tile, ascending."""
    for number in range(SLOTS):
        slot = tile[SLOTS + number]
        if len(slot) == LEAF_SIZE:
            yield slot
        elif slot:
            below = path + bytes([number])
            yield from _leaves(store, below, read_tile(store, below, tiles.child_height(slot)))
