"""Auditing one block: is it good, and if not, which of its bytes are to blame.

The rules themselves are those of `ledger.contracts.blocks`. A broken hash says only that something
below it is wrong; here the parts are set against each other to say what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.audit.report import Fault, difference, shown
from ledger.audit.source import FoundBlock
from ledger.chain import limits
from ledger.chain.block import (
    Block,
    Certificate,
    Header,
    InvalidCertificate,
    ValidatorSet,
    check_header,
    commit_digest,
    verify_certificate,
)
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.result import decode_result
from ledger.chain.rows import MAX_RESULTS_BYTES
from ledger.chain.transaction import decode_transaction, verify_signatures
from ledger.contracts import blocks
from ledger.contracts.blocks import BlockFault, Executed
from ledger.contracts.machine import BlockContext
from ledger.contracts.replica import Replica
from ledger.crypto import suites


class _Bad(Exception):
    """Carries the fault that ends the check of a block."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def check_genesis_block(replica: Replica, row: FoundBlock) -> list[Fault]:
    """What is wrong with block 0, which follows from the genesis alone."""
    expected: dict[str, Any] = {
        "header": encode(replica.head),
        "body": encode(()),
        "certificate": b"",
        "results": encode(()),
    }
    if row.tree is not None:
        expected |= {"tree": 0, "total": 0}
    return [
        _cell(row, column, f"the {column} is not that of this genesis", value)
        for column, value in expected.items()
        if getattr(row, column) != value
    ]


def check_block(replica: Replica, row: FoundBlock) -> tuple[list[Fault], bool]:
    """Check a block on the replica and extend it.

    Returns:
        What is wrong, and whether the replay has to stop here because the block is not good. Wrong
        results or index columns beside a good block do not stop it.
    """
    try:
        header = _header(row)
        certificate = _decoded(row, "certificate", Certificate, limits.MAX_FRAME_BYTES)
        _check_certificate(row, header, certificate, replica.head.chain, replica.validators)
        body = _decoded(row, "body", tuple[bytes, ...], limits.MAX_BLOCK_BYTES)
        executed = _execute(replica, row, Block(header, body))
    except _Bad as bad:
        return [bad.fault], True
    faults = _check_results(row, executed)
    replica.commit(executed, certificate)
    stored = replica.store.stored(header.height)
    assert stored is not None
    faults += [
        _cell(row, column, f"{column} is not what the blocks make", getattr(stored, column))
        for column in ("tree", "total")
        if row.tree is not None and getattr(row, column) != getattr(stored, column)
    ]
    return faults, False


def _cell(row: FoundBlock, column: str, what: str, expected: Any) -> Fault:
    value = getattr(row, column)
    texts = shown(expected), shown(value)
    if isinstance(expected, bytes) and isinstance(value, bytes):
        texts = difference(expected, value)
    return Fault(what, row.height, table=row.table, key=column, expected=texts[0], found=texts[1])


def _fault(row: FoundBlock, column: str, what: str, **more: Any) -> _Bad:
    return _Bad(Fault(what, row.height, table=row.table, key=column, **more))


def _decoded(row: FoundBlock, column: str, kind: Any, limit: int) -> Any:
    raw = getattr(row, column)
    if not isinstance(raw, bytes):
        raise _fault(row, column, f"the {column} is not bytes", found=shown(raw))
    try:
        return decode(raw, kind, limit=limit)
    except Malformed as error:
        raise _fault(row, column, f"the {column} cannot be read", found=str(error)) from None


def _header(row: FoundBlock) -> Header:
    header: Header = _decoded(row, "header", Header, limits.MAX_BLOCK_BYTES)
    try:
        check_header(header)
    except Malformed as error:
        raise _fault(row, "header", "the header is not well-formed", found=str(error)) from None
    return header


def _check_certificate(
    row: FoundBlock,
    header: Header,
    certificate: Certificate,
    chain: bytes,
    validators: ValidatorSet,
) -> None:
    try:
        verify_certificate(header, certificate, validators)
    except InvalidCertificate as error:
        another = certificate.block != header.hash()
        if another and _quorum_signed(certificate, chain, validators):
            raise _fault(
                row,
                "header",
                "this is not the header that a quorum certified",
                expected=certificate.block.hex(),
                found=header.hash().hex(),
            ) from None
        raise _fault(row, "certificate", "the certificate is not good", found=str(error)) from None


def _quorum_signed(certificate: Certificate, chain: bytes, validators: ValidatorSet) -> bool:
    """Whether the certificate is good for the block that it names, whatever the header says."""
    digest = commit_digest(chain, certificate.height, certificate.view, certificate.block)
    signers = set()
    for entry in certificate.signatures:
        member = validators.find(entry.node)
        if member is not None and suites.verify(member.key, digest, entry.signature):
            signers.add(entry.node)
    return len(signers) >= validators.quorum


def _execute(replica: Replica, row: FoundBlock, block: Block) -> Executed:
    try:
        return blocks.check(replica.tip(), replica.machine, block)
    except BlockFault as fault:
        if fault.what == "transactions root":
            raise _Bad(_changed_transaction(row, block, fault)) from None
        if fault.what == "results root":
            raise _Bad(_other_result(replica, row, block, fault)) from None
        index = fault.transaction
        column = "header" if index is None else "body"
        raise _fault(
            row,
            column,
            fault.what,
            transaction="" if index is None else _id(block.transactions[index]),
            index=index,
            expected=fault.expected,
            found=fault.found,
        ) from None


def _id(raw: bytes) -> str:
    try:
        return decode_transaction(raw).id.hex()
    except Malformed:
        return ""


def _changed_transaction(row: FoundBlock, block: Block, fault: BlockFault) -> Fault:
    """Which transaction of a body is not the one that was certified.

    The certified root tells only that one is wrong. A transaction that cannot be read, is not
    signed, or has another id than its stored result names is the one.
    """
    ids = _stored_ids(row)
    for index, raw in enumerate(block.transactions):
        expected = ids[index] if index < len(ids) else ""
        what = ""
        detail = ""
        try:
            transaction = decode_transaction(raw)
        except Malformed as error:
            what, detail = "the transaction cannot be read", str(error)
        else:
            if not verify_signatures(transaction):
                what = "a signature is not good"
            elif expected not in ("", transaction.id.hex()):
                what, detail = (
                    "this is not the transaction that was certified",
                    transaction.id.hex(),
                )
        if what:
            return Fault(
                what, row.height, expected or _id(raw), index, row.table, "body", expected, detail
            )
    return Fault(
        "the transactions are not those that were certified",
        row.height,
        table=row.table,
        key="body",
        expected=fault.found,
        found=fault.expected,
    )


def _stored_ids(row: FoundBlock) -> list[str]:
    try:
        results = decode(row.results, tuple[bytes, ...], limit=MAX_RESULTS_BYTES)
        return [decode_result(raw).transaction.hex() for raw in results]
    except (Malformed, TypeError):
        return []


def _other_result(replica: Replica, row: FoundBlock, block: Block, fault: BlockFault) -> Fault:
    """Which certified result is not what a replay of the contracts gives."""
    tip = replica.tip()
    header = block.header
    execution = replica.machine.execute(
        tip.read,
        BlockContext(header.chain, header.height, header.time),
        [decode_transaction(raw) for raw in block.transactions],
        tip.parameters.call_gas,
    )
    ours = [encode(result) for result in execution.results]
    try:
        theirs = decode(row.results, tuple[bytes, ...], limit=MAX_RESULTS_BYTES)
    except (Malformed, TypeError):
        theirs = ()
    what = "the certified result is not what the contracts give"
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return _result_fault(what, row, index, mine, other)
    return Fault(
        what, row.height, table=row.table, key="header", expected=fault.expected, found=fault.found
    )


def _check_results(row: FoundBlock, executed: Executed) -> list[Fault]:
    """The stored results beside those of the replay, which the header's root confirms."""
    expected: Sequence[bytes] = executed.encoded_results
    what = "the stored result is not what the contracts give"
    try:
        stored = _decoded(row, "results", tuple[bytes, ...], MAX_RESULTS_BYTES)
    except _Bad as bad:
        return [bad.fault]
    if len(stored) != len(expected):
        return [
            Fault(
                "there is not one result for each transaction",
                row.height,
                table=row.table,
                key="results",
                expected=str(len(expected)),
                found=str(len(stored)),
            )
        ]
    return [
        _result_fault(what, row, index, mine, other)
        for index, (mine, other) in enumerate(zip(expected, stored, strict=True))
        if mine != other
    ]


def _result_fault(what: str, row: FoundBlock, index: int, mine: bytes, other: bytes) -> Fault:
    return Fault(
        what,
        row.height,
        decode_result(mine).transaction.hex(),
        index,
        row.table,
        "results",
        _result_text(mine),
        _result_text(other),
    )


def _result_text(raw: bytes) -> str:
    try:
        calls = decode_result(raw).calls
        return shown(msgspec.json.encode(calls).decode())
    except (Malformed, TypeError, ValueError):
        return shown(raw)
