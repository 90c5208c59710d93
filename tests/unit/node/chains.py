"""A founded network without processes, as the tests of single parts of a node use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.chain.block import Block, Certificate
from ledger.chain.rules import proposer_of
from ledger.chain.transaction import Transaction
from ledger.client.builder import Account, build, call
from ledger.contracts import blocks
from ledger.contracts.blocks import Executed
from ledger.contracts.replica import Replica
from tests.support.local_service import Consortium, certify, open_replica


class Chain:
    """Replicas of one network, and blocks that extend them."""

    def __init__(self, consortium: Consortium, directory: Path) -> None:
        self.consortium = consortium
        self.directory = directory
        self.replica = self.another()

    def another(self) -> Replica:
        """One more copy, at genesis."""
        place = self.directory / f"replica-{len(list(self.directory.iterdir()))}"
        place.mkdir()
        return open_replica(self.consortium, place)

    @property
    def chain(self) -> bytes:
        return self.replica.head.chain

    def transaction(self, label: str = "patient-pieter", **changes: Any) -> Transaction:
        """A patient grants a consent, unless a call is given."""
        account = self.consortium.account(label)
        told = changes.pop("told", None) or self.grant(label)
        options = {"chain": self.chain, "height": self.replica.head.height, "window": 100} | changes
        return build(options["chain"], options["height"], options["window"], [told], [account])

    def grant(self, label: str) -> Any:
        subject = self.consortium.people[label].id
        return call("consent", "grant", id="c", subject=subject, scope={"purposes": ["TREAT"]})

    def executed(self, *transactions: Transaction, view: int = 0) -> Executed:
        """The next block, not stored."""
        tip = self.replica.tip()
        height = tip.header.height + 1
        return blocks.candidate(
            tip,
            self.replica.machine,
            proposer=proposer_of(tip.header, tip.validators, tip.parameters, height, view),
            view=view,
            time=tip.header.time + 1_000,
            transactions=transactions,
        )

    def certificate(self, block: Block) -> Certificate:
        return certify(block.header, self.consortium.nodes)

    def append(self, *transactions: Transaction) -> tuple[Block, Certificate]:
        """Store the next block."""
        executed = self.executed(*transactions)
        certificate = self.certificate(executed.block)
        self.replica.commit(executed, certificate)
        return executed.block, certificate

    def officer(self, node: str = "east-1") -> Account:
        return Account(self.consortium.nodes[node])
