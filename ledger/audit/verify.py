"""Replaying a chain from its genesis and comparing it with what somebody holds.

The auditor believes the genesis file and nothing else. Every block is checked and executed by the
same functions as a validator uses, in a store of the auditor's own that is thrown away afterwards;
then the audited store is compared with it row by row.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from ledger.audit.blocks import check_block, check_genesis_block
from ledger.audit.findings import findings_in
from ledger.audit.origin import begin
from ledger.audit.report import MAX_FAULTS, AuditReport, Fault
from ledger.audit.source import Source, Tables
from ledger.audit.tables import compare
from ledger.chain.codec import Malformed
from ledger.chain.constitution import validators_at
from ledger.chain.database import StoreError, open_database
from ledger.chain.document import Examination, examine, load_document
from ledger.chain.genesis import Genesis
from ledger.chain.handover import Trust
from ledger.chain.pruning import Pruning
from ledger.chain.receipt import InvalidReceipt, Verified, load_receipt, verify_receipt
from ledger.chain.store import Store
from ledger.contracts.machine import GenesisFailed, Machine
from ledger.contracts.replica import Replica

#: Called with how many blocks are done, and of how many.
Progress = Callable[[int, int], None]


class NotAuditable(ValueError):
    """A genesis from which no chain can be replayed."""


def verify_chain(source: Source, genesis: Genesis, progress: Progress | None = None) -> AuditReport:
    """Replay everything that a source holds.

    Blocks are replayed up to the first that is not good: what follows it rests on it. Rows of a
    store are compared as far as blocks were replayed.

    Args:
        source: from `open_store` or `open_export`.
        genesis: the auditor's own copy; its hash is the chain's id.
        progress: called after each block.

    Raises:
        NotAuditable: the genesis itself fails.
        StoreError: there is no room for the replay.
    """
    started = perf_counter()
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory(prefix="ledger-audit-") as directory:
        path = Path(directory) / "replay.db"
        store = Store.open(str(path), create=True)
        try:
            replica = _found(store, genesis)
            wrong = None if source.origin is None else _begin(source.origin, replica)
            faults += [wrong] if wrong else []
            good = wrong is None and _replay(source, replica, faults, progress)
            head = replica.head
            transactions = store.counts()[1]
            found = findings_in(replica.read)
            last = head.height if good else -1
            whole = good and head.height + 1 == source.blocks
            pruned = _pruned_copy(store, path, source.base) if whole and source.base else None
            if source.tables is not None and (whole or not (source.base or source.origin)):
                _compare(source.tables, path, pruned, faults, last, whole=whole)
        finally:
            store.close()
    faults.sort(key=lambda fault: (fault.height is None, fault.height or 0))
    return AuditReport(
        verified=not faults and not source.unchecked,
        chain=genesis.chain_id().hex(),
        blocks=head.height + 1 - (source.start if source.origin else 0) if good else 0,
        transactions=transactions,
        height=head.height if good else -1,
        state_root=head.state_root.hex() if good else "",
        faults=tuple(faults),
        seconds=perf_counter() - started,
        findings=found,
        unchecked=source.unchecked,
    )


def _begin(origin: str, replica: Replica) -> Fault | None:
    audited = Store.open(origin, read_only=True)
    try:
        return begin(audited, replica, Trust(replica.head.chain, replica.validators))
    finally:
        audited.close()


def _found(store: Store, genesis: Genesis) -> Replica:
    try:
        return Replica.found(store, genesis, Machine())
    except (GenesisFailed, Malformed) as error:
        raise NotAuditable(f"no chain can start from this genesis: {error}") from None


def _replay(
    source: Source,
    replica: Replica,
    faults: list[Fault],
    progress: Progress | None,
) -> bool:
    """Extend the replica by the source's blocks; returns whether the genesis block is good."""
    height = source.start
    good = False
    theirs = source.chain()
    if theirs not in (None, replica.head.chain):
        expected, other = replica.head.chain.hex(), theirs.hex()
        faults.append(
            Fault("the chain starts from another genesis", 0, expected=expected, found=other)
        )
        return False
    good = source.start > 0
    try:
        for found in source:
            height = found.height
            if height == 0:
                wrong = check_genesis_block(replica, found)
                stop = bool(wrong)
                good = not stop
            else:
                wrong, stop = check_block(replica, found)
            faults += wrong
            if stop or len(faults) >= MAX_FAULTS:
                return good
            height += 1
            if progress is not None:
                progress(height, source.blocks)
    except (StoreError, Malformed) as error:
        faults.append(Fault("the source cannot be read", height, found=str(error)))
        return good
    if height != source.blocks:
        what = "the block is missing, or another stands out of place"
        table = "" if source.tables is None else "blocks"
        faults.append(Fault(what, height, table=table, found=f"{source.blocks} blocks in all"))
    return good


def _pruned_copy(store: Store, path: Path, base: int) -> Path:
    """A copy of the replay, pruned as the audited store should be."""
    while store.reclaim():
        pass
    copy = path.with_name("pruned.db")
    shutil.copy(path, copy)
    pruned = Store.open(str(copy))
    try:
        for _ in Pruning(pruned).steps(base):
            pass
    finally:
        pruned.close()
    return copy


def _compare(
    tables: Tables,
    path: Path,
    pruned: Path | None,
    faults: list[Fault],
    last: int,
    *,
    whole: bool,
) -> None:
    replayed = open_database(str(path), read_only=True)
    kept = None if pruned is None else open_database(str(pruned), read_only=True)
    needed = None if kept is None else Tables(kept)
    try:
        for fault in compare(Tables(replayed), tables, last, whole=whole, needed=needed):
            faults.append(fault)
            if len(faults) >= MAX_FAULTS:
                return
        for message in tables.integrity():
            faults.append(Fault("the database file is damaged", found=message))
    except StoreError as error:
        faults.append(Fault("the database cannot be read", found=str(error)))
    finally:
        replayed.close()
        if kept is not None:
            kept.close()


def verify_receipt_file(genesis: Genesis, path: Path) -> Verified:
    """Check one receipt file with nothing but the genesis.

    Raises:
        InvalidReceipt: it proves nothing, or is no receipt.
        NotAuditable: the genesis itself fails.
        OSError: the file cannot be read.
    """
    receipt = load_receipt(path.read_bytes())
    trust = _trust(genesis)
    return verify_receipt(receipt, trust.chain, trust.validators)


def verify_document_file(
    genesis: Genesis, path: Path, content: bytes | None = None, salt: bytes | None = None
) -> Examination:
    """Check one document proof with nothing but the genesis.

    Args:
        content: the record's bytes, where they are to be checked too.
        salt: the record's digest salt, without which bytes cannot be compared.

    Raises:
        Malformed: it is no document proof.
        NotAuditable: the genesis itself fails.
        OSError: the file cannot be read.
    """
    proof = load_document(path.read_bytes())
    return examine(proof, _trust(genesis), content, salt)


def _trust(genesis: Genesis) -> Trust:
    try:
        state = Machine().genesis(genesis).writes
        return Trust(genesis.chain_id(), validators_at(state.get, 1))
    except (GenesisFailed, Malformed) as error:
        raise NotAuditable(f"no chain can start from this genesis: {error}") from None


__all__ = [
    "InvalidReceipt",
    "NotAuditable",
    "Verified",
    "verify_chain",
    "verify_document_file",
    "verify_receipt_file",
]
