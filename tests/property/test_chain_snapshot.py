"""Snapshots of random states: whole in any order, and nothing is taken of a piece that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain import snapshot, subtree, supplier, tiles
from ledger.chain.codec import encode
from ledger.chain.snapshot import Chunk, InvalidSnapshot, read_chunk, read_trail
from ledger.chain.statetree import StateTree
from ledger.crypto.hashing import STATE_KEY
from tests.support.tiles import Tiles, grow

keys = st.integers(0, 400).map(lambda number: b"m/%d" % number)
states = st.dictionaries(keys, st.binary(max_size=12), min_size=1, max_size=120)
histories = st.lists(
    st.dictionaries(keys, st.none() | st.binary(max_size=12), max_size=60), max_size=4
)


class Entries(Tiles):
    """As much of a store as a supplier of chunks asks for."""

    def __init__(self, states: list[dict[bytes, bytes | None]]) -> None:
        super().__init__()
        self.past: list[dict[bytes, bytes]] = []
        self.tree = StateTree(self)
        now: dict[bytes, bytes] = {}
        for writes in states:
            self.tree = grow(self, writes)
            for key, value in writes.items():
                if value is None:
                    now.pop(key, None)
                else:
                    now[key] = value
            self.past.append(dict(now))

    def base(self) -> int:
        return 0

    def height(self) -> int:
        return len(self.roots) - 1

    def entry(self, name: bytes, height: int) -> tuple[bytes, bytes] | None:
        found = {STATE_KEY(key): (key, value) for key, value in self.past[height].items()}
        return found.get(name)


@contextmanager
def small_pieces(size: int) -> Iterator[None]:
    with mock.patch.object(supplier, "PIECE_BYTES", size):
        yield


def all_chunks(
    store: Entries, height: int, choose: object = None
) -> dict[bytes, tuple[bytes, bytes]]:
    """Path → hash and bytes of every chunk of a state, fetched in the order that is chosen."""
    found: dict[bytes, tuple[bytes, bytes]] = {}
    wanted = [(b"", store.tree.root_at(height))]
    while wanted:
        place = choose(len(wanted)) if callable(choose) else 0
        path, expected = wanted.pop(place)
        raw = supplier.chunk(store, height, path)  # type: ignore[arg-type]
        assert raw is not None
        found[path] = (expected, raw)
        wanted += snapshot.children(path, read_chunk(raw, path, expected).slots)
    return found


def planted(chunks: dict[bytes, tuple[bytes, bytes]], height: int) -> Tiles:
    """The tiles that come of chunks."""
    made = Tiles()

    def place(path: bytes) -> bytes:
        expected, raw = chunks[path]
        chunk = read_chunk(raw, path, expected)
        if chunk.entries:
            entry, new = subtree.plant(path, snapshot.leaves_of(path, chunk.entries), height)
        else:
            slots = [b""] * tiles.SLOTS
            for child, _hash in snapshot.children(path, chunk.slots):
                slots[child[-1]] = place(child)
            entry, new = subtree.graft(path, slots, height)
        for name, tile in new.items():
            made.tiles[height, name] = tile
        return entry

    place(b"")
    made.roots = [height] * (height + 1)
    return made


@given(states, histories, st.integers(40, 600), st.data())
@settings(deadline=None)
def test_a_state_comes_through_whole_in_any_order(first, history, size, data):
    store = Entries([dict(first), *history])
    height = data.draw(st.integers(1, store.height())) if store.height() else 0
    if not store.past[height] or not height:
        return
    with small_pieces(size):
        chunks = all_chunks(
            store, height, lambda count: data.draw(st.integers(0, count - 1), label="next")
        )
    entries = {}
    for path, (expected, raw) in chunks.items():
        chunk = read_chunk(raw, path, expected)
        assert not entries.keys() & dict(chunk.entries).keys()
        entries.update(chunk.entries)
    assert entries == store.past[height]
    tree = StateTree(planted(chunks, height))
    assert tree.root == store.tree.root_at(height)
    # The tree that was planted goes on like the one that grew.
    writes = {key: b"new" if place % 2 else None for place, key in enumerate(list(entries)[:9])}
    kept = grow(Tiles(), entries)
    assert tree.update(writes, height + 1).root == kept.update(writes, height + 1).root


@given(states, st.integers(40, 300), st.data())
@settings(deadline=None)
def test_a_chunk_with_one_entry_changed_missing_or_added_is_refused(state, size, data):
    store = Entries([{}, dict(state)])
    with small_pieces(size):
        chunks = all_chunks(store, 1)
    path = data.draw(st.sampled_from(sorted(chunks)))
    expected, raw = chunks[path]
    chunk = read_chunk(raw, path, expected)
    entries, slots = list(chunk.entries), list(chunk.slots)
    if entries:
        at = data.draw(st.integers(0, len(entries) - 1))
        key, value = entries[at]
        other = data.draw(st.sampled_from(("change", "rename", "remove", "add")))
        if other == "change":
            entries[at] = (key, value + b"x")
        elif other == "rename":
            entries[at] = (key + b"x", value)
        elif other == "remove":
            del entries[at]
        else:
            entries.insert(at, (key + b"x", value))
    else:
        at = data.draw(st.integers(0, 15))
        replacement = st.sampled_from([b"", b"\x01" * 32, b"\x01" * 64, *slots])
        slots[at] = data.draw(replacement.filter(lambda slot: slot != slots[at]))
    with pytest.raises(InvalidSnapshot):
        read_chunk(encode(Chunk(tuple(entries), tuple(slots))), path, expected)


@given(states, st.data())
@settings(deadline=None)
def test_a_chunk_with_one_bit_changed_is_refused(state, data):
    store = Entries([{}, dict(state)])
    with small_pieces(300):
        chunks = all_chunks(store, 1)
    path = data.draw(st.sampled_from(sorted(chunks)))
    expected, raw = chunks[path]
    damaged = bytearray(raw)
    damaged[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(InvalidSnapshot):
        read_chunk(bytes(damaged), path, expected)


@given(st.binary(max_size=300), st.binary(max_size=66))
def test_anything_else_is_refused_with_a_typed_error(raw, path):
    with pytest.raises(InvalidSnapshot):
        read_chunk(raw, path, bytes(32))
    with pytest.raises(InvalidSnapshot):
        read_trail(raw, 1, bytes(32))
