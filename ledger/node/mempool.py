"""Transactions that wait for a block. A pure data structure: no socket, clock, disk or log.

Everything costs time in proportion to what changes: after a block only its own transactions, those
that expired and those that became valid are touched, never the whole pool. A signature is checked
once, on arrival; the pool remembers the exact bytes that were good, for the time when they come
back inside a block.

``height`` always means the height of the block that is built next.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.chain import limits
from ledger.chain.transaction import Transaction, verify_signatures

#: Why a transaction may not stand in the block at a height: a stable code, or None.
Rule = Callable[[Transaction, int], str | None]

_RECENT_IDS: Final = 50_000
_NEVER: Final = 2**63


class Admission(NamedTuple):
    """What became of a transaction that was offered.

    ``reason`` is empty when it was accepted, and one of these stable codes when not:
    ``wrong_chain``, ``window_too_wide``, ``expired``, ``not_yet_valid`` (or another code of the
    rule), ``too_large``, ``duplicate``, ``pool_full``, ``signer_limit``, ``bad_signature``.
    """

    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of a pool; sizes in bytes of raw envelopes.

    The share of a signer counts the transactions whose first signer it is: a hospital that
    co-signs for its clinicians is not held to the limit of one of them. ``ahead``: how many heights
    before its window opens a transaction is taken in, so that a node which lags a little does not
    refuse what a faster one told a client.
    """

    transactions: int = 20_000
    bytes: int = 64 * limits.MIB
    signer_transactions: int = 5_000
    signer_bytes: int = 16 * limits.MIB
    transaction_bytes: int = limits.MAX_TRANSACTION_BYTES
    ahead: int = 64


class _Share:
    """What one signer has in the pool."""

    __slots__ = ("bytes", "transactions")

    def __init__(self) -> None:
        self.transactions = 0
        self.bytes = 0


class _HeightIndex:
    """Ids by a height, in order of insertion, with those below a height taken out cheaply."""

    def __init__(self) -> None:
        self._ids: dict[int, dict[bytes, None]] = {}
        # Heights that have, or had, ids; one that lost them all stays until its turn comes.
        self._heap: list[int] = []
        self._heaped: set[int] = set()

    def add(self, height: int, identity: bytes) -> None:
        self._ids.setdefault(height, {})[identity] = None
        if height not in self._heaped:
            self._heaped.add(height)
            heapq.heappush(self._heap, height)

    def discard(self, height: int, identity: bytes) -> None:
        at_height = self._ids.get(height)
        if at_height is not None:
            at_height.pop(identity, None)
            if not at_height:
                del self._ids[height]

    def pop_below(self, height: int) -> list[bytes]:
        ids: list[bytes] = []
        while self._heap and self._heap[0] < height:
            lowest = heapq.heappop(self._heap)
            self._heaped.discard(lowest)
            ids.extend(self._ids.pop(lowest, ()))
        return ids


class _RecentIds:
    """The newest ids given to it: at least ``capacity`` of them, at most twice as many.

    ``since``: from this height on, every id of the chain is here.
    """

    def __init__(self, capacity: int, since: int) -> None:
        self._capacity = capacity
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()
        self.since = since
        self._newer_since = since

    def add(self, ids: Iterable[bytes], height: int) -> None:
        self._newer.update(ids)
        if len(self._newer) >= self._capacity:
            self._older, self._newer = self._newer, set()
            self.since, self._newer_since = self._newer_since, height + 1

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._newer or identity in self._older


class Mempool:
    """Verified transactions in order of arrival.

    Args:
        rule: whether a transaction may stand in the block at a height. Only the answer
            ``not_yet_valid`` is not final: such a transaction may wait.
        recorded: whether the chain already holds an id.
        verify: whether all signatures are good.
        bounds: how much is held.
        since: `remove` will be told of every transaction that enters the chain at this height or
            above, so a transaction that was never valid before needs no look-up in the chain.
    """

    def __init__(
        self,
        rule: Rule,
        recorded: Callable[[bytes], bool],
        *,
        verify: Callable[[Transaction], bool] = verify_signatures,
        bounds: PoolLimits | None = None,
        since: int | None = None,
    ) -> None:
        self._rule = rule
        self._recorded = recorded
        self._verify = verify
        self._bounds = bounds or PoolLimits()
        self._ready: dict[bytes, Transaction] = {}
        self._waiting: dict[bytes, Transaction] = {}
        self._by_raw: dict[bytes, Transaction] = {}
        self._opening = _HeightIndex()
        self._closing = _HeightIndex()
        self._shares: dict[bytes, _Share] = {}
        self._committed = _RecentIds(_RECENT_IDS, _NEVER if since is None else since)
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._by_raw)

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._ready or identity in self._waiting

    def __iter__(self) -> Iterator[Transaction]:
        """The transactions that may stand in a block now, in order of arrival."""
        return iter(self._ready.values())

    @property
    def size_bytes(self) -> int:
        """The raw envelopes together."""
        return self._bytes

    @property
    def idle(self) -> bool:
        """Whether nothing here may stand in a block now."""
        return not self._ready

    def has_work(self, block_bytes: int) -> bool:
        """Whether a transaction waits that could stand in a block of so many bytes now."""
        return any(len(transaction.raw) <= block_bytes for transaction in self._ready.values())

    def get(self, identity: bytes) -> Transaction | None:
        """The transaction with that id, if it is here."""
        return self._ready.get(identity) or self._waiting.get(identity)

    def verified(self, raw: bytes) -> Transaction | None:
        """The decoded transaction of these very bytes, if their signatures were found good here.

        One dictionary look-up, so another thread may ask while the pool changes.
        """
        return self._by_raw.get(raw)

    def refusal(self, transaction: Transaction, height: int) -> str:
        """Why a transaction would not be taken in, signatures aside: a code, or empty."""
        bounds, size, identity = self._bounds, len(transaction.raw), transaction.id
        if size > bounds.transaction_bytes:
            return "too_large"
        if identity in self or identity in self._committed:
            return "duplicate"
        fault = self._rule(transaction, height)
        if fault is not None and not self._may_wait(fault, transaction, height):
            return fault
        if len(self) >= bounds.transactions or self._bytes + size > bounds.bytes:
            return "pool_full"
        share = self._shares.get(transaction.body.signers[0])
        if share is not None and (
            share.transactions >= bounds.signer_transactions
            or share.bytes + size > bounds.signer_bytes
        ):
            return "signer_limit"
        if transaction.body.valid_from >= self._committed.since:
            return ""
        return "duplicate" if self._recorded(identity) else ""

    def add(self, transaction: Transaction, height: int, *, verified: bool = False) -> Admission:
        """Offer a transaction; the signatures come last, as they cost most.

        Args:
            transaction: decoded, hence well-formed.
            height: of the block that is built next.
            verified: the caller has checked the signatures of exactly this transaction.
        """
        reason = self.refusal(transaction, height)
        if reason:
            return Admission(False, reason)
        if not verified and not self._verify(transaction):
            return Admission(False, "bad_signature")
        self._insert(transaction, height)
        return Admission(True)

    def take(self, max_bytes: int, max_count: int, height: int) -> list[Transaction]:
        """The oldest transactions that fit into the block at ``height``. They stay in the pool.

        The order of arrival is kept: the list ends at the first one that no longer fits. Only what
        would not fit into an empty block either is passed over.
        """
        self.advance(height)
        taken: list[Transaction] = []
        free = max_bytes
        for transaction in self._ready.values():
            size = len(transaction.raw)
            if len(taken) >= max_count or max_bytes >= size > free:
                break
            if size <= free:
                taken.append(transaction)
                free -= size
        return taken

    def remove(self, ids: Sequence[bytes], height: int = 0) -> None:
        """Let go of the transactions of the block at ``height``; ids not here are fine."""
        self._committed.add(ids, height)
        for identity in ids:
            self._drop(identity)

    def advance(self, height: int) -> list[bytes]:
        """Follow the chain: drop what expired, let in what became valid; the ids that expired."""
        expired = self._closing.pop_below(height)
        for identity in expired:
            self._drop(identity)
        for identity in self._opening.pop_below(height + 1):
            self._ready[identity] = self._waiting.pop(identity)
        return expired

    def _may_wait(self, fault: str, transaction: Transaction, height: int) -> bool:
        return (
            fault == "not_yet_valid" and transaction.body.valid_from <= height + self._bounds.ahead
        )

    def _insert(self, transaction: Transaction, height: int) -> None:
        identity, body = transaction.id, transaction.body
        if body.valid_from > height:
            self._waiting[identity] = transaction
            self._opening.add(body.valid_from, identity)
        else:
            self._ready[identity] = transaction
        self._closing.add(body.valid_until, identity)
        self._by_raw[transaction.raw] = transaction
        self._bytes += len(transaction.raw)
        share = self._shares.setdefault(body.signers[0], _Share())
        share.transactions += 1
        share.bytes += len(transaction.raw)

    def _drop(self, identity: bytes) -> None:
        transaction = self._ready.pop(identity, None) or self._waiting.pop(identity, None)
        if transaction is None:
            return
        body, size = transaction.body, len(transaction.raw)
        self._opening.discard(body.valid_from, identity)
        self._closing.discard(body.valid_until, identity)
        del self._by_raw[transaction.raw]
        self._bytes -= size
        share = self._shares[body.signers[0]]
        share.transactions -= 1
        share.bytes -= size
        if not share.transactions:
            del self._shares[body.signers[0]]
