"""Is this store what it should be? A check that is quick enough for every start.

It looks at what a node goes on from: the newest blocks with their certificates and links, the roots
of log and state, the promises of the next height. That every other row is what the blocks make of
it is the auditor's question (`ledger.audit`), and takes a replay.
"""

from __future__ import annotations

from typing import Final

from ledger.chain import merkle
from ledger.chain.codec import Malformed
from ledger.chain.database import StoreUnusable
from ledger.chain.reader import StoreReader
from ledger.chain.statetree import StateTree, TileMissing
from ledger.chain.verified import VerifiedReads

#: So many of the newest blocks are looked at.
NEWEST: Final = 16


def check(store: StoreReader, newest: int = NEWEST) -> int:
    """Compare the newest part of a store with itself.

    Returns:
        How many blocks were looked at; 0 for an empty store.

    Raises:
        StoreUnusable: naming the height and what is wrong there.
        StoreError: the store cannot be read.
    """
    head = store.head()
    if head is None:
        return 0
    first = max(head.height - newest + 1, store.base(), 0)
    try:
        for height in range(first, head.height + 1):
            _check_block(store, height)
        _check_end(store, head.height)
        _check_state(store, head.height)
        store.votes(head.height + 1)
    except (Malformed, ValueError, TypeError, LookupError, TileMissing) as error:
        # Cells of the wrong type, and whatever else a damaged row can lead to.
        raise StoreUnusable(f"the store is damaged: {error}") from error
    return head.height - first + 1


def _check_block(store: StoreReader, height: int) -> None:
    verified = VerifiedReads(store)
    header = verified.header(height)
    if header is None or header.height != height:
        raise StoreUnusable(f"the store is damaged: block {height} is missing")
    if height > 0:
        verified.certificate(height)
        parent = store.header(height - 1)
        if parent is not None and parent.hash() != header.parent:
            raise StoreUnusable(f"the store is damaged: block {height} has another parent")
    if verified.block(height) is None or verified.results(height) is None:
        raise StoreUnusable(f"the store is damaged: the body of block {height} is missing")
    if store.log(height).root() != header.log_root:
        raise StoreUnusable(f"the store is damaged: the log before block {height} is another one")
    path = store.log_path(height, height + 1)
    leaf = merkle.leaf_hash(header.hash())
    root = merkle.root_from_inclusion(leaf, height, height + 1, path)
    if root != store.log(height + 1).root():
        raise StoreUnusable(f"the store is damaged: the log has another block {height}")


def _check_end(store: StoreReader, height: int) -> None:
    """Where a disk lost a write, an older page of one table can hide its newest rows."""
    try:
        store.log(height + 2)
    except StoreUnusable:
        return  # as it should be: no header after the newest is in the log
    raise StoreUnusable(f"the store is damaged: there is no block {height + 1}, and the log has it")


def _check_state(store: StoreReader, height: int) -> None:
    header = store.header(height)
    assert header is not None
    if StateTree(store).root != header.state_root:
        raise StoreUnusable(f"the store is damaged: the state after block {height} is another one")
