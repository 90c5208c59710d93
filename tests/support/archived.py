"""Handing blocks of a store over to an archive file at once, whatever the chain's window."""

from pathlib import Path

from ledger.chain.archivewriter import write_archive
from ledger.chain.handover import Trust
from ledger.chain.pruning import Pruning
from ledger.chain.store import Store

ARCHIVED_AT = 1_767_312_000_000


def archive_and_prune(store: Store, directory: Path, last: int, trust: Trust) -> Path:
    """Archive everything up to a height and keep what comes after; returns the file."""
    first = max(store.base(), 1)
    path, summary = write_archive(store, directory, first, last, trust)
    with store.maintenance() as writer:
        row = (first, last, path.name, summary.size, ARCHIVED_AT)
        writer.run(store.queries.add_archive, row)
    for _ in Pruning(store).steps(last + 1):
        pass
    while store.reclaim():
        pass
    return path


def forget_ids(store: Store, *ids: bytes) -> None:
    """Drop transactions from the index, as pruning does when they are old enough."""
    with store.maintenance() as writer:
        writer.many(store.queries.drop_transaction, [(tx_id,) for tx_id in ids])
