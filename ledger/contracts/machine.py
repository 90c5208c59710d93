"""Execution of transactions on a state: a pure function of the state, the block and the calls.

The same inputs give the same results, gas and writes on every machine and every supported version
of CPython; nothing is read but through `Read`, nothing is written at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import limits
from ledger.chain.codec import Malformed, encode
from ledger.chain.constitution import Read
from ledger.chain.genesis import Genesis
from ledger.chain.result import CallResult, Result
from ledger.chain.transaction import Call, Transaction
from ledger.contracts.compiler import InvalidContract, Program
from ledger.contracts.host import CHARTER, MAX_NESTING, CallContext, Overlay, Run, paused
from ledger.contracts.linenotes import LineNotes
from ledger.contracts.meter import Failure, OutOfGas
from ledger.contracts.stack import with_room
from ledger.contracts.values import MAX_KEY, admit, pack, unpack
from ledger.contracts.versions import Installed, Versions

#: Gas of a query over the API, where no parameter of the chain applies.
QUERY_GAS: Final = 20_000_000
#: Gas of an ``init``: what stands in the genesis has been agreed upon.
GENESIS_GAS: Final = 10_000_000_000
#: What a call costs before it does anything, and per byte of its arguments.
CALL_GAS: Final = 500
#: Bytes of a transaction's results that are kept free for the outcomes of failed calls.
_RESULT_RESERVE: Final = 128 * limits.KIB
_RESULT_OVERHEAD: Final = 512
#: Python frames that execution may need: the contracts, and everything around and below them.
_FRAMES_NEEDED: Final = MAX_NESTING + 200

Find = Callable[[str], Installed | None]


class GenesisFailed(ValueError):
    """A contract of the genesis is invalid, or its ``init`` failed."""


@dataclass(frozen=True, slots=True)
class BlockContext:
    """``chain``: id of 32 bytes. ``height`` and ``time`` (milliseconds) of the block."""

    chain: bytes
    height: int
    time: int


@dataclass(frozen=True, slots=True)
class Execution:
    """One result for each transaction, and the entries of the state that change; None deletes."""

    results: list[Result]
    writes: dict[bytes, bytes | None]


class Machine:
    """Runs contracts. It keeps compiled programs between calls, and nothing else.

    Safe for several threads, as long as each brings its own `Read`. With ``notes`` the programs
    note which of their lines ran.
    """

    def __init__(self, cache_size: int = 256, notes: LineNotes | None = None) -> None:
        self._versions = Versions(cache_size, notes)

    def execute(
        self,
        read: Read,
        context: BlockContext,
        transactions: Sequence[Transaction],
        gas_limit: int,
        block_gas: int = limits.MAX_BLOCK_GAS,
        *,
        overlay: Overlay | None = None,
    ) -> Execution:
        """Run the transactions of a block in order.

        Args:
            read: the state that the block is put on.
            gas_limit: for each call, the calls that it makes included.
            block_gas: no transaction is run any more once those before have used so much; there
                are fewer results than transactions then. The calls of one transaction together
                get no more either.
            overlay: where the writes go, for those who want to look on; over ``read`` and empty.

        Raises:
            Malformed: the state holds what no contract wrote.
        """
        writes = overlay or Overlay(read)
        return with_room(
            _FRAMES_NEEDED,
            lambda: self._execute(writes, context, transactions, gas_limit, block_gas),
        )

    def query(
        self,
        read: Read,
        context: BlockContext,
        contract: str,
        method: str,
        arguments: dict[str, Any],
        gas_limit: int = QUERY_GAS,
        *,
        version: int | None = None,
    ) -> CallResult:
        """Run a query on a state; it sees no signers and no transaction.

        Args:
            version: run that version of the contract, whatever is in force and whether it is
                paused or not; the contracts that it calls are those in force.

        Raises:
            Malformed: the state holds what no contract wrote.
        """
        call = Call(contract, method, arguments)
        outside = CallContext(context.height, context.time, (), "", 0, context.chain)

        def work() -> CallResult:
            overlay = Overlay(read)
            find = self._finder(overlay, context.height, contract, version)
            return self._call(
                overlay, outside, call, gas_limit, limits.MAX_RESULT_BYTES, "query", find
            )[0]

        return with_room(_FRAMES_NEEDED, work)

    def apply(
        self, overlay: Overlay, context: BlockContext, call: Call, kind: str, gas_limit: int
    ) -> CallResult:
        """Run a call as if the contract ``charter`` made it, outside any transaction: for those who
        want to know what a change that is proposed would do. ``kind``: export or init.

        Raises:
            Malformed: the state holds what no contract wrote.
        """
        outside = CallContext(context.height, context.time, (), "", 0, context.chain)

        def work() -> CallResult:
            find = self._finder(overlay, context.height)
            room = limits.MAX_RESULT_BYTES
            return self._call(overlay, outside, call, gas_limit, room, kind, find, CHARTER)[0]

        return with_room(_FRAMES_NEEDED, work)

    def genesis(self, genesis: Genesis) -> Execution:
        """Run the ``init`` of every contract of a genesis, on an empty state.

        The init of ``charter`` gets ``contracts``, the list of name and source of all, and writes
        the schedules that they are found by.

        Raises:
            GenesisFailed: naming the contract and what is wrong.
        """
        return with_room(_FRAMES_NEEDED, lambda: self._genesis(genesis))

    # Blocks and transactions

    def _execute(
        self,
        overlay: Overlay,
        context: BlockContext,
        transactions: Sequence[Transaction],
        gas: int,
        block_gas: int,
    ) -> Execution:
        results: list[Result] = []
        spent = 0
        for transaction in transactions:
            if spent >= block_gas:
                break
            result = self._transaction(overlay, context, transaction, gas, block_gas)
            spent += sum([call.gas for call in result.calls])
            results.append(result)
        return Execution(results, overlay.writes())

    def _transaction(
        self,
        overlay: Overlay,
        block: BlockContext,
        transaction: Transaction,
        gas: int,
        purse: int,
    ) -> Result:
        body = transaction.body
        signers = tuple([signer.hex() for signer in body.signers])
        identity = transaction.id.hex()
        start = len(overlay.journal)
        left = limits.MAX_RESULT_BYTES - _RESULT_RESERVE
        results: list[CallResult] = []
        for index, call in enumerate(body.calls):
            context = CallContext(block.height, block.time, signers, identity, index, block.chain)
            find = self._finder(overlay, block.height)
            result, size = self._call(overlay, context, call, min(gas, purse), left, "export", find)
            left -= size
            purse -= result.gas
            results.append(result)
            if body.atomic and not result.ok:
                overlay.undo_to(start)
                results = _undone(results, index, len(body.calls))
                break
        # Nothing before this transaction is undone any more, unless the journal says so.
        del overlay.journal[:]
        return Result(transaction.id, tuple(results))

    def _finder(
        self, overlay: Overlay, height: int, contract: str = "", version: int | None = None
    ) -> Find:
        """What finds the contracts of a height; of one contract another version, if asked for."""

        def in_force(name: str) -> Installed | None:
            return self._versions.find(overlay.get, name, height)

        if version is None:
            return in_force
        other = self._versions.version(overlay.get, contract, version)
        return lambda name: other if name == contract else in_force(name)

    def _call(
        self,
        overlay: Overlay,
        context: CallContext,
        call: Call,
        gas: int,
        room: int,
        kind: str,
        find: Find,
        caller: str = "",
    ) -> tuple[CallResult, int]:
        """Run one call; returns its result and how many bytes it takes of the transaction's."""
        mark = len(overlay.journal)
        run = Run(gas, overlay, context, find, call.contract, readonly=kind == "query")
        run.caller = caller
        try:
            program = find(call.contract)
            if program is None:
                raise Failure("unknown_contract", "no such contract")
            if program.paused and caller != CHARTER:
                raise paused(call.contract)
            if program.kind(call.method) != kind:
                raise Failure("unknown_method", f"no {kind} of that name")
            run.version = program.version
            value = self._enter(run, program.program, call, decoded=kind == "export")
            raw = pack(run, value, max(room - run.event_bytes - _RESULT_OVERHEAD, 0))
        except Failure as failure:
            overlay.undo_to(mark)
            return _failed(failure, gas, run.gas), 0
        events = tuple(run.events)
        size = len(raw) + run.event_bytes + 2 * limits.MAX_NAME_BYTES * len(events)
        return (
            CallResult(True, "", unpack(raw), gas - run.gas, events),
            size + _RESULT_OVERHEAD,
        )

    def _enter(self, run: Run, program: Program, call: Call, *, decoded: bool) -> Any:
        """``decoded``: the arguments come from a transaction, so they are values of the chain."""
        if not decoded:
            admit(call.arguments)
        raw = encode(call.arguments)
        # Nothing in so few bytes exceeds a limit of the language.
        if decoded and len(raw) > MAX_KEY:
            admit(call.arguments)
        run.charge(CALL_GAS + len(raw))
        # A copy: contracts change their arguments, and transactions are executed again.
        return program.enter(run, call.method, unpack(raw))

    # Genesis

    def _genesis(self, genesis: Genesis) -> Execution:
        overlay = Overlay(lambda _key: None)
        context = CallContext(0, genesis.created, (), "", 0, b"")
        sources = [
            {"name": contract.name, "source": contract.source} for contract in genesis.contracts
        ]
        for contract in genesis.contracts:
            arguments = dict(contract.arguments)
            if contract.name == CHARTER:
                arguments["contracts"] = sources
            try:
                program = self._versions.compile(contract.source)
            except InvalidContract as error:
                raise GenesisFailed(f"{contract.name}: {error}") from None
            if program.init is not None:
                self._found(overlay, context, Call(contract.name, program.init, arguments), program)
            elif arguments:
                raise GenesisFailed(f"{contract.name} has no init to take arguments")
        for contract in genesis.contracts:
            try:
                known = self._versions.find(overlay.get, contract.name, 0)
            except Malformed as error:
                raise GenesisFailed(f"{contract.name}: {error}") from None
            if known is None:
                raise GenesisFailed(f"the charter did not record the contract {contract.name}")
        return Execution([], overlay.writes())

    def _found(self, overlay: Overlay, context: CallContext, call: Call, program: Program) -> None:
        find = self._finder(overlay, 0)
        run = Run(GENESIS_GAS, overlay, context, find, call.contract, readonly=False)
        run.version = 1
        try:
            self._enter(run, program, call, decoded=False)
        except Failure as failure:
            where = f"{call.contract}.{call.method}"
            raise GenesisFailed(f"{where}: {_explain(failure)}") from None


def _explain(failure: Failure) -> str:
    place = f" ({failure.place})" if failure.place else ""
    return f"{failure.code}: {failure.message}{place}"


def _failed(failure: Failure, gas: int, left: int) -> CallResult:
    spent = gas if isinstance(failure, OutOfGas) else gas - left
    return CallResult(False, _explain(failure), None, spent, ())


def _undone(results: list[CallResult], failed: int, count: int) -> list[CallResult]:
    """The results of an atomic transaction whose call ``failed`` failed."""
    why = f"call {failed} of an atomic transaction failed"
    before = [
        CallResult(False, f"undone: {why}", None, result.gas, ()) for result in results[:failed]
    ]
    after = [CallResult(False, f"not_run: {why}", None, 0, ())] * (count - failed - 1)
    return [*before, results[failed], *after]
