"""A scenario on the contract machine alone: no nodes, no blocks, no agreement, only the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger.chain.genesis import read_genesis
from ledger.chain.transaction import Call
from ledger.client.builder import Account, build
from ledger.contracts.machine import BlockContext, Machine
from ledger.scenario.backend import Outcome

#: Between two blocks, in milliseconds.
_PACE: Final = 1_000


class DirectBackend:
    """One state, one machine, one call a block.

    Args:
        home: of a founded network.
        call_gas: what one call may cost, as the chain's parameters have it.
    """

    def __init__(self, home: Path, call_gas: int = 2_000_000) -> None:
        genesis = read_genesis(home / "genesis.json")
        self._machine = Machine()
        self._chain = genesis.chain_id()
        self._state: dict[bytes, bytes] = {}
        self._height = 0
        self._time = genesis.created
        self._gas = call_gas
        #: What all calls cost together.
        self.gas = 0
        self._adopt(self._machine.genesis(genesis).writes)

    @property
    def now(self) -> int:
        return self._time + _PACE

    @property
    def height(self) -> int:
        return self._height

    def act(self, institution: str, signers: Sequence[Account], call: Call) -> Outcome:
        del institution
        self._height += 1
        self._time += _PACE
        nonce = self._height.to_bytes(8, "big")
        transaction = build(self._chain, self._height, 10, [call], signers, nonce=nonce)
        context = BlockContext(self._chain, self._height, self._time)
        execution = self._machine.execute(self._state.get, context, [transaction], self._gas)
        self._adopt(execution.writes)
        (result,) = execution.results[0].calls
        self.gas += result.gas
        return Outcome(result.ok, result.value, result.error, result.events)

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> Any:
        context = BlockContext(self._chain, self._height, self._time)
        result = self._machine.query(self._state.get, context, contract, method, arguments)
        if not result.ok:
            raise ValueError(result.error)
        return result.value

    def later(self, milliseconds: int) -> bool:
        self._time += milliseconds
        return True

    def _adopt(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
