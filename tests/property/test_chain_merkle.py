"""RFC 9162 proofs of random trees: good ones verify, changed ones never do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain import merkle


def hashes(size: int) -> list[bytes]:
    return [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(size)]


def flipped(path: tuple[bytes, ...], place: int) -> tuple[bytes, ...]:
    entry, byte = divmod(place, 32)
    damaged = bytearray(path[entry])
    damaged[byte] ^= 1 << place % 8
    return (*path[:entry], bytes(damaged), *path[entry + 1 :])


@given(st.integers(1, 300), st.data())
@settings(deadline=None)
def test_an_inclusion_path_leads_to_the_root_and_a_changed_one_does_not(size, data):
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    root = merkle.root_of_hashes(leaves)
    path = merkle.inclusion_path(leaves, index)
    assert merkle.root_from_inclusion(leaves[index], index, size, path) == root
    sides = merkle.inclusion_sides(index, size)
    assert merkle.root_from_sides(leaves[index], sides, path) == root
    assert merkle.root_from_inclusion(leaves[index], index, size, (*path, root)) is None
    assert merkle.root_from_sides(leaves[index], sides, (*path, root)) != root
    assert merkle.root_from_sides(leaves[index], sides | 1 << len(path), path) is None
    if path:
        assert merkle.root_from_inclusion(leaves[index], index, size, path[:-1]) is None
        for place in range(32 * len(path)):
            damaged = flipped(path, place)
            assert merkle.root_from_inclusion(leaves[index], index, size, damaged) != root
            assert merkle.root_from_sides(leaves[index], sides, damaged) != root
        side = 1 << data.draw(st.integers(0, len(path) - 1))
        assert merkle.root_from_sides(leaves[index], sides ^ side, path) != root


@given(st.integers(1, 200), st.data())
@settings(deadline=None)
def test_a_consistency_path_proves_growth_and_a_changed_one_does_not(size, data):
    first = data.draw(st.integers(0, size))
    leaves = hashes(size)
    old, new = merkle.root_of_hashes(leaves[:first]), merkle.root_of_hashes(leaves)
    path = merkle.consistency_path(leaves, first)
    assert merkle.verify_consistency(first, old, size, new, path)
    assert not merkle.verify_consistency(first, old, size, new, (*path, old))
    assert not merkle.verify_consistency(first, old[::-1], size, new, path)
    assert not merkle.verify_consistency(first, old, size, new[::-1], path) or first == 0
    assert not merkle.verify_consistency(size + 1, old, size, new, path)
    if path:
        assert not merkle.verify_consistency(first, old, size, new, path[:-1])
    for place in range(32 * len(path)):
        assert not merkle.verify_consistency(first, old, size, new, flipped(path, place))


@given(st.lists(st.binary(max_size=8), max_size=70), st.data())
@settings(deadline=None)
def test_stored_nodes_prove_what_the_leaves_prove(leaves, data):
    nodes: dict[tuple[int, int], bytes] = {}
    log = merkle.Log()
    for leaf in leaves:
        for level, place, node in log.append(leaf):
            nodes[level, place] = node
    assert log.root() == merkle.root(leaves)
    size = data.draw(st.integers(0, len(leaves)))
    first = data.draw(st.integers(0, size))

    def read(level: int, place: int) -> bytes:
        return nodes[level, place]

    known = [merkle.leaf_hash(leaf) for leaf in leaves[:size]]
    assert merkle.Log.load(read, size).root() == merkle.root_of_hashes(known)
    assert merkle.consistency_path_from(read, first, size) == merkle.consistency_path(known, first)
    if first < size:
        assert merkle.inclusion_path_from(read, first, size) == merkle.inclusion_path(known, first)
