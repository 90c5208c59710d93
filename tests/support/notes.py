"""A chain with two small contracts, executed by the real machine and certified by real keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger.chain.block import Header
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.rules import proposer_of
from ledger.chain.store import Store
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.contracts import blocks
from ledger.contracts.replica import Replica
from tests.support.chain import CREATED, certify, committee, key_of

GOVERNANCE = '''"""The least that a chain needs of governance."""

from ledger.contracts.prelude import Value, export, height, init

validators = Value("validators")


@init
def found(members: list) -> None:
    validators.set([{"from": 0, "members": members}])


@export
def hand_over(members: list) -> None:
    schedule = validators.get()
    schedule.append({"from": height() + 2, "members": members})
    validators.set(schedule)
'''

CHARTER = '''"""The least that a chain needs of the charter."""

from ledger.contracts.prelude import Map, digest, init

entries = Map("contracts")
texts = Map("sources")


@init
def found(contracts: list) -> None:
    for contract in contracts:
        name = digest(b"health-ledger/contract-source\\x00" + contract["source"].encode()).hex()
        texts[name] = contract["source"]
        entry = {"version": 1, "source": name, "from": 0, "paused": "", "due": 0}
        entries[contract["name"]] = [entry]
'''

PARAMETERS = '''"""The least that a chain needs of parameters: those that are usual."""

from ledger.contracts.prelude import Value, init

schedule = Value("schedule")


@init
def found() -> None:
    schedule.set([{"from": 0, "values": {}}])
'''

NOTES = '''"""Notes that anybody writes."""

from ledger.contracts.prelude import Map, Value, emit, export, require, signers

notes = Map("notes")
count = Value("count")


@export
def write(id: str, text: str) -> int:
    number = count.get(0) + 1
    count.set(number)
    notes[id] = {"text": text, "by": signers()[0], "number": number}
    emit("written", id=id, number=number)
    return number


@export
def erase(id: str) -> None:
    require(id in notes, "no_note", "there is no such note")
    del notes[id]
'''

NODES = ("n1", "n2", "n3", "n4")


def members(*nodes: str) -> list[dict[str, str]]:
    return [
        {"node": m.node, "institution": m.institution, "key": m.key.hex()}
        for m in committee(*nodes).members
    ]


def notes_genesis(network: str = "notes") -> Genesis:
    return Genesis(
        1,
        network,
        CREATED,
        (
            GenesisContract("governance", GOVERNANCE, {"members": members(*NODES)}),
            GenesisContract("charter", CHARTER, {}),
            GenesisContract("parameters", PARAMETERS, {}),
            GenesisContract("notes", NOTES, {}),
        ),
    )


class NotesChain:
    """A growing chain of notes in a store."""

    def __init__(self, path: Path) -> None:
        self.genesis = notes_genesis()
        self.store = Store.open(str(path), create=True)
        self.replica = Replica.found(self.store, self.genesis)
        self._count = 0

    def transaction(self, contract: str, method: str, **arguments: Any) -> Transaction:
        """A signed transaction with one call that was not made before."""
        self._count += 1
        key = key_of("alice")
        body = Body(
            self.genesis.chain_id(), self._count.to_bytes(8, "big"), 0, 1_000, False,
            (Call(contract, method, arguments),), (key.public,),
        )  # fmt: skip
        return sign_transaction(body, key)

    def note(self, name: str, text: str = "text") -> Transaction:
        return self.transaction("notes", "write", id=name, text=text)

    def append(self, *transactions: Transaction) -> Header:
        """Certify and store the next block."""
        tip = self.replica.tip()
        executed = blocks.candidate(
            tip,
            self.replica.machine,
            proposer=proposer_of(
                tip.header, tip.validators, tip.parameters, tip.header.height + 1, 0
            ),
            view=0,
            time=tip.header.time + 1_000,
            transactions=transactions,
        )
        nodes = [member.node for member in tip.validators.members]
        self.replica.commit(executed, certify(executed.block.header, nodes))
        return executed.block.header

    def grow(self, height: int, size: int = 4) -> list[Sequence[Transaction]]:
        """Blocks up to a height: notes written, overwritten, erased, and calls that fail."""
        made = []
        while self.replica.head.height < height:
            here = self.replica.head.height
            batch = [self.note(f"h{here}-{number}") for number in range(size - 1)]
            batch.append(
                self.transaction("notes", "erase", id=f"h{here - 1}-0")
                if here % 2
                else self.note("same", f"at {here}")
            )
            self.append(*batch)
            made.append(batch)
        return made

    def hand_over(self, *nodes: str) -> None:
        self.append(self.transaction("governance", "hand_over", members=members(*nodes)))
