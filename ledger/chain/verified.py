"""Reading a store that one does not trust: every answer is compared with what the chain certifies.

A disk changes bytes without saying so, and SQLite keeps no checksum of its pages. But whatever a
store holds of the chain is bound by hashes to a header, and the header to its certificate, so a
changed byte can be noticed where it is read, at the cost of a few hashes. What is not bound is the
absence of a row in an index (`StoreReader.locate`, `values_under`): a whole check finds that.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.chain import merkle
from ledger.chain.block import (
    Block,
    Certificate,
    Header,
    InvalidCertificate,
    verify_certificate,
)
from ledger.chain.codec import Malformed
from ledger.chain.constitution import validators_at
from ledger.chain.database import StoreUnusable
from ledger.chain.reader import StoreReader
from ledger.chain.receipt import Receipt, build_receipt
from ledger.chain.rows import odd_cells
from ledger.chain.statetree import StateProof, StateTree, TileMissing, verify_state_proof
from ledger.chain.transaction import decode_transaction


class VerifiedReads:
    """Answers from a store, or `StoreUnusable` where they are not what the chain certifies.

    None is answered as by the store itself. Any number of threads may use it.
    """

    def __init__(self, store: StoreReader) -> None:
        self._store = store

    @odd_cells()
    def header(self, height: int) -> Header | None:
        """A header that its certificate names, or at height 0 the log."""
        header = self._store.header(height)
        if header is None:
            self._absent(height)
            return None
        if height == 0:
            if self._store.log(1).root() != merkle.root([header.hash()]):
                raise _damaged(height, "the header is not the one in the log")
            return header
        certificate = self._store.certificate(height)
        if certificate is None:
            raise _damaged(height, "the certificate is missing")
        if (certificate.height, certificate.block) != (height, header.hash()):
            raise _damaged(height, "header and certificate do not belong together")
        return header

    def _absent(self, height: int) -> None:
        """Something of a height is not there; raises `StoreUnusable` where it should be."""
        if self._store.base() <= height <= self._store.height():
            raise _damaged(height, "the block is missing")

    @odd_cells()
    def certificate(self, height: int) -> Certificate | None:
        """A certificate whose signatures were verified just now; None at height 0."""
        certificate = self._store.certificate(height)
        if certificate is None:
            if height > 0:
                self.header(height)
            return None
        header = self.header(height)
        if header is None:
            raise _damaged(height, "there is a certificate and no header")
        try:
            # A later state knows the validators too, and is what a pruned store still has.
            known = max(height, self._store.base()) - 1
            validators = validators_at(self.state(known), height)
            verify_certificate(header, certificate, validators)
        except (InvalidCertificate, Malformed) as error:
            raise _damaged(height, str(error)) from None
        return certificate

    @odd_cells()
    def block(self, height: int) -> Block | None:
        """A block whose transactions are those of its header."""
        block, header = self._store.block(height), self.header(height)
        if block is None or header is None:
            self._absent(height)
            return None
        if block.header != header or merkle.root(block.transactions) != header.transactions_root:
            raise _damaged(height, "the transactions are not those of the header")
        return block

    @odd_cells()
    def results(self, height: int) -> tuple[bytes, ...] | None:
        """The results that the header names."""
        results, header = self._store.results(height), self.header(height)
        if results is None or header is None:
            self._absent(height)
            return None
        if merkle.root(results) != header.results_root:
            raise _damaged(height, "the results are not those of the header")
        return results

    def value(self, key: bytes, height: int) -> bytes | None:
        """The value of an entry after the block of a height, or None where it has none; raises
        `LookupError` for a height without a block."""
        return self.state(height)(key)

    def state(self, height: int) -> Callable[[bytes], bytes | None]:
        """Reads the values after the block of one height."""
        proven = self._proven_at(height)
        return lambda key: proven(key)[1]

    def proven(self, key: bytes, height: int) -> tuple[StateProof, bytes | None]:
        """A value with its proof against the header's state root."""
        return self._proven_at(height)(key)

    def _proven_at(self, height: int) -> Callable[[bytes], tuple[StateProof, bytes | None]]:
        header = self.header(height)
        if header is None:
            raise LookupError(f"there is no block at height {height}")
        try:
            with odd_cells():
                tree = StateTree(self._store)
        except (TileMissing, LookupError) as error:
            raise _damaged(height, str(error)) from None

        def read(key: bytes) -> tuple[StateProof, bytes | None]:
            try:
                with odd_cells():
                    proof = tree.prove(key, height)
            except (TileMissing, LookupError) as error:
                raise _damaged(height, str(error)) from None
            value = self._store.value(key, height)
            if not isinstance(value, bytes | None) or not verify_state_proof(
                header.state_root, key, value, proof
            ):
                raise _damaged(height, f"the entry {key!r} is not the one in the state tree")
            return proof, value

        return read

    @odd_cells()
    def receipt(self, tx_id: bytes) -> Receipt | None:
        """The receipt of a transaction, of whose parts those that other members signed are left
        to whoever checks it."""
        receipt = build_receipt(self._store, tx_id)
        if receipt is None:
            return None
        height = receipt.header.height
        block, certificate = self.block(height), self.certificate(height)
        if block is None or (block.header, certificate) != (receipt.header, receipt.certificate):
            raise _damaged(height, "the block is missing")
        self.results(height)
        try:
            found = decode_transaction(receipt.envelope).id
        except Malformed as error:
            raise _damaged(height, str(error)) from None
        if found != tx_id:
            raise _damaged(height, "the index of transactions leads to another one")
        return receipt


def _damaged(height: int, what: str) -> StoreUnusable:
    return StoreUnusable(f"the store is damaged at height {height}: {what}")
