"""Tiles in memory, and trees grown on them."""

from collections.abc import Mapping

from ledger.chain.statetree import StateTree, TreeUpdate


class Tiles:
    """What a store keeps of the tree."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, bytes], bytes] = {}
        self.roots: list[int | None] = []

    def tree_height(self, height: int | None = None) -> int | None:
        known = self.roots if height is None else self.roots[: height + 1]
        return known[-1] if known else None

    def tile(self, path: bytes, height: int) -> bytes | None:
        return self.tiles.get((height, path))

    def put(self, update: TreeUpdate) -> None:
        for path, tile in update.tiles.items():
            self.tiles[update.height, path] = tile
        before = self.roots[-1] if self.roots else None
        self.roots.append(update.height if update.tiles else before)


def grow(store: Tiles, writes: Mapping[bytes, bytes | None]) -> StateTree:
    """The tree after one more block with these writes."""
    tree = StateTree(store)
    update = tree.update(writes, len(store.roots))
    store.put(update)
    tree.adopt(update)
    return tree
