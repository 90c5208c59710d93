"""What an operator does to the home of a node that does not run."""

from __future__ import annotations

from contextlib import closing

from ledger.chain.migrations import migrate_store
from ledger.chain.store import Store, StoreUnusable
from ledger.node.setup.home import NodeHome, claim_home
from ledger.node.signing.watermark import Watermark


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
