"""A chain made by hand: real keys, signatures, trees, certificates and store, invented results.

What contracts would write is given by the test, so that the layers below them can be tested alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ledger.chain import merkle
from ledger.chain.block import (
    Block,
    Certificate,
    CommitSignature,
    Header,
    Validator,
    ValidatorSet,
    commit_digest,
    identities_hash,
)
from ledger.chain.codec import encode
from ledger.chain.constitution import PARAMETERS_KEY, VALIDATORS_KEY
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.handover import Trust
from ledger.chain.result import CallResult, Event, Result
from ledger.chain.statetree import StateTree
from ledger.chain.store import Store
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.crypto.hashing import ZERO_HASH
from ledger.crypto.keys import SigningKey

CREATED = 1_767_225_600_000


def key_of(name: str) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey(name.encode().ljust(32, b"."))


def committee(*nodes: str) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(node, f"hospital-{node}", key_of(node).public) for node in nodes)
    )


def schedule(*entries: tuple[int, ValidatorSet]) -> bytes:
    """The state value of ``governance/validators``."""
    return encode(
        [
            {
                "from": start,
                "members": [
                    {"node": m.node, "institution": m.institution, "key": m.key.hex()}
                    for m in validators.members
                ],
            }
            for start, validators in entries
        ]
    )


def parameters(validity_window: int) -> bytes:
    """The state value of ``parameters/schedule``."""
    return encode([{"from": 0, "values": {"validity_window": validity_window}}])


def certify(header: Header, nodes: Sequence[str], view: int = 0) -> Certificate:
    """The commit signatures of these nodes over a header."""
    block = header.hash()
    digest = commit_digest(header.chain, header.height, view, block)
    signatures = tuple(CommitSignature(node, key_of(node).sign(digest)) for node in sorted(nodes))
    return Certificate(header.height, view, block, signatures)


class HandmadeChain:
    """A growing chain in a store; ``validators`` certify the next block.

    One that is in the store already goes on, with the validators of the genesis.
    """

    def __init__(self, path: Path | str, *nodes: str) -> None:
        self.validators = committee(*(nodes or ("n1", "n2", "n3", "n4")))
        self.founders = self.validators
        self.genesis = Genesis(1, "test", CREATED, (GenesisContract("governance", "", {}),))
        self.chain = self.genesis.chain_id()
        self.store = Store.open(str(path), create=True)
        self.tree = StateTree(self.store)
        #: How many transactions were made: each has another nonce.
        self.made = self.store.counts()[1]
        head = self.store.head()
        if head is None:
            self._found()
        else:
            self.head = head

    def _found(self) -> None:
        writes = {VALIDATORS_KEY: schedule((0, self.validators)), PARAMETERS_KEY: parameters(8)}
        update = self.tree.update(writes, 0)
        self.head = Header(
            1, self.chain, 0, 0, ZERO_HASH, "", CREATED, merkle.EMPTY_ROOT,
            identities_hash(()), merkle.EMPTY_ROOT, update.root, merkle.EMPTY_ROOT,
            self.validators.hash(),
        )  # fmt: skip
        self.store.initialise(self.genesis, self.head, writes, update.tiles)
        self.tree.adopt(update)

    @property
    def trust(self) -> Trust:
        """What somebody has who knows only the genesis."""
        return Trust(self.chain, self.founders)

    def found(self, path: Path) -> Store:
        """Another store, which holds the genesis of this chain and nothing else."""
        return HandmadeChain(path, *(member.node for member in self.founders.members)).store

    def transaction(self, *signers: str, calls: int = 1) -> Transaction:
        """A signed transaction that was not made before."""
        self.made += 1
        body = Body(
            chain=self.chain,
            nonce=self.made.to_bytes(8, "big"),
            valid_from=0,
            valid_until=1_000,
            atomic=False,
            calls=tuple(Call("records", "anchor", {"n": number}) for number in range(calls)),
            signers=tuple(key_of(signer).public for signer in signers or ("alice",)),
        )
        return sign_transaction(body, *(key_of(signer) for signer in signers or ("alice",)))

    def prepare(
        self,
        transactions: Sequence[Transaction] = (),
        writes: Mapping[bytes, bytes | None] | None = None,
    ) -> tuple[Block, tuple[bytes, ...], dict[bytes, bytes]]:
        """The next block, its encoded results and its tiles, without storing them."""
        results = tuple(encode(invented_result(transaction)) for transaction in transactions)
        raws = tuple(transaction.raw for transaction in transactions)
        update = self.tree.update(writes or {}, self.head.height + 1)
        header = Header(
            version=1,
            chain=self.chain,
            height=self.head.height + 1,
            view=0,
            parent=self.head.hash(),
            proposer=self.validators.members[0].node,
            time=self.head.time + 1_000,
            transactions_root=merkle.root(raws),
            identities=identities_hash(transaction.id for transaction in transactions),
            results_root=merkle.root(results),
            state_root=update.root,
            log_root=self.store.log().root(),
            validators=self.validators.hash(),
        )
        return Block(header, raws), results, update.tiles

    def append(
        self,
        transactions: Sequence[Transaction] = (),
        writes: Mapping[bytes, bytes | None] | None = None,
    ) -> Header:
        """Store the next block."""
        block, results, tiles = self.prepare(transactions, writes)
        certificate = certify(block.header, [member.node for member in self.validators.members])
        ids = [transaction.id for transaction in transactions]
        self.store.commit(block, certificate, results, writes or {}, tiles, ids)
        self.tree.adopt(self.tree.update(writes or {}, block.header.height))
        self.head = block.header
        return self.head

    def hand_over(self, *nodes: str) -> Header:
        """Store a block after which other nodes are the validators."""
        following = committee(*nodes)
        value = schedule((0, self.validators), (self.head.height + 2, following))
        header = self.append(writes={VALIDATORS_KEY: value})
        self.validators = following
        return header


def invented_result(transaction: Transaction) -> Result:
    calls = tuple(
        CallResult(True, "", {"n": number}, 7, (Event("records", "anchored", {"n": number}),))
        for number in range(len(transaction.body.calls))
    )
    return Result(transaction.id, calls)
