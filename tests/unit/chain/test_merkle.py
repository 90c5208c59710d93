"""RFC 9162 trees against published vectors and an independent implementation."""

import pytest
from pymerkle import InmemoryTree

from ledger.chain import merkle

#: The reference tree of Certificate Transparency (RFC 6962 and 9162 implementations share it).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
#: Inclusion paths of the reference tree: leaf, size, path.
PATHS = [
    (0, 1, []),
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
]  # fmt: skip
#: Consistency paths of the reference tree: first size, second size, path.
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one(size):
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("leaf", "size", "path"), PATHS)
def test_an_inclusion_path_is_the_published_one(leaf, size, path):
    hashes = [merkle.leaf_hash(data) for data in LEAVES[:size]]
    assert [entry.hex() for entry in merkle.inclusion_path(hashes, leaf)] == path


@pytest.mark.parametrize(("first", "second", "path"), CONSISTENCY)
def test_a_consistency_path_is_the_published_one(first, second, path):
    hashes = [merkle.leaf_hash(data) for data in LEAVES[:second]]
    assert [entry.hex() for entry in merkle.consistency_path(hashes, first)] == path


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 100])
def test_roots_and_paths_are_those_of_an_independent_implementation(size):
    leaves = [bytes([number]) * (number % 5) for number in range(size)]
    oracle = InmemoryTree(algorithm="sha256")
    for data in leaves:
        oracle.append_entry(data)
    hashes = [merkle.leaf_hash(data) for data in leaves]
    assert merkle.root_of_hashes(hashes) == oracle.get_root()
    for index in range(size):
        proof = oracle.prove_inclusion(index + 1, size)
        # pymerkle keeps the leaf in the path, and its siblings as the root function meets them.
        assert sorted(proof.path) == sorted([hashes[index], *merkle.inclusion_path(hashes, index)])
    for first in range(1, size):
        path = merkle.consistency_path(hashes, first)
        assert merkle.verify_consistency(
            first, oracle.get_root(first), size, oracle.get_root(), path
        )


def test_the_log_keeps_the_root_and_names_the_nodes_that_became_complete():
    log = merkle.Log()
    nodes = {}
    for size, data in enumerate(LEAVES, 1):
        for level, place, node in log.append(data):
            nodes[level, place] = node
        assert log.root().hex() == ROOTS[size]
        loaded = merkle.Log.load(lambda level, place: nodes[level, place], size)
        assert loaded.root() == log.root()
    assert len(nodes) == 15


def test_a_copy_of_a_log_grows_by_itself():
    log = merkle.Log()
    log.append(b"a")
    copy = log.copy()
    copy.append(b"b")
    assert (log.size, copy.size) == (1, 2)
    assert log.root() != copy.root()


def test_a_proof_of_a_place_outside_the_tree_cannot_be_made():
    hashes = [merkle.leaf_hash(data) for data in LEAVES]
    with pytest.raises(IndexError):
        merkle.inclusion_path(hashes, 8)
    with pytest.raises(IndexError):
        merkle.consistency_path(hashes, 9)


def test_a_place_outside_the_tree_has_no_root():
    assert merkle.root_from_inclusion(bytes(32), 1, 1, ()) is None
    assert merkle.root_from_inclusion(bytes(32), -1, 1, ()) is None
    assert merkle.root_from_inclusion(bytes(32), 0, 2, (b"short",)) is None


def test_every_tree_begins_with_the_empty_one():
    root = merkle.root(LEAVES)
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 8, root, ())
    assert not merkle.verify_consistency(0, bytes(32), 8, root, ())
