"""Another way to the state root: a dict of all entries, and the tree built anew after each block.

Nothing is shared with the node's state tree: no tiles, no cache, no updates. Only what contracts do
is taken from the machine, which has a reference of its own in the tests of the contracts.
"""

from __future__ import annotations

from hashlib import sha256

from ledger.chain.block import Block
from ledger.chain.constitution import parameters_at
from ledger.chain.genesis import Genesis
from ledger.chain.transaction import decode_transaction
from ledger.contracts.machine import BlockContext, Machine

TAG = b"health-ledger/"


def root(entries: dict[bytes, bytes]) -> bytes:
    """The root of the compact sparse Merkle tree over the entries; zeros when there are none."""
    leaves = sorted(
        (
            sha256(TAG + b"state-key\x00" + key).digest(),
            sha256(TAG + b"state-value\x00" + value).digest(),
        )
        for key, value in entries.items()
    )
    return _subtree(leaves, 0)


def _subtree(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return sha256(b"\x02" + leaves[0][0] + leaves[0][1]).digest()
    left = [leaf for leaf in leaves if not leaf[0][depth // 8] << depth % 8 & 0x80]
    right = leaves[len(left) :]
    return sha256(b"\x03" + _subtree(left, depth + 1) + _subtree(right, depth + 1)).digest()


class ReferenceModel:
    """The state after the genesis, and after each block that is applied."""

    def __init__(self, genesis: Genesis) -> None:
        self._machine = Machine()
        self._chain = genesis.chain_id()
        #: Of the block that was applied last.
        self.height = 0
        self.entries: dict[bytes, bytes] = {}
        self._write(self._machine.genesis(genesis).writes)

    def apply(self, block: Block) -> bytes:
        """Execute the next block; the state root after it."""
        height = block.header.height
        if height != self.height + 1:
            raise ValueError(f"block {height} after block {self.height}")
        self.height = height
        parameters = parameters_at(self.entries.get, height)
        done = self._machine.execute(
            self.entries.get,
            BlockContext(self._chain, height, block.header.time),
            [decode_transaction(raw) for raw in block.transactions],
            parameters.call_gas,
            parameters.block_gas,
        )
        self._write(done.writes)
        return root(self.entries)

    def _write(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
