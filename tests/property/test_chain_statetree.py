"""The state tree against the definition of its root, on random histories."""

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.statetree import StateProof, StateTree, verify_state_proof
from ledger.crypto.hashing import STATE_KEY, STATE_VALUE, ZERO_HASH
from tests.support.tiles import Tiles, grow

keys = st.integers(0, 120).map(lambda number: b"%d" % number)
blocks = st.lists(
    st.dictionaries(keys, st.none() | st.binary(max_size=3), max_size=40), min_size=1, max_size=8
)


def root_of(entries: dict[bytes, bytes]) -> bytes:
    """The root by its definition: recursion over bits, leaf by leaf."""
    leaves = sorted((STATE_KEY(key), STATE_VALUE(value)) for key, value in entries.items())
    return _node(leaves, 0)


def _node(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
    if not leaves:
        return ZERO_HASH
    if len(leaves) == 1:
        return sha256(b"\x02" + leaves[0][0] + leaves[0][1]).digest()

    def right(leaf: tuple[bytes, bytes]) -> bool:
        return bool(leaf[0][depth // 8] >> (7 - depth % 8) & 1)

    left_hash = _node([leaf for leaf in leaves if not right(leaf)], depth + 1)
    right_hash = _node([leaf for leaf in leaves if right(leaf)], depth + 1)
    return sha256(b"\x03" + left_hash + right_hash).digest()


@given(blocks, st.integers(0, 30))
@settings(deadline=None)
def test_the_root_is_a_function_of_the_entries(history, cache):
    store = Tiles()
    tree = StateTree(store, cache)
    entries: dict[bytes, bytes] = {}
    past = []
    for height, writes in enumerate(history):
        update = tree.update(writes, height)
        store.put(update)
        tree.adopt(update)
        for key, value in writes.items():
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value
        assert tree.root == root_of(entries)
        past.append(dict(entries))
    for height, known in enumerate(past):
        root = tree.root_at(height)
        assert root == root_of(known)
        for key in (b"3", b"77", b"absent"):
            assert verify_state_proof(root, key, known.get(key), tree.prove(key, height))


@given(st.sets(keys, min_size=1), keys, st.data())
@settings(deadline=None)
def test_a_changed_proof_proves_nothing(present, key, data):
    tree = grow(Tiles(), dict.fromkeys(present, b"v"))
    proof = tree.prove(key)
    value = b"v" if key in present else None
    assert verify_state_proof(tree.root, key, value, proof)
    assert not verify_state_proof(tree.root, key, b"w", proof)
    assert not verify_state_proof(tree.root, key, None if value else b"v", proof)
    for entry in range(len(proof.siblings)):
        for byte in range(len(proof.siblings[entry])):
            damaged = bytearray(proof.siblings[entry])
            damaged[byte] ^= 1 << data.draw(st.integers(0, 7))
            siblings = (*proof.siblings[:entry], bytes(damaged), *proof.siblings[entry + 1 :])
            changed = StateProof(siblings, proof.leaf)
            assert not verify_state_proof(tree.root, key, value, changed)
    for byte in range(len(proof.leaf)):
        damaged = bytearray(proof.leaf)
        damaged[byte] ^= 1
        changed = StateProof(proof.siblings, bytes(damaged))
        assert not verify_state_proof(tree.root, key, value, changed)


@given(
    st.binary(min_size=32, max_size=32).filter(any),  # zeros are the root of the empty state
    st.binary(max_size=5),
    st.none() | st.binary(max_size=5),
    st.lists(st.binary(max_size=33), max_size=260),
    st.binary(max_size=65),
)
@settings(deadline=None)
def test_an_invented_proof_is_refused_without_an_error(root, key, value, siblings, leaf):
    assert not verify_state_proof(root, key, value, StateProof(tuple(siblings), leaf))
