"""Contracts in a bare state, without the library's governance: for tests of the language itself."""

from __future__ import annotations

from typing import Any

from ledger.chain.codec import encode
from ledger.chain.result import CallResult, Result
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.contracts.machine import BlockContext, Execution, Machine
from ledger.contracts.versions import schedule_key, source_key, version_key
from ledger.crypto import hashing
from ledger.crypto.keys import SigningKey

CHAIN = bytes(32)
KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(range(1, 33)))
GAS = 2_000_000
NAMES = (
    "Map, Value, call, call_index, caller, chain, commitment, digest, emit, encode, export, fail, "
    "from_hex, height, init, merkle_root, now, query, require, signers, transaction, "
    "verify_signature"
)
VERDICTS = "denies, forbids, limits, obliges, permits, silent"
#: Later names have a line of their own: the golden file holds hashes of sources with `IMPORT`.
COMPUTING = (
    "Codes, Record, add_months, age, changed, date, day_of, days, decimal, hours, minutes, "
    "month_of, year_of"
)
COMPUTE = f"from ledger.contracts.prelude import {COMPUTING}\n"
IMPORT = f"from ledger.contracts.prelude import {NAMES}\n"


def entry(source: str, version: int = 1, since: int = 0, paused: str = "", due: int = 0) -> Any:
    """An entry of a contract's schedule."""
    identity = hashing.SOURCE(source.encode()).hex()
    return {"version": version, "source": identity, "from": since, "paused": paused, "due": due}


def record(
    state: dict[bytes, bytes | None], name: str, *sources: str, schedule: list[Any] | None = None
) -> None:
    """Install a contract as the charter does: its sources, and the schedule of their versions."""
    for number, source in enumerate(sources, start=1):
        identity = hashing.SOURCE(source.encode()).hex()
        state[source_key(identity)] = encode(source)
        state[version_key(name, number)] = encode({"source": identity, "from": 0, "proposal": 0})
    state[schedule_key(name)] = encode(schedule or [entry(sources[-1])])


class Bench:
    """A state with contracts in it, moved on by transactions.

    Contracts are given without their import line, which would be the same everywhere.
    """

    def __init__(self, **contracts: str) -> None:
        self.state: dict[bytes, bytes | None] = {}
        self.machine = Machine()
        self.height = 1
        self._nonce = 0
        for name, source in contracts.items():
            record(self.state, name, IMPORT + source)

    @property
    def context(self) -> BlockContext:
        return BlockContext(CHAIN, self.height, 1_000 * self.height)

    def transaction(self, *calls: Call, atomic: bool = False) -> Transaction:
        self._nonce += 1
        nonce = self._nonce.to_bytes(4)
        signers = (KEY.public, OTHER_KEY.public)
        body = Body(CHAIN, nonce, 0, 1_000_000, atomic, calls, signers)
        return sign_transaction(body, KEY, OTHER_KEY)

    def execute(self, *transactions: Transaction, gas: int = GAS) -> Execution:
        """Run a block without keeping its writes."""
        return self.machine.execute(self.state.get, self.context, transactions, gas)

    def submit(self, *calls: Call, atomic: bool = False, gas: int = GAS) -> Result:
        """Run a block of one transaction and keep its writes."""
        execution = self.execute(self.transaction(*calls, atomic=atomic), gas=gas)
        self.state.update(execution.writes)
        self.height += 1
        return execution.results[0]

    def call(
        self, method: str, /, contract: str = "c", *, gas: int = GAS, **arguments: Any
    ) -> CallResult:
        return self.submit(Call(contract, method, arguments), gas=gas).calls[0]

    def query(self, method: str, /, contract: str = "c", **arguments: Any) -> CallResult:
        return self.machine.query(self.state.get, self.context, contract, method, arguments)


def module(lines: str) -> str:
    """A contract with these lines at its top level, and one query."""
    return f"{IMPORT}{COMPUTE}\n{lines}\n\n@query\ndef ask() -> int:\n    return 1\n"


def run(body: str, *, gas: int = GAS, top: str = "", **arguments: Any) -> CallResult:
    """Run the statements of a method whose parameters are the arguments, of any type.

    ``top``: lines before the method, such as imports and classes.
    """
    parameters = ", ".join(f"{name}: object" for name in arguments)
    lines = "\n".join("    " + line for line in body.strip("\n").splitlines())
    source = f"@export\ndef run({parameters}) -> object:\n{lines}\n"
    return Bench(c=top + source).call("run", gas=gas, **arguments)


def value_of(expression: str, *, top: str = "", **arguments: Any) -> Any:
    """What an expression gives; fails where it does."""
    result = run(f"return {expression}", top=top, **arguments)
    assert result.ok, result.error
    return result.value


def error_of(body: str, *, top: str = "", **arguments: Any) -> str:
    """The code of the failure that statements end in."""
    result = run(body, top=top, **arguments)
    assert not result.ok, result.value
    return result.error.partition(":")[0]
