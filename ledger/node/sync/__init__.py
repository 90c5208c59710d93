"""Catching up with the chain: by certified blocks, and by certified snapshots where those would
take too long or are not to be had any more."""

from ledger.node.sync.blocks import answer, read_certified
from ledger.node.sync.catchup import Sync

__all__ = ["Sync", "answer", "read_certified"]
