"""Signs anything in the name of one validator, true or not."""

from __future__ import annotations

from ledger.chain.block import Block
from ledger.consensus.messages import Commit, Prepare, PrePrepare, ViewChange
from ledger.consensus.statements import (
    PreparedCertificate,
    claim_of,
    commit_statement,
    pre_prepare_statement,
    prepare_statement,
    view_change_statement,
)
from ledger.crypto.keys import SigningKey


class Voice:
    """What a validator of one chain could say, without the promises that bind an honest one."""

    def __init__(self, chain: bytes, node: str, key: SigningKey) -> None:
        self.chain = chain
        self.node = node
        self._key = key

    def propose(self, height: int, view: int, block: Block) -> PrePrepare:
        digest = block.header.hash()
        said = pre_prepare_statement(self.chain, height, view, digest)
        return PrePrepare(height, view, digest, self.node, self._key.sign(said), block)

    def prepare(self, height: int, view: int, digest: bytes) -> Prepare:
        said = prepare_statement(self.chain, height, view, digest)
        return Prepare(height, view, digest, self.node, self._key.sign(said))

    def commit(self, height: int, view: int, digest: bytes) -> Commit:
        said = commit_statement(self.chain, height, view, digest)
        return Commit(height, view, digest, self.node, self._key.sign(said))

    def change_view(
        self,
        height: int,
        view: int,
        prepared: PreparedCertificate | None,
        block: Block | None = None,
    ) -> ViewChange:
        said = view_change_statement(self.chain, height, view, claim_of(prepared))
        return ViewChange(height, view, prepared, self.node, self._key.sign(said), block)
