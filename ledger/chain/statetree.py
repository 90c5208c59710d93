"""The authenticated map of the state: a compact sparse Merkle tree over 256-bit key hashes.

Every entry has a place given by the bits of its key's hash, first bit at the root. A leaf is
``SHA-256(0x02 || key hash || value hash)``, a node ``SHA-256(0x03 || left || right)``, nothing is
32 zero bytes, and a subtree with one leaf *is* that leaf, however high it stands. So the root is a
function of the set of entries alone, and the tree over n entries is about log2(n) deep.

The tree lives in the store as `tiles` and keeps the ones used last in memory. Each version of a
tile stays, which is what makes every past height provable.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ledger.chain import tiles
from ledger.chain.codec import Malformed, Record
from ledger.chain.tiles import CHILD_SIZE, HEIGHT_SIZE, LEAF_SIZE, SLOTS, Tile, join
from ledger.crypto.hashing import HASH_SIZE, STATE_KEY, STATE_VALUE, ZERO_HASH

MAX_DEPTH: Final = 8 * HASH_SIZE
_NIBBLES = tuple(bytes([nibble]) for nibble in range(SLOTS))


class TileSource(Protocol):
    """Where tiles are kept; the store is one."""

    def tree_height(self, height: int | None = None) -> int | None:
        """The height of the root tile in force at a height (default: the newest), if any."""

    def tile(self, path: bytes, height: int) -> bytes | None:
        """The tile at a path (one byte per four bits) in the version of exactly that height."""


class TileMissing(Exception):
    """The store lacks a tile, or holds one that cannot be read, where the tree needs it."""


def read_tile(source: TileSource, path: bytes, version: int) -> Tile:
    """The tile at a path in one version; raises `TileMissing`."""
    raw = source.tile(path, version)
    name = path.hex()[1::2] or "root"
    if raw is None:
        raise TileMissing(f"no tile {name} of height {version}")
    try:
        return tiles.decode_tile(raw, version, lambda height: source.tile(path, height))
    except Malformed as error:
        raise TileMissing(f"tile {name} of height {version}: {error}") from None


class StateProof(Record, frozen=True, array_like=True):
    """That a key has a value, or has none, under a state root.

    ``siblings``: the hashes beside the way from the root down, empty bytes for an empty subtree.
    ``leaf``: empty, or, where another entry stands in the way of an absent key, that entry's key
    hash and value hash (64 bytes).
    """

    siblings: tuple[bytes, ...]
    leaf: bytes


def verify_state_proof(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> bool:
    """Whether a proof shows that ``key`` has ``value`` (None: is absent) under ``root``.

    Never raises for a proof of the right type; each proof has exactly one accepted form.
    """
    depth = len(proof.siblings)
    if depth > MAX_DEPTH:
        return False
    name = STATE_KEY(key)
    way = int.from_bytes(name, "big")
    if value is not None:
        if proof.leaf:
            return False
        node = tiles.entry_hash(name + STATE_VALUE(value))
    elif proof.leaf:
        other = int.from_bytes(proof.leaf[:HASH_SIZE], "big")
        if len(proof.leaf) != LEAF_SIZE or other == way or (other ^ way) >> (MAX_DEPTH - depth):
            return False
        node = tiles.entry_hash(proof.leaf)
    else:
        node = ZERO_HASH
    for level in range(depth - 1, -1, -1):
        sibling = proof.siblings[level]
        if not sibling:
            sibling = ZERO_HASH
        elif len(sibling) != HASH_SIZE or sibling == ZERO_HASH:
            return False
        if way >> (MAX_DEPTH - 1 - level) & 1:
            node = tiles.node_hash(sibling, node)
        else:
            node = tiles.node_hash(node, sibling)
    return node == root


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """What a block makes of the tree. ``tiles``: the stored form of every new tile by its path."""

    base: bytes
    root: bytes
    height: int
    tiles: dict[bytes, bytes]
    places: dict[bytes, Tile]


class StateTree:
    """The tree at the newest height of its store, with a cache of ``cache`` tiles.

    One thread at a time may call `update` and `adopt`; `prove` may be called from any thread.
    A tile takes about 1 KB in memory, a full one 2.5 KB.

    Raises:
        TileMissing: from any method, where the store does not hold what it should.
    """

    def __init__(self, store: TileSource, cache: int = 40_000) -> None:
        self._store = store
        self._limit = cache
        self._cache: OrderedDict[bytes, Tile] = OrderedDict()
        self._height = store.tree_height()
        self._root = self._root_at(self._height)

    @property
    def root(self) -> bytes:
        """The 32-byte root; zeros for an empty state."""
        return self._root

    def root_at(self, height: int) -> bytes:
        """The root after the block of that height."""
        return self._root_at(self._store.tree_height(height))

    def update(self, writes: Mapping[bytes, bytes | None], height: int) -> TreeUpdate:
        """Compute the tree after a block that writes these entries; None deletes one.

        Changes nothing: the update of a block that is not decided can simply be dropped.
        """
        changes = []
        for key, value in writes.items():
            name = STATE_KEY(key)
            changes.append((name, b"" if value is None else name + STATE_VALUE(value)))
        update = TreeUpdate(self._root, self._root, height, {}, {})
        places = self._places(b"", self._height)
        changed = self._apply(b"", places, changes, update) if changes else 0
        if not changed:
            return update
        _put(update, b"", places, changed)
        root = tiles.entry_hash(places[1])
        return TreeUpdate(self._root, root, height, update.tiles, update.places)

    def adopt(self, update: TreeUpdate) -> None:
        """Go on from an update, once the store has its tiles.

        Raises:
            ValueError: the update started from another root than the tree's.
        """
        if update.base != self._root:
            raise ValueError("the update is of another state")
        if not update.tiles:
            return
        self._root = update.root
        self._height = update.height
        for path, tile in update.places.items():
            self._remember(path, tile)

    def prove(self, key: bytes, height: int | None = None) -> StateProof:
        """The proof of what a key has, or that it has nothing, after the block of a height."""
        way = int.from_bytes(STATE_KEY(key), "big")
        siblings: list[bytes] = []
        path = b""
        version = self._store.tree_height(height)
        while version is not None:
            tile: Any = self._tile(path, version, keep=False)
            place = 1
            while place < SLOTS and len(tile[place]) == HASH_SIZE:
                bit = way >> (MAX_DEPTH - 1 - len(siblings)) & 1
                place = 2 * place + bit
                sibling = tile[place ^ 1]
                siblings.append(tiles.entry_hash(sibling) if sibling else b"")
            entry = tile[place]
            if len(entry) != CHILD_SIZE:
                own = entry[:HASH_SIZE] == way.to_bytes(HASH_SIZE, "big")
                return StateProof(tuple(siblings), b"" if own else entry)
            path += _NIBBLES[place - SLOTS]
            version = tiles.child_height(entry)
        return StateProof((), b"")

    def _root_at(self, version: int | None) -> bytes:
        if version is None:
            return ZERO_HASH
        top: Any = self._tile(b"", version, keep=False)[1]
        return tiles.entry_hash(top)

    def _tile(self, path: bytes, version: int, *, keep: bool) -> Tile:
        tile = self._cache.get(path)
        if tile is not None and tile[0][0] == version:
            return tile
        tile = read_tile(self._store, path, version)
        if keep:
            self._remember(path, tile)
        return tile

    def _places(self, path: bytes, version: int | None) -> list[Any]:
        """The places of a tile, free to be changed."""
        return list(tiles.EMPTY if version is None else self._tile(path, version, keep=True))

    def _remember(self, path: bytes, tile: Tile) -> None:
        cache = self._cache
        cache[path] = tile
        cache.move_to_end(path)
        if len(cache) > self._limit:
            cache.popitem(last=False)

    def _apply(
        self,
        path: bytes,
        places: list[Any],
        changes: list[tuple[bytes, bytes]],
        update: TreeUpdate,
    ) -> int:
        """Bring changes of (key hash, leaf or nothing) into a tile; returns a mask of the slots
        that changed."""
        byte, odd = divmod(len(path), 2)
        if len(changes) == 1:  # the usual case low in the tree, and worth a way of its own
            number = changes[0][0][byte]
            slot = number & 15 if odd else number >> 4
            place = SLOTS + slot
            entry = self._entry(path + _NIBBLES[slot], places[place], changes, update)
            if entry == places[place]:
                return 0
            places[place] = entry
            tiles.climb(places, place)
            return 1 << slot
        groups: dict[int, list[tuple[bytes, bytes]]] = {}
        for change in changes:
            slot = change[0][byte] & 15 if odd else change[0][byte] >> 4
            group = groups.get(slot)
            if group is None:
                groups[slot] = [change]
            else:
                group.append(change)
        above = set()
        changed = 0
        for slot, group in groups.items():
            place = SLOTS + slot
            entry = self._entry(path + _NIBBLES[slot], places[place], group, update)
            if entry != places[place]:
                places[place] = entry
                above.add(place >> 1)
                changed |= 1 << slot
        if not changed:
            return 0
        while 0 not in above:
            for place in above:
                places[place] = join(places[2 * place], places[2 * place + 1])
            above = {place >> 1 for place in above}
        return changed

    def _entry(
        self, path: bytes, entry: bytes, changes: list[tuple[bytes, bytes]], update: TreeUpdate
    ) -> bytes:
        """What stands in a slot after changes below it; ``path`` is that of its child tile."""
        if len(entry) == CHILD_SIZE:
            places = self._places(path, tiles.child_height(entry))
        else:
            if entry and all(name != entry[:HASH_SIZE] for name, _ in changes):
                changes = [*changes, (entry[:HASH_SIZE], entry)]
            changes = [change for change in changes if change[1]]
            if len(changes) < 2:
                return changes[0][1] if changes else b""
            places = list(tiles.EMPTY)
        changed = self._apply(path, places, changes, update)
        if not changed:
            return entry
        top: bytes = places[1]
        if len(top) != HASH_SIZE:
            return top
        _put(update, path, places, changed)
        return top + update.height.to_bytes(HEIGHT_SIZE, "big")


def _put(update: TreeUpdate, path: bytes, places: list[Any], changed: int) -> None:
    places[0] = tiles.next_version(places, changed, update.height)
    update.tiles[path] = tiles.encode_tile(places)
    update.places[path] = tuple(places)
