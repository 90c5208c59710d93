"""Execution of transactions on a state: a pure function of the state, the block and the calls.

The same inputs give the same results, gas and writes on every machine and every supported version
of CPython; nothing is read but through `Read`, nothing is written at all.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from ledger.chain import limits
from ledger.chain.codec import Malformed, encode
from ledger.chain.constitution import Read
from ledger.chain.genesis import Genesis
from ledger.chain.result import CallResult, Result
from ledger.chain.transaction import Call, Transaction
from ledger.contracts.compiler import InvalidContract, Program, compile_contract
from ledger.contracts.host import MAX_NESTING, CallContext, Overlay, Run
from ledger.contracts.linenotes import LineNotes
from ledger.contracts.meter import Failure, OutOfGas
from ledger.contracts.values import MAX_KEY, admit, pack, unpack
from ledger.crypto import hashing

T = TypeVar("T")

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
_GOVERNANCE: Final = "governance"


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


@dataclass(frozen=True, slots=True)
class _Installed:
    """A version of a contract that is in force from a height on."""

    program: Program
    version: int
    since: int

    def kind(self, method: str) -> str | None:
        return self.program.kind(method)

    def enter(self, run: Run, method: str, arguments: dict[str, Any]) -> Any:
        return self.program.enter(run, method, arguments)


class _Unknown:
    """Marks a record that is not in the cache."""


_UNKNOWN: Final = _Unknown()


def _fresh_stack(work: Callable[[], T]) -> T:
    """Run something at the bottom of a stack of its own."""
    outcome: list[T] = []
    fault: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed on to the caller below
            fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    return outcome[0]


def _with_room(work: Callable[[], T]) -> T:
    """Run something with enough stack under it that CPython's recursion limit is never met.

    How deep contracts may nest is decided by the meter; the host's stack must not decide first,
    because two nodes would call from different depths.
    """
    room = sys.getrecursionlimit() - _FRAMES_NEEDED
    frame = sys._getframe()
    while room > 0:
        if frame.f_back is None:
            return work()
        frame = frame.f_back
        room -= 1
    return _fresh_stack(work)


class Machine:
    """Runs contracts. It keeps compiled programs between calls, and nothing else.

    Safe for several threads, as long as each brings its own `Read`. With ``notes`` the programs
    note which of their lines ran.
    """

    def __init__(self, cache_size: int = 256, notes: LineNotes | None = None) -> None:
        self._cache_size = cache_size
        self._notes = notes
        # By the bytes of the contract's record, which change whenever the contract does.
        self._installed: dict[bytes, _Installed | None] = {}
        # Where the records of contracts stand, by the contract's name.
        self._keys: dict[str, bytes] = {}

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
        return _with_room(
            lambda: self._execute(writes, context, transactions, gas_limit, block_gas)
        )

    def query(
        self,
        read: Read,
        context: BlockContext,
        contract: str,
        method: str,
        arguments: dict[str, Any],
        gas_limit: int = QUERY_GAS,
    ) -> CallResult:
        """Run a query on a state; it sees no signers and no transaction.

        Raises:
            Malformed: the state holds what no contract wrote.
        """
        call = Call(contract, method, arguments)
        outside = CallContext(context.height, context.time, (), "", 0, context.chain)

        def work() -> CallResult:
            overlay = Overlay(read)
            result, _ = self._call(
                overlay, outside, call, gas_limit, limits.MAX_RESULT_BYTES, "query"
            )
            return result

        return _with_room(work)

    def genesis(self, genesis: Genesis) -> Execution:
        """Run the ``init`` of every contract of a genesis, on an empty state.

        ``governance`` is the first; its init gets ``contracts``, the list of name and source of
        all, and writes the records that the others are found by.

        Raises:
            GenesisFailed: naming the contract and what is wrong.
        """
        return _with_room(lambda: self._genesis(genesis))

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
            result, size = self._call(overlay, context, call, min(gas, purse), left, "export")
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

    def _call(
        self, overlay: Overlay, context: CallContext, call: Call, gas: int, room: int, kind: str
    ) -> tuple[CallResult, int]:
        """Run one call; returns its result and how many bytes it takes of the transaction's."""
        mark = len(overlay.journal)
        run = Run(
            gas,
            overlay,
            context,
            lambda name: self._find(overlay, name, context.height),
            call.contract,
            readonly=kind == "query",
        )
        try:
            program = self._find(overlay, call.contract, context.height)
            if program is None:
                raise Failure("unknown_contract", "no such contract")
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

    # Programs

    def _find(self, overlay: Overlay, name: str, height: int) -> _Installed | None:
        key = self._keys.get(name)
        if key is None:
            if not _is_contract_name(name):
                return None
            key = f"{_GOVERNANCE}/contracts/{name}".encode()
            if len(self._keys) < self._cache_size:
                self._keys[name] = key
        record = overlay.get(key)
        if record is None:
            return None
        installed = self._installed.get(record, _UNKNOWN)
        if isinstance(installed, _Unknown):
            installed = self._install(overlay, record)
            if len(self._installed) >= self._cache_size:
                self._installed.clear()
            self._installed[record] = installed
        return installed if installed and installed.since <= height else None

    def _install(self, overlay: Overlay, record: bytes) -> _Installed | None:
        """Compile what a contract's record names; None where that is not a contract."""
        fields = unpack(record)
        source = overlay.get(f"{_GOVERNANCE}/sources/{fields['source']}".encode())
        if source is None:
            raise Malformed("a contract whose source is not in the state")
        text = unpack(source)
        if hashing.SOURCE(text.encode()).hex() != fields["source"]:
            raise Malformed("a contract's source does not have the hash in its record")
        try:
            return _Installed(self._compile(text), fields["version"], fields["from"])
        except InvalidContract:
            return None

    def _compile(self, source: str) -> Program:
        notes = self._notes
        if notes is None:
            return _compile(source)
        return _fresh_stack(lambda: compile_contract(source, notes.of(source)))

    # Genesis

    def _genesis(self, genesis: Genesis) -> Execution:
        overlay = Overlay(lambda _key: None)
        context = CallContext(0, genesis.created, (), "", 0, b"")
        sources = [
            {"name": contract.name, "source": contract.source} for contract in genesis.contracts
        ]
        for contract in genesis.contracts:
            arguments = dict(contract.arguments)
            if contract.name == _GOVERNANCE:
                arguments["contracts"] = sources
            try:
                program = self._compile(contract.source)
            except InvalidContract as error:
                raise GenesisFailed(f"{contract.name}: {error}") from None
            if program.kind("init") is None and not any(
                method.kind == "init" for method in program.methods.values()
            ):
                if arguments:
                    raise GenesisFailed(f"{contract.name} has no init to take arguments")
                continue
            self._found(overlay, context, contract.name, program, arguments)
        for contract in genesis.contracts:
            try:
                known = self._find(overlay, contract.name, 0)
            except Malformed as error:
                raise GenesisFailed(f"{contract.name}: {error}") from None
            if known is None:
                raise GenesisFailed(f"governance did not record the contract {contract.name}")
        return Execution([], overlay.writes())

    def _found(
        self,
        overlay: Overlay,
        context: CallContext,
        name: str,
        program: Program,
        arguments: dict[str, Any],
    ) -> None:
        method = next(word for word, known in program.methods.items() if known.kind == "init")
        run = Run(
            GENESIS_GAS,
            overlay,
            context,
            lambda wanted: self._find(overlay, wanted, 0),
            name,
            readonly=False,
        )
        run.version = 1
        try:
            self._enter(run, program, Call(name, method, arguments), decoded=False)
        except Failure as failure:
            raise GenesisFailed(f"{name}.{method}: {_explain(failure)}") from None


@lru_cache(maxsize=256)
def _compile(source: str) -> Program:
    """A program holds no state, so all machines of a process share it."""
    return _fresh_stack(lambda: compile_contract(source))


def _is_contract_name(name: str) -> bool:
    return (
        0 < len(name) <= limits.MAX_NAME_BYTES
        and name.isascii()
        and name.replace("_", "a").isalnum()
    )


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
