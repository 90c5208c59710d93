"""A founded network without processes: real contracts, keys and stores, blocks made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ledger.chain.block import Block, Certificate
from ledger.chain.codec import encode
from ledger.chain.rules import proposer_of
from ledger.chain.transaction import Call, Envelope, Transaction
from ledger.client.builder import build, call
from ledger.contracts import blocks
from ledger.contracts.blocks import Executed, Tip
from ledger.contracts.replica import Replica
from tests.support.local_service import Consortium, certify, open_replica


class Chain:
    """A replica of the development network, and blocks that extend it."""

    def __init__(self, consortium: Consortium, directory: Path) -> None:
        self.consortium = consortium
        self.directory = directory
        self.replica = self.another()

    def another(self) -> Replica:
        """One more copy of the network's chain, at genesis."""
        place = self.directory / f"replica-{len(list(self.directory.iterdir()))}"
        place.mkdir()
        return open_replica(self.consortium, place)

    @property
    def chain(self) -> bytes:
        return self.replica.head.chain

    def transaction(self, label: str = "patient-pieter", **changes: Any) -> Transaction:
        """Somebody's signed call: a patient's consent, unless ``told`` is given."""
        told = changes.pop("told", None) or self.consent(label)
        options = {"chain": self.chain, "height": self.replica.head.height, "window": 100} | changes
        account = self.consortium.account(label)
        return build(options["chain"], options["height"], options["window"], [told], [account])

    def consent(self, label: str, name: str = "c") -> Call:
        subject = self.consortium.people[label].id
        return call("consent", "grant", id=name, subject=subject, scope={"purposes": ["TREAT"]})

    def grant(self, name: str, **changes: Any) -> Transaction:
        """A consent of that name."""
        return self.transaction(told=self.consent("patient-pieter", name), **changes)

    def forged(self, name: str) -> bytes:
        """A consent that nobody signed."""
        return encode(Envelope(self.grant(name).envelope.body, (bytes(64),)))

    def tip(self, **parameters: int) -> Tip:
        """Where the next block goes, with other parameters where they are given."""
        tip = self.replica.tip()
        changed = msgspec.structs.replace(tip.parameters, **parameters)
        return Tip(tip.header, tip.log_root, tip.read, tip.tree, tip.known, tip.validators, changed)

    def executed(
        self, *transactions: Transaction, time: int | None = None, tip: Tip | None = None
    ) -> Executed:
        """The next block, not stored."""
        tip = tip or self.replica.tip()
        height = tip.header.height + 1
        return blocks.candidate(
            tip,
            self.replica.machine,
            proposer=proposer_of(tip.header, tip.validators, tip.parameters, height, 0),
            view=0,
            time=tip.header.time + 1_000 if time is None else time,
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
