"""What makes a block valid: the one place where that is written down.

The proposer, the other validators, followers, the simulator and the auditor all go through
`candidate` or `check`, so that they cannot come to different answers. Both are pure: everything
comes in through the `Tip` that the block is put on, and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.chain import merkle
from ledger.chain.block import PROTOCOL_VERSION, Block, Header, ValidatorSet, identities_hash
from ledger.chain.codec import Malformed, encode
from ledger.chain.constitution import Parameters, Read, validators_at
from ledger.chain.result import Result
from ledger.chain.rules import InvalidHeader, check_successor
from ledger.chain.statetree import TreeUpdate
from ledger.chain.transaction import Transaction, decode_transaction, verify_signatures
from ledger.contracts.machine import BlockContext, Execution, Machine

_RESULTS_ROOT: Final = "results root"
_STATE_ROOT: Final = "state root"


class BlockFault(ValueError):
    """The first thing that is wrong with a block.

    ``transaction``: its place in the block, or None when the fault is the header's. ``what``: the
    rule or field. ``expected`` and ``found``: as text.
    """

    def __init__(
        self, what: str, *, transaction: int | None = None, expected: str = "", found: str = ""
    ) -> None:
        self.what = what
        self.transaction = transaction
        self.expected = expected
        self.found = found
        where = "" if transaction is None else f"transaction {transaction}: "
        detail = f" (expected {expected}, found {found})" if expected or found else ""
        super().__init__(f"{where}{what}{detail}")

    @property
    def of_execution(self) -> bool:
        """Whether the block is well-formed and only its execution came out otherwise here."""
        return self.what in (_RESULTS_ROOT, _STATE_ROOT)


class Updates(Protocol):
    """The part of the state tree that a block needs."""

    def update(self, writes: dict[bytes, bytes | None], height: int) -> TreeUpdate:
        """The tree after a batch of writes, without changing the tree itself."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of a chain that the next block is put on.

    ``log_root``: RFC 9162 root over the hashes of all headers up to and including ``header``.
    ``known``: which of the given transaction ids the chain already holds.
    """

    header: Header
    log_root: bytes
    read: Read
    tree: Updates
    known: Callable[[Sequence[bytes]], set[bytes]]
    validators: ValidatorSet
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Executed:
    """A valid block with everything that storing it takes."""

    block: Block
    transactions: tuple[Transaction, ...]
    results: tuple[Result, ...]
    encoded_results: tuple[bytes, ...]
    writes: dict[bytes, bytes | None]
    update: TreeUpdate


def admission_fault(
    transaction: Transaction, chain: bytes, height: int, parameters: Parameters
) -> str | None:
    """Why a transaction may not stand in the block at ``height``: a stable code, or None.

    Codes: ``wrong_chain``, ``window_too_wide``, ``expired``, ``not_yet_valid``. Whether the chain
    already holds it and whether it is signed are asked elsewhere.
    """
    body = transaction.body
    if body.chain != chain:
        return "wrong_chain"
    if body.valid_until - body.valid_from > parameters.validity_window:
        return "window_too_wide"
    if height > body.valid_until:
        return "expired"
    if height < body.valid_from:
        return "not_yet_valid"
    return None


def _execute(
    tip: Tip, machine: Machine, time: int, transactions: Sequence[Transaction]
) -> Execution:
    context = BlockContext(tip.header.chain, tip.header.height + 1, time)
    parameters = tip.parameters
    return machine.execute(
        tip.read, context, transactions, parameters.call_gas, parameters.block_gas
    )


def candidate(
    tip: Tip,
    machine: Machine,
    *,
    proposer: str,
    view: int,
    time: int,
    transactions: Sequence[Transaction],
) -> Executed:
    """Build the block that a proposer puts forward on ``tip``.

    The transactions must be verified already; those that may not stand at this height or are on
    the chain are left out, and the list is cut where the block's gas runs out. ``time`` is moved
    past the parent's.
    """
    height = tip.header.height + 1
    time = max(time, tip.header.time + 1)
    held = tip.known([transaction.id for transaction in transactions])
    chosen = [
        transaction
        for transaction in transactions
        if transaction.id not in held
        and admission_fault(transaction, tip.header.chain, height, tip.parameters) is None
    ]
    execution = _execute(tip, machine, time, chosen)
    chosen = chosen[: len(execution.results)]
    update = tip.tree.update(execution.writes, height)
    encoded = tuple(encode(result) for result in execution.results)
    raws = tuple(transaction.raw for transaction in chosen)
    header = Header(
        version=PROTOCOL_VERSION,
        chain=tip.header.chain,
        height=height,
        view=view,
        parent=tip.header.hash(),
        proposer=proposer,
        time=time,
        transactions_root=merkle.root(raws),
        identities=identities_hash(transaction.id for transaction in chosen),
        results_root=merkle.root(encoded),
        state_root=update.root,
        log_root=tip.log_root,
        validators=tip.validators.hash(),
    )
    return Executed(
        Block(header, raws),
        tuple(chosen),
        tuple(execution.results),
        encoded,
        execution.writes,
        update,
    )


def _read_transactions(
    tip: Tip, block: Block, verified: Callable[[bytes], Transaction | None]
) -> tuple[Transaction, ...]:
    parameters = tip.parameters
    if len(block.transactions) > parameters.block_transactions:
        raise BlockFault(
            "too many transactions",
            expected=f"at most {parameters.block_transactions}",
            found=str(len(block.transactions)),
        )
    size = sum(map(len, block.transactions))
    if size > parameters.block_bytes:
        raise BlockFault(
            "too many bytes", expected=f"at most {parameters.block_bytes}", found=str(size)
        )
    transactions: list[Transaction] = []
    ids: set[bytes] = set()
    for place, raw in enumerate(block.transactions):
        transaction = verified(raw)
        if transaction is None:
            try:
                transaction = decode_transaction(raw)
            except Malformed as error:
                raise BlockFault("malformed", transaction=place, found=str(error)) from None
            if not verify_signatures(transaction):
                raise BlockFault("a signature is not good", transaction=place)
        code = admission_fault(transaction, tip.header.chain, block.header.height, parameters)
        if code is not None:
            raise BlockFault(code, transaction=place)
        if transaction.id in ids:
            raise BlockFault("twice in the block", transaction=place)
        ids.add(transaction.id)
        transactions.append(transaction)
    held = tip.known([transaction.id for transaction in transactions])
    for place, transaction in enumerate(transactions):
        if transaction.id in held:
            raise BlockFault("already on the chain", transaction=place)
    return tuple(transactions)


def _same(what: str, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise BlockFault(what, expected=expected.hex(), found=found.hex())


def check(
    tip: Tip,
    machine: Machine,
    block: Block,
    *,
    verified: Callable[[bytes], Transaction | None] = lambda _raw: None,
) -> Executed:
    """Execute a block on ``tip`` and compare everything that its header claims.

    Args:
        verified: the decoded transaction of raw bytes whose signatures are known to be good.

    Raises:
        BlockFault: naming the first rule that the block breaks.
    """
    header = block.header
    try:
        check_successor(tip.header, header, tip.validators, tip.parameters)
    except InvalidHeader as error:
        raise BlockFault(str(error)) from None
    _same("log root", tip.log_root, header.log_root)
    _same("transactions root", merkle.root(block.transactions), header.transactions_root)
    transactions = _read_transactions(tip, block, verified)
    ids = identities_hash(transaction.id for transaction in transactions)
    _same("identities", ids, header.identities)
    execution = _execute(tip, machine, header.time, transactions)
    if len(execution.results) < len(transactions):
        raise BlockFault(
            "the block's gas ran out before this one", transaction=len(execution.results)
        )
    encoded = tuple(encode(result) for result in execution.results)
    _same(_RESULTS_ROOT, merkle.root(encoded), header.results_root)
    update = tip.tree.update(execution.writes, header.height)
    _same(_STATE_ROOT, update.root, header.state_root)
    return Executed(
        block, transactions, tuple(execution.results), encoded, execution.writes, update
    )


def genesis_header(chain: bytes, time: int, state_root: bytes, read: Read) -> Header:
    """The header of height 0, which nobody certifies: it follows from the genesis alone."""
    return Header(
        version=PROTOCOL_VERSION,
        chain=chain,
        height=0,
        view=0,
        parent=bytes(32),
        proposer="",
        time=time,
        transactions_root=merkle.root(()),
        identities=identities_hash(()),
        results_root=merkle.root(()),
        state_root=state_root,
        log_root=merkle.root(()),
        validators=validators_at(read, 1).hash(),
    )
