"""The Merkle tree of RFC 9162 (section 2.1) with SHA-256, over any sequence of byte strings.

A leaf is hashed as ``SHA-256(0x00 || data)``, a node as ``SHA-256(0x01 || left || right)``, and the
root of the empty tree is ``SHA-256("")``. *Leaf data* and *leaf hashes* are both bytes: every
function here says which of the two it takes. Nothing recurses and nothing needs more than the
hashes on a path, so a tree of a hundred million leaves can be proved from stored nodes.

A *node* ``(level, place)`` is the root of the complete subtree over the leaves
``place << level`` to ``(place + 1) << level``; it never changes once its leaves are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from ledger.crypto.hashing import HASH_SIZE

EMPTY_ROOT: Final = sha256(b"").digest()

#: Reads the hash of the complete node at ``(level, place)``.
ReadNode = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over the hashes of its two children."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf data."""
    return root_of_hashes([sha256(b"\x00" + data).digest() for data in leaves])


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    return _levels(hashes)[-1][0] if hashes else EMPTY_ROOT


def _levels(hashes: Sequence[bytes]) -> list[Sequence[bytes]]:
    """All rows of the tree, leaves first. The last entry of a row may be an incomplete subtree.

    Pairing from the left and carrying an odd last hash up unchanged gives the tree of the RFC,
    whose left subtree is always the largest complete one.
    """
    rows = [hashes]
    while len(hashes) > 1:
        pairs = iter(hashes)
        row = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=False)
        ]
        if len(hashes) % 2:
            row.append(hashes[-1])
        rows.append(row)
        hashes = row
    return rows


def _fold_right(hashes: Sequence[bytes]) -> bytes:
    """Join the roots of adjoining complete subtrees of falling size."""
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = sha256(b"\x01" + left + result).digest()
    return result


def _range_root(read: ReadNode, start: int, stop: int) -> bytes:
    """The root over the leaves from ``start`` to ``stop``, a range that the RFC's splits yield."""
    parts = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        parts.append(read(level, start >> level))
        start += 1 << level
    return _fold_right(parts)


def _split(size: int) -> int:
    """The largest power of two below ``size``, for a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_path_from(read: ReadNode, index: int, size: int) -> tuple[bytes, ...]:
    """The inclusion path of a leaf, leaf to root, from stored nodes (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise IndexError(f"no leaf {index} in a tree of {size}")
    path = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(_range_root(read, middle, stop))
            stop = middle
        else:
            path.append(_range_root(read, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_path_from(read: ReadNode, first: int, size: int) -> tuple[bytes, ...]:
    """The proof that a tree of ``size`` begins with that of ``first`` leaves (RFC 9162, 2.1.4.1).

    Empty where ``first`` is 0 or ``size``: there is nothing to prove beyond equality.
    """
    if not 0 <= first <= size:
        raise IndexError(f"a tree of {size} has no first {first} leaves")
    if first == 0:
        return ()
    path = []
    start, stop = 0, size
    while first < stop:
        middle = start + _split(stop - start)
        if first <= middle:
            path.append(_range_root(read, middle, stop))
            stop = middle
        else:
            path.append(_range_root(read, start, middle))
            start = middle
    if start > 0:
        path.append(_range_root(read, start, stop))
    return tuple(reversed(path))


def inclusion_path(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The inclusion path of leaf ``index`` in the tree over these leaf hashes."""
    rows = _levels(hashes)
    return inclusion_path_from(lambda level, place: rows[level][place], index, len(hashes))


def consistency_path(hashes: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """The proof that the tree over these leaf hashes begins with that over the first ones."""
    rows = _levels(hashes)
    return consistency_path_from(lambda level, place: rows[level][place], first, len(hashes))


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion path leads to from a leaf *hash* (RFC 9162, 2.1.3.2).

    None where the path cannot belong to that place in a tree of that size, or holds anything that
    is not a hash. The caller compares the root with one that it trusts.
    """
    if not 0 <= index < size or any(len(entry) != HASH_SIZE for entry in path):
        return None
    result = leaf
    last = size - 1
    for entry in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            result = node_hash(entry, result)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            result = node_hash(result, entry)
        index >>= 1
        last >>= 1
    return result if last == 0 else None


def inclusion_sides(index: int, size: int) -> int:
    """On which side the entries of an inclusion path stand: bit i is set where entry i is left.

    The sides say of a leaf's place all that a root says: a root binds neither index nor size, for
    the last leaf of a tree of 2 and that of a tree of 3 can be proved by the same path.
    """
    if not 0 <= index < size:
        raise IndexError(f"no leaf {index} in a tree of {size}")
    sides = entries = 0
    last = size - 1
    while last:
        if index & 1:
            sides |= 1 << entries
        if index & 1 or index != last:
            entries += 1
        index >>= 1
        last >>= 1
    return sides


def root_from_sides(leaf: bytes, sides: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to from a leaf *hash*, given the sides of its entries.

    None where the sides do not fit the path, or the path holds anything that is not a hash.
    """
    if not 0 <= sides < 1 << len(path) or any(len(entry) != HASH_SIZE for entry in path):
        return None
    result = leaf
    for level, entry in enumerate(path):
        result = node_hash(entry, result) if sides >> level & 1 else node_hash(result, entry)
    return result


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether a path proves that the second tree begins with the first (RFC 9162, 2.1.4.2)."""
    if not 0 <= first <= second or any(len(entry) != HASH_SIZE for entry in path):
        return False
    if first == 0:
        return first_root == EMPTY_ROOT and not path
    if first == second:
        return first_root == second_root and not path
    if not path:
        return False
    entries = iter(path)
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    # The first tree is itself a node of the second where its size is a power of two: node is 0.
    old = new = first_root if node == 0 else next(entries)
    for entry in entries:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(entry, old)
            new = node_hash(entry, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, entry)
        node >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


class Log:
    """A growing tree of which only the roots of its complete subtrees are kept, largest first."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)
        if len(self._peaks) != size.bit_count():
            raise ValueError(f"a log of {size} has {size.bit_count()} complete subtrees")

    @classmethod
    def load(cls, read: ReadNode, size: int) -> Log:
        """The log of the first ``size`` leaves, from stored nodes."""
        return cls(
            size,
            [
                read(level, size >> (level + 1) << 1)
                for level in reversed(range(size.bit_length()))
                if size >> level & 1
            ],
        )

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees, largest first."""
        return tuple(self._peaks)

    def nodes(self) -> list[tuple[int, int, bytes]]:
        """The complete subtrees as (level, place, hash): all that has to be kept to go on."""
        levels = [
            level for level in reversed(range(self.size.bit_length())) if self.size >> level & 1
        ]
        return [
            (level, self.size >> (level + 1) << 1, peak)
            for level, peak in zip(levels, self._peaks, strict=True)
        ]

    def append(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf of *data*; returns the nodes now complete as (level, place, hash)."""
        result = leaf_hash(data)
        level, place = 0, self.size
        added = [(level, place, result)]
        while place & 1:
            result = node_hash(self._peaks.pop(), result)
            level += 1
            place >>= 1
            added.append((level, place, result))
        self._peaks.append(result)
        self.size += 1
        return added

    def root(self) -> bytes:
        """The RFC 9162 root over all leaves so far."""
        return _fold_right(self._peaks) if self._peaks else EMPTY_ROOT

    def copy(self) -> Log:
        """A log that grows independently of this one."""
        return Log(self.size, self._peaks)
