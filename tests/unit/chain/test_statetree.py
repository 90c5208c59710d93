"""The state tree on small sets, where every node can be computed by hand."""

from hashlib import sha256

import pytest

from ledger.chain import tiles
from ledger.chain.codec import Malformed
from ledger.chain.statetree import StateProof, StateTree, TileMissing, verify_state_proof
from ledger.crypto.hashing import STATE_KEY, STATE_VALUE, ZERO_HASH
from tests.support.tiles import Tiles, grow


def leaf(key: bytes, value: bytes) -> bytes:
    return sha256(b"\x02" + STATE_KEY(key) + STATE_VALUE(value)).digest()


def first_bit(key: bytes) -> int:
    return STATE_KEY(key)[0] >> 7


def test_an_empty_state_has_a_root_of_zeros():
    tree = StateTree(Tiles())
    assert tree.root == ZERO_HASH
    assert verify_state_proof(tree.root, b"any", None, tree.prove(b"any"))


def test_the_root_over_one_entry_is_its_leaf():
    tree = grow(Tiles(), {b"k": b"v"})
    assert tree.root == leaf(b"k", b"v")
    assert tree.prove(b"k") == StateProof((), b"")


def test_two_leaves_meet_where_their_ways_part():
    left = next(key for key in (b"%d" % n for n in range(99)) if first_bit(key) == 0)
    right = next(key for key in (b"%d" % n for n in range(99)) if first_bit(key) == 1)
    tree = grow(Tiles(), {right: b"r", left: b"l"})
    assert tree.root == sha256(b"\x03" + leaf(left, b"l") + leaf(right, b"r")).digest()
    assert tree.prove(left) == StateProof((leaf(right, b"r"),), b"")


def test_a_deleted_entry_leaves_no_trace_in_the_root():
    store = Tiles()
    before = grow(store, {b"%d" % n: b"v" for n in range(40)}).root
    extra = {b"x%d" % n: b"v" for n in range(200)}
    assert grow(store, extra).root != before
    assert grow(store, dict.fromkeys(extra)).root == before


def test_deleting_what_is_not_there_changes_nothing():
    store = Tiles()
    tree = grow(store, {b"a": b"1"})
    update = tree.update({b"b": None, b"a": b"1"}, 1)
    assert update.root == tree.root
    assert not update.tiles


def test_an_update_that_is_not_adopted_changes_nothing():
    tree = grow(Tiles(), {b"%d" % n: b"v" for n in range(50)})
    root = tree.root
    dropped = tree.update({b"7": b"other", b"new": b"n"}, 1)
    assert tree.root == root
    again = tree.update({b"7": b"other", b"new": b"n"}, 1)
    assert again.root == dropped.root
    assert again.tiles == dropped.tiles


def test_an_update_of_another_state_is_not_adopted():
    tree = grow(Tiles(), {b"a": b"1"})
    update = tree.update({b"b": b"2"}, 1)
    tree.adopt(tree.update({b"c": b"3"}, 1))
    with pytest.raises(ValueError, match="another state"):
        tree.adopt(update)


def test_a_past_height_stays_provable():
    store = Tiles()
    roots = []
    for height in range(6):
        tree = grow(store, {b"k%d" % n: b"%d" % height for n in range(30)})
        roots.append(tree.root)
        tree = grow(store, {b"once%d" % height: b"x"})
    for height, root in enumerate(roots):
        at = 2 * height
        assert tree.root_at(at) == root
        proof = tree.prove(b"k3", at)
        assert verify_state_proof(root, b"k3", b"%d" % height, proof)
        assert not verify_state_proof(root, b"k3", b"%d" % (height + 1), proof)
        absent = tree.prove(b"once%d" % height, at)
        assert verify_state_proof(root, b"once%d" % height, None, absent)


def test_a_reopened_tree_goes_on_where_it_was():
    store = Tiles()
    tree = grow(store, {b"%d" % n: b"v" for n in range(500)})
    again = StateTree(store)
    assert again.root == tree.root
    writes = {b"3": None, b"new": b"n"}
    assert again.update(writes, 1).root == tree.update(writes, 1).root


def test_the_cache_is_bounded():
    store = Tiles()
    tree = StateTree(store, cache=10)
    update = tree.update({b"%d" % n: b"v" for n in range(1_000)}, 0)
    store.put(update)
    tree.adopt(update)
    assert len(update.tiles) > 10
    assert len(tree._cache) <= 10
    assert tree.update({b"7": b"w"}, 1).root == grow(store, {b"7": b"w"}).root


def test_a_missing_tile_is_told_apart_from_an_absent_entry():
    store = Tiles()
    grow(store, {b"%d" % n: b"v" for n in range(200)})
    tree = StateTree(store, cache=0)
    for name in [name for name in store.tiles if name[1]]:
        del store.tiles[name]
    with pytest.raises(TileMissing):
        tree.prove(b"7")
    with pytest.raises(TileMissing):
        tree.update({b"%d" % n: b"w" for n in range(200)}, 1)


def stored(base: int, mask: int, *sizes: int) -> bytes:
    head = base.to_bytes(5, "big") + mask.to_bytes(2, "big")
    return head + bytes(sizes) + b"".join(b"x" * size for size in sizes)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        stored(7, 0),
        stored(7, 0xFFFF),
        stored(7, 0xFFFF, *[0] * 15, 32),
        stored(7, 0xFFFF, *[0] * 17),
        stored(7, 0xFFFF, *[0] * 15, 64)[:-1],
        stored(7, 1, 64),
        stored(3, 1, 64),
        stored(4, 1, 64),
        stored(5, 0),
        stored(5, 1, 64) + b"x",
    ],
)
def test_bytes_that_are_no_tile_are_refused(raw):
    others = {4: stored(2, 1, 64), 5: stored(5, 0xFFFF, *[64] * 16)}
    with pytest.raises(Malformed):
        tiles.decode_tile(raw, 7, others.get)


def test_a_tile_is_stored_whole_or_as_what_changed():
    store = Tiles()
    grow(store, {b"%d" % n: b"v" for n in range(3_000)})
    whole = sum(map(len, store.tiles.values()))
    tree = StateTree(store, cache=0)
    root = tree.update({b"7": b"w"}, 1)
    assert len(root.tiles) >= 3
    assert sum(map(len, root.tiles.values())) < 60 * len(root.tiles) < whole
    for height in range(1, 12):
        latest = grow(store, {b"7": b"%d" % height, b"%d" % height: b"n"})
        assert StateTree(store).root == latest.root
    assert tree.root_at(0) == tree.root


def test_a_proof_has_one_accepted_form():
    tree = grow(Tiles(), {b"%d" % n: b"v" for n in range(50)})
    proof = tree.prove(b"7")
    assert verify_state_proof(tree.root, b"7", b"v", proof)
    empty = next(place for place, entry in enumerate(tree.prove(b"7").siblings) if entry)
    longer = StateProof((*proof.siblings, b""), b"")
    assert not verify_state_proof(tree.root, b"7", b"v", longer)
    assert not verify_state_proof(tree.root, b"7", b"v", StateProof(proof.siblings, bytes(64)))
    short = list(proof.siblings)
    short[empty] = short[empty][:31]
    assert not verify_state_proof(tree.root, b"7", b"v", StateProof(tuple(short), b""))
    deep = StateProof((b"",) * 257, b"")
    assert not verify_state_proof(tree.root, b"7", b"v", deep)


def test_zeros_for_an_empty_sibling_are_refused():
    keys = [b"%d" % n for n in range(400)]
    top = STATE_KEY(keys[0])[0]
    twin = next(key for key in keys[1:] if STATE_KEY(key)[0] >> 4 == top >> 4)
    tree = grow(Tiles(), {keys[0]: b"a", twin: b"b"})
    proof = tree.prove(twin)
    assert b"" in proof.siblings
    assert verify_state_proof(tree.root, twin, b"b", proof)
    written_out = tuple(entry or ZERO_HASH for entry in proof.siblings)
    assert not verify_state_proof(tree.root, twin, b"b", StateProof(written_out, b""))


def test_another_leaf_proves_absence_only_where_it_stands_in_the_way():
    tree = grow(Tiles(), {b"%d" % n: b"v" for n in range(50)})
    absent = next(key for key in (b"a%d" % n for n in range(99)) if tree.prove(key).leaf)
    proof = tree.prove(absent)
    assert verify_state_proof(tree.root, absent, None, proof)
    other = next(
        key
        for key in (b"b%d" % n for n in range(999))
        if STATE_KEY(key)[0] >> 7 != STATE_KEY(absent)[0] >> 7
    )
    assert not verify_state_proof(tree.root, other, None, proof)
    assert not verify_state_proof(tree.root, b"7", None, tree.prove(b"7"))
