"""Where two executions of one block begin to differ: transaction, contract line, key, both values.

Two nodes that execute the same block on the same state come to the same roots, or one of them is
broken: other software, a damaged store, a contract that found a way out of determinism. The roots
only say *that* they differ. With the other node's results and writes, which the header's roots
prove, the block is executed once more here and the first difference is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import merkle
from ledger.chain.block import Block
from ledger.chain.codec import Malformed, decode_value
from ledger.chain.constitution import Read
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.result import CallResult, decode_result
from ledger.chain.transaction import Transaction, decode_transaction
from ledger.contracts.blocks import Tip
from ledger.contracts.host import Overlay
from ledger.contracts.machine import BlockContext, Execution, Machine
from ledger.contracts.meter import Failure

#: Longest text of a value in a difference.
MAX_SHOWN: Final = 300
_ABSENT: Final = "nothing"
_PROBE: Final = "probe"


class Unproven(ValueError):
    """What the other node says it computed does not have the roots of the header."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node computed for a block: the encoded `Result` of each transaction, and the entries
    that change."""

    results: tuple[bytes, ...]
    writes: Mapping[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference. ``transaction``: its place in the block, or -1 if it cannot be told;
    ``identity``: its hex id; ``call``: place in the transaction, or -1. ``place``: contract and
    line, with a colon between, of the statement here that wrote or failed, or empty. ``what``: the
    state key as text, or the part of the result. ``ours`` and ``theirs``: for people, cut to a
    readable length.
    """

    transaction: int
    identity: str
    call: int
    place: str
    what: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        where = (
            f"transaction {self.transaction} ({self.identity}), call {self.call}"
            if self.transaction >= 0
            else "a transaction that cannot be told"
        )
        line = f", at {self.place}" if self.place else ""
        return f"{where}{line}: {self.what} is {self.ours} here and {self.theirs} there"


class _Recorder(Overlay):
    """Remembers every write in order, also those that are undone later."""

    __slots__ = ("puts",)

    def __init__(self, read: Read) -> None:
        super().__init__(read)
        self.puts: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        self.puts.append((key, value))
        super().put(key, value)


class _Probe(Overlay):
    """Fails at one write, counted from 0; the machine then names the line of it."""

    __slots__ = ("left",)

    def __init__(self, read: Read, number: int) -> None:
        super().__init__(read)
        self.left = number

    def put(self, key: bytes, value: bytes | None) -> None:
        self.left -= 1
        if self.left == -1:
            raise Failure(_PROBE, "")
        super().put(key, value)


def first_difference(
    tip: Tip, machine: Machine, block: Block, theirs: Outcome
) -> Difference | None:
    """Execute a block and say where the other node's outcome begins to differ; None if nowhere.

    Raises:
        Unproven: the other outcome is not the one that the header stands for.
        Malformed: a transaction or a result cannot be read.
    """
    _prove(tip, block, theirs)
    transactions = [decode_transaction(raw) for raw in block.transactions]
    recorder = _Recorder(tip.read)
    ours = _execute(tip, machine, block, transactions, recorder)
    in_results = _differing_result(transactions, ours.results, theirs.results)
    in_state = _differing_write(tip, machine, block, transactions, recorder, ours, theirs)
    found = [one for one in (in_state, in_results) if one is not None]
    return min(found, key=lambda one: (one.transaction < 0, one.transaction), default=None)


def _prove(tip: Tip, block: Block, theirs: Outcome) -> None:
    header = block.header
    if merkle.root(theirs.results) != header.results_root:
        raise Unproven("the results are not those of the header")
    if tip.tree.update(dict(theirs.writes), header.height).root != header.state_root:
        raise Unproven("the writes do not lead to the state of the header")


def _execute(
    tip: Tip, machine: Machine, block: Block, transactions: Sequence[Transaction], overlay: Overlay
) -> Execution:
    context = BlockContext(tip.header.chain, block.header.height, block.header.time)
    return machine.execute(
        tip.read,
        context,
        transactions,
        tip.parameters.call_gas,
        tip.parameters.block_gas,
        overlay=overlay,
    )


def _differing_result(
    transactions: Sequence[Transaction], ours: Sequence[Any], theirs: Sequence[bytes]
) -> Difference | None:
    for place, transaction in enumerate(transactions):
        mine = ours[place].calls if place < len(ours) else ()
        other = decode_result(theirs[place]).calls if place < len(theirs) else ()
        if mine == other:
            continue
        pairs = zip(mine, other, strict=False)
        call = next((at for at, (one, two) in enumerate(pairs) if one != two), -1)
        if call < 0:
            texts = f"{len(mine)} results of calls", f"{len(other)}"
            return Difference(place, transaction.id.hex(), -1, "", "the result", *texts)
        part = _differing_part(mine[call], other[call])
        return Difference(
            place,
            transaction.id.hex(),
            call,
            _place_of(mine[call].error),
            f"the result's {part}",
            _shown(getattr(mine[call], part)),
            _shown(getattr(other[call], part)),
        )
    return None


def _differing_part(mine: CallResult, other: CallResult) -> str:
    parts = ("ok", "error", "value", "events", "gas")
    return next(part for part in parts if getattr(mine, part) != getattr(other, part))


def _differing_write(
    tip: Tip,
    machine: Machine,
    block: Block,
    transactions: Sequence[Transaction],
    recorder: _Recorder,
    ours: Execution,
    theirs: Outcome,
) -> Difference | None:
    """Of the entries that end otherwise, the one that was written first here."""
    read = tip.read
    differing = {
        key
        for key in {*ours.writes, *theirs.writes}
        if ours.writes.get(key, read(key)) != theirs.writes.get(key, read(key))
    }
    if not differing:
        return None
    last = {put: number for number, put in enumerate(recorder.puts)}
    written = [
        (last[key, ours.writes[key]], key)
        for key in differing
        if key in ours.writes and (key, ours.writes[key]) in last
    ]
    number, key = min(written, default=(-1, min(differing)))
    values = (
        _value(ours.writes.get(key, read(key))),
        _value(theirs.writes.get(key, read(key))),
    )
    name = key.decode("utf-8", "replace")
    if number < 0:
        return Difference(-1, "", -1, "", name, *values)
    probe = _execute(tip, machine, block, transactions, _Probe(read, number))
    for place, result in enumerate(probe.results):
        for call, outcome in enumerate(result.calls):
            if outcome.error.startswith(f"{_PROBE}:"):
                identity = transactions[place].id.hex()
                return Difference(place, identity, call, _place_of(outcome.error), name, *values)
    return Difference(-1, "", -1, "", name, *values)


def _place_of(error: str) -> str:
    """The ``(contract:line)`` at the end of an error."""
    start = error.rfind("(")
    return error[start + 1 : -1] if start >= 0 and error.endswith(")") else ""


def _value(raw: bytes | None) -> str:
    if raw is None:
        return _ABSENT
    try:
        return _shown(decode_value(raw, limit=MAX_STATE_VALUE_BYTES))
    except Malformed:
        return _shown(raw)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
