"""The index of a node's home: opened when the node starts, made anew when its operator wants it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url

from ledger.chain.database import StoreBusy, StoreUnusable
from ledger.chain.store import Store
from ledger.node.reading.index import ReadingIndex
from ledger.node.setup.home import NodeHome, claim_home

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What `reindex` has done. ``height``: of the newest block; ``unread``: entries of the state
    that are not what is usual and were left out; ``size``: of the index in bytes."""

    height: int
    unread: int
    size: int


def open_index(home: NodeHome) -> ReadingIndex:
    """The index of a home. A file that cannot be used is made anew: nothing in it is of value.

    Raises:
        InvalidHome: there is no genesis.
        StoreError: its database cannot be used.
    """
    chain = home.genesis().chain_id()
    try:
        return ReadingIndex.open(home.reading_url, chain)
    except StoreBusy:
        raise
    except StoreUnusable as error:
        path = _own_file(home)
        if path is None:
            raise
        _log.warning("index_thrown_away", error=str(error))
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        return ReadingIndex.open(home.reading_url, chain)


def _own_file(home: NodeHome) -> Path | None:
    """The file of the index, if it is one and not that of the store."""
    url, store = make_url(home.reading_url), make_url(home.store_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path = Path(url.database)
    return None if store.database and path.resolve() == Path(store.database).resolve() else path


def reindex(home: NodeHome, progress: Callable[[int, int], None] | None = None) -> Reindexed:
    """Make the index of a home anew from its store, whatever was there.

    Args:
        progress: told how many rows of the state are done, and how many there are.

    Raises:
        HomeInUse: the node runs.
        InvalidHome, StoreError: the store or the index cannot be used.
    """
    with (
        claim_home(home),
        closing(Store.open(home.store_url, read_only=True)) as store,
        closing(open_index(home)) as index,
    ):
        index.clear()
        newest = store.newest_row()
        for position in index.follow(store):
            if progress is not None:
                progress(position.row, newest)
        return Reindexed(index.position.height, index.unread, index.size_bytes())
