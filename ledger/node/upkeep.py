"""What an operator does to the home of a node: check it, repair it, vouch for its votes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy.engine import make_url

from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain import fsck
from ledger.chain.database import StoreBusy, StoreError, StoreUnusable
from ledger.chain.migrations import migrate_store
from ledger.chain.store import Store
from ledger.node.setup.home import NodeHome, claim_home
from ledger.node.signing.register import Register
from ledger.node.signing.standing import Memory
from ledger.node.signing.watermark import Watermark


@dataclass(frozen=True, slots=True)
class Condition:
    """How a home was found.

    ``height``: of its newest block, -1 where that cannot be told. ``faults``: what is damaged, a
    sentence each. ``remarks``: what is not wrong and worth knowing. ``whole``: whether every row
    was looked at.
    """

    height: int
    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    whole: bool

    @property
    def good(self) -> bool:
        return not self.faults


def check(
    home: NodeHome, *, whole: bool, progress: Callable[[int, int], None] | None = None
) -> Condition:
    """Look at the store and the watermark of a home, without changing either.

    Args:
        whole: also replay the chain from its genesis and compare every row.

    Raises:
        InvalidHome: there is no genesis to compare the store with.
        StoreBusy: somebody else has the store to himself.
    """
    genesis = home.genesis()
    try:
        with closing(Store.open(home.store_url, read_only=True)) as store:
            stored = store.genesis()
            if stored is not None and stored.chain_id() != genesis.chain_id():
                return Condition(-1, ("the store holds another chain",), (), whole)
            fsck.check(store)
            height = store.height()
            remarks = _remarks(home, store, genesis.chain_id())
    except StoreBusy:
        raise
    except StoreError as error:
        return Condition(-1, (str(error),), (), whole)
    if not whole or height < 0:
        return Condition(height, (), remarks, whole)
    with open_store(home.store_url) as source:
        report = verify_chain(source, genesis, progress)
    return Condition(height, tuple(map(str, report.faults)), remarks, whole)


def _remarks(home: NodeHome, store: Store, chain: bytes) -> tuple[str, ...]:
    if not home.signer.is_dir():
        return ("there is no watermark: the node will not vote at first",)
    watermark = Watermark(home.signer, chain, home.node)
    standing = Register(store, watermark, was_empty=store.genesis() is None).standing
    if watermark.flaw:
        return (f"the watermark vouches for nothing: {watermark.flaw}; it will not vote at first",)
    if standing.memory is Memory.OLDER:
        return (f"the store lacks votes: the node will not vote up to height {standing.through}",)
    return ()


def repair(home: NodeHome, *, anyhow: bool = False) -> Path | None:
    """Set a damaged store aside, so that the node builds a new one from its peers when it starts.

    The watermark stays, so the node does not vote where it may have voted before.

    Args:
        anyhow: also where the quick check finds nothing.

    Returns:
        The directory that has the old store now; None where the store was left as it is.

    Raises:
        HomeInUse, InvalidHome: the home cannot be claimed.
        StoreUnusable: the store is not a file of this home.
        OSError: it cannot be moved.
    """
    url = make_url(home.store_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StoreUnusable("the store is not a file; restore the database by its own means")
    path = Path(url.database)
    with claim_home(home):
        if not path.exists() or (not anyhow and check(home, whole=False).good):
            return None
        places = (path.with_name(f"{path.name}-damaged-{number}") for number in count(1))
        aside = next(place for place in places if not place.exists())
        aside.mkdir(mode=0o700)
        # The log first: a database whose log is gone is older, a log without its database nothing.
        for end in ("-shm", "-wal", ""):
            part = path.with_name(path.name + end)
            if part.exists():
                part.rename(aside / part.name)
    return aside


def vouch(home: NodeHome) -> tuple[int, int]:
    """Note that the store of a home holds every vote that this node ever signed.

    Only its operator can know that: the node was stopped before its files were copied, and has not
    run since. A node that is told so wrongly may sign twice.

    Returns:
        The height up to which it may have signed, and how many votes it has there.

    Raises:
        HomeInUse, InvalidHome: the home cannot be claimed.
        StoreError: the store or the watermark cannot be used.
    """
    with claim_home(home), closing(Store.open(home.store_url)) as store:
        head = store.head()
        if head is None:
            raise StoreUnusable("the store holds no chain; there is nothing to vouch for")
        height = head.height + 1
        votes = len(store.votes(height))
        Watermark(home.signer, head.chain, home.node).replace(height, votes)
    return height, votes


def migrate(home: NodeHome) -> tuple[str, str]:
    """Bring the tables of a home's store up to date; the revisions before and after.

    Raises:
        HomeInUse, InvalidHome: the home cannot be claimed.
        StoreError: the store cannot be migrated; it is as it was.
    """
    with claim_home(home):
        return migrate_store(home.store_url)
