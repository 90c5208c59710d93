"""The consortium in memory, with its chain in a store: certified blocks that can be audited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.chain.block import Certificate, CommitSignature, commit_digest
from ledger.chain.result import CallResult
from ledger.chain.rules import proposer_of
from ledger.chain.store import Store
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.contracts import blocks
from ledger.contracts.replica import Replica
from ledger.workbench.consortium import World, consortium_genesis, key_of


class StoredWorld(World):
    """A `World` whose blocks are in a store; heights are reached by empty blocks."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.genesis = consortium_genesis({}, {})
        self.store = Store.open(str(path), create=True)
        self.replica = Replica.found(self.store, self.genesis)
        assert self.chain == self.genesis.chain_id()
        self._nonce = 0

    def transaction(self, signers: str, *calls: Call) -> Transaction:
        """A signed transaction that was not made before."""
        self._nonce += 1
        keys = [key_of(name) for name in signers.split(",")]
        body = Body(
            self.chain, self._nonce.to_bytes(8, "big"), 0, 10_000, False, calls,
            tuple(key.public for key in keys),
        )  # fmt: skip
        return sign_transaction(body, *keys)

    def append(self, *transactions: Transaction) -> list[CallResult]:
        """Certify and store the next block; returns the results of all calls."""
        tip = self.replica.tip()
        height = tip.header.height + 1
        self.time = max(self.time, tip.header.time + 1)
        executed = blocks.candidate(
            tip,
            self.replica.machine,
            proposer=proposer_of(tip.header, tip.validators, tip.parameters, height, 0),
            view=0,
            time=self.time,
            transactions=transactions,
        )
        header = executed.block.header
        digest = commit_digest(header.chain, header.height, 0, header.hash())
        nodes = sorted(member.node for member in tip.validators.members)
        signatures = tuple(CommitSignature(node, key_of(node).sign(digest)) for node in nodes)
        self.replica.commit(executed, Certificate(header.height, 0, header.hash(), signatures))
        self._adopt(executed.writes)
        self.height = header.height
        return [call for result in executed.results for call in result.calls]

    def call(self, signers: str, contract: str, method: str, **arguments: Any) -> CallResult:
        return self.append(self.transaction(signers, Call(contract, method, arguments)))[0]

    def reach(self, height: int) -> None:
        """Empty blocks, so that the next one is of that height."""
        while self.height < height - 1:
            self.append()
