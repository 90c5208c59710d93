"""Auditing a store that does not reach back to the genesis: from the block at which it begins.

The auditor takes a snapshot of that block out of the store into one of its own, by the same code by
which a node joins. So header, certificate and handovers are checked from the genesis on, the state
against the certified root, log and trail against the header; from there on blocks are replayed.
"""

from __future__ import annotations

from ledger.audit.report import Fault
from ledger.chain import supplier
from ledger.chain.handover import Trust
from ledger.chain.snapshot import (
    MAX_TRACES,
    Anchor,
    Introduction,
    InvalidSnapshot,
    children,
    read_chunk,
    read_trail,
)
from ledger.chain.staging import Staging, chunk_item, trace_item
from ledger.chain.statetree import TileMissing
from ledger.chain.store import Store, StoreError
from ledger.contracts.replica import Replica


class _Missing(Exception):
    """A part of a snapshot that the store should have."""


def begin(audited: Store, replica: Replica, trust: Trust) -> Fault | None:
    """Let the auditor's replica, at the genesis, go on from where the audited store begins.

    Returns:
        What is wrong with that beginning; None where nothing is.
    """
    height = audited.base() - 1
    staging = replica.store.staging()
    try:
        anchor = _introduce(audited, trust, height)
        _take_state(audited, staging, anchor)
        _take_trail(audited, staging, anchor)
    except InvalidSnapshot as fault:
        what = f"the block at which the store begins is not good ({fault.rule})"
        return Fault(what, height, found=str(fault))
    except (_Missing, TileMissing, StoreError) as error:
        what = "the store lacks what it needs of the block at which it begins"
        return Fault(what, height, found=str(error))
    replica.begin_at(anchor)
    return None


def _needed(raw: bytes | None, what: str) -> bytes:
    if raw is None:
        raise _Missing(what)
    return raw


def _introduce(audited: Store, trust: Trust, height: int) -> Anchor:
    introduction = Introduction(trust, height)
    while True:
        raw = supplier.manifest(audited, height, introduction.known)
        anchor = introduction.take(_needed(raw, "its header, certificate or parameters"))
        if anchor is not None:
            return anchor


def _take_state(audited: Store, staging: Staging, anchor: Anchor) -> None:
    wanted = [(b"", anchor.header.state_root)]
    while wanted:
        path, expected = wanted.pop()
        where = path.hex()[1::2] or "the root"
        raw = _needed(supplier.chunk(audited, anchor.header.height, path), f"the state at {where}")
        chunk = read_chunk(raw, path, expected)
        staging.put([chunk_item(path, expected, raw)])
        wanted += children(path, chunk.slots)


def _take_trail(audited: Store, staging: Staging, anchor: Anchor) -> None:
    height, expected = anchor.header.height, anchor.header.hash()
    while height >= anchor.oldest:
        count = min(MAX_TRACES, height - anchor.oldest + 1)
        raw = _needed(supplier.trail(audited, height, count), f"the trail at {height}")
        traces = read_trail(raw, height, anchor.header.chain)
        if traces[-1].header.hash() != expected:
            raise InvalidSnapshot("trail", f"block {height} has another hash")
        staging.put([trace_item(trace) for trace in traces])
        height, expected = traces[0].header.height - 1, traces[0].header.parent
