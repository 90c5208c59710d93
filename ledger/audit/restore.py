"""Building a store from an export file: an import that believes nothing it reads."""

from __future__ import annotations

from pathlib import Path

from ledger.audit.verify import NotAuditable, Progress
from ledger.chain import limits
from ledger.chain.block import Certificate, InvalidCertificate, decode_block
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.export import Export
from ledger.chain.genesis import Genesis
from ledger.chain.store import Store
from ledger.contracts.blocks import BlockFault
from ledger.contracts.machine import GenesisFailed
from ledger.contracts.replica import Replica


class NotRestored(ValueError):
    """An export that cannot become a store; ``height`` is that of the first block that is not
    good. The store holds the chain up to the block before."""

    def __init__(self, height: int, why: str) -> None:
        self.height = height
        super().__init__(f"block {height}: {why}")


def restore(path: Path, genesis: Genesis, store: Store, progress: Progress | None = None) -> int:
    """Check and execute every block of an export and put it into an empty store.

    Args:
        path: of the export file.
        genesis: the importer's own copy.
        store: an empty store, opened for writing.
        progress: called with how many blocks are done, and of how many.

    Returns:
        The number of blocks, the genesis block included.

    Raises:
        NotAuditable: the genesis itself fails.
        NotRestored: a block is not good, or belongs to another chain.
        Malformed: not an export.
        StoreError: the store is not empty, or there is no room.
        OSError: the file cannot be read.
    """
    with Export(path) as export:
        try:
            replica = Replica.found(store, genesis)
        except (GenesisFailed, Malformed) as error:
            raise NotAuditable(f"no chain can start from this genesis: {error}") from None
        height = 0
        try:
            for found in export:
                height = found.height
                block = decode_block(found.block)
                if height == 0:
                    if encode(block.header) != encode(replica.head) or block.transactions:
                        raise NotRestored(0, "not the genesis block of this chain")
                else:
                    certificate = decode(
                        found.certificate, Certificate, limit=limits.MAX_FRAME_BYTES
                    )
                    replica.extend(block, certificate)
                if progress is not None:
                    progress(height + 1, export.blocks)
        except (Malformed, InvalidCertificate, BlockFault) as error:
            raise NotRestored(height, str(error)) from None
        return height + 1
