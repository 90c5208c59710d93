"""Transactions on their way into a block: admission, gossip, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from ledger.chain.codec import Malformed
from ledger.chain.store import Store
from ledger.chain.transaction import Transaction, decode_transaction
from ledger.contracts.blocks import Executed
from ledger.node.answers import Submission
from ledger.node.mempool import Mempool
from ledger.node.net.frames import MAX_GOSSIP_BYTES, Transactions

#: How long transactions gather before they are passed on together, in seconds.
GATHER_SECONDS = 0.004
#: What was submitted here and is still not final after so many seconds is passed on again.
REPEAT_SECONDS = 5.0
#: Keys known to be registered; forgotten whole when full or when the registry changes.
MAX_KNOWN_KEYS = 100_000

_EXPLANATIONS = {
    "wrong_chain": "signed for another chain",
    "window_too_wide": "the validity window is wider than the chain allows",
    "expired": "the validity window has passed",
    "not_yet_valid": "the validity window lies too far ahead",
    "too_large": "larger than a transaction may be",
    "pool_full": "too many transactions are waiting; try again later",
    "signer_limit": "too many transactions of this signer are waiting",
    "bad_signature": "a signature is missing or not good",
    "unknown_signer": "the first signer's key is not in the registry",
}


class Inbox:
    """What a node does with transactions before they are ordered.

    Args:
        next_height: the height of the block that is built next.
        publish: passes a frame on to the validators, or towards them.
        work: called when the first transaction that may stand in a block is there.
    """

    def __init__(
        self,
        store: Store,
        mempool: Mempool,
        *,
        next_height: Callable[[], int],
        publish: Callable[[Transactions], object],
        work: Callable[[], None],
    ) -> None:
        self._store = store
        self._mempool = mempool
        self._next_height = next_height
        self._publish = publish
        self._work = work
        self._known_keys: set[bytes] = set()
        self._gathered: list[bytes] = []
        self._flush_due = False
        # In this node's care and not final yet: id → raw envelope and when it was last passed on.
        self._own: dict[bytes, tuple[bytes, float]] = {}
        self._waiters: dict[bytes, list[asyncio.Future[None]]] = {}

    def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        """Take in transactions of clients of this node, and pass the good ones on."""
        return [self._submit(raw) for raw in raws]

    def _submit(self, raw: bytes) -> Submission:
        try:
            transaction = decode_transaction(raw)
        except Malformed as error:
            return Submission(id=None, accepted=False, code="malformed", detail=str(error))
        identity = transaction.id
        if identity in self._mempool:
            return Submission(id=identity.hex(), accepted=True, code="known")
        reason = self._admit(transaction)
        if reason == "duplicate":
            return Submission(id=identity.hex(), accepted=True, code="final")
        if reason:
            detail = _EXPLANATIONS.get(reason, reason)
            return Submission(id=identity.hex(), accepted=False, code=reason, detail=detail)
        self._take_care(identity, raw)
        return Submission(id=identity.hex(), accepted=True, code="accepted")

    def _take_care(self, identity: bytes, raw: bytes) -> None:
        """Pass a transaction on, and again as long as it stays out of blocks."""
        self._own[identity] = (raw, asyncio.get_running_loop().time())
        self._gathered.append(raw)
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)

    def gossiped(self, frame: Transactions, *, from_below: bool = False) -> None:
        """Take in what another node has passed on.

        Args:
            from_below: the other node does not reach the validators itself, so this one cares for
                its transactions as for those of its own clients.

        Raises:
            Malformed: the peer passed on what no correct node passes on.
        """
        for raw in frame.envelopes:
            if self._mempool.verified(raw) is not None:
                continue
            transaction = decode_transaction(raw)
            reason = self._admit(transaction)
            if reason == "bad_signature":
                raise Malformed("a transaction with a bad signature was passed on")
            if from_below and not reason:
                self._take_care(transaction.id, raw)

    def _admit(self, transaction: Transaction) -> str:
        if not self._registered(transaction.body.signers[0]):
            return "unknown_signer"
        idle = self._mempool.idle
        admission = self._mempool.add(transaction, self._next_height())
        if idle and not self._mempool.idle:
            self._work()
        return admission.reason

    def _registered(self, key: bytes) -> bool:
        """Whether somebody owns this key: keeps strangers from filling the chain with refusals.

        Only an entrance check; what a signer may do is decided by the contracts.
        """
        if key in self._known_keys:
            return True
        if self._store.value(b"registry/keys/" + key.hex().encode()) is None:
            return False
        if len(self._known_keys) >= MAX_KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys.add(key)
        return True

    def _flush(self) -> None:
        self._flush_due = False
        gathered, self._gathered = self._gathered, []
        self._pass_on(gathered, self._publish)

    def introduce(self, send: Callable[[Transactions], object]) -> None:
        """Pass on everything in this node's care to a node that has just connected."""
        self._pass_on((raw for raw, _since in self._own.values()), send)

    def _pass_on(self, raws: Iterable[bytes], publish: Callable[[Transactions], object]) -> None:
        for frame in in_frames(raws):
            publish(frame)

    async def repeat(self) -> None:
        """Pass on again what stays out of blocks for long; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(REPEAT_SECONDS / 2)
            now = loop.time()
            late = [
                identity
                for identity, (_raw, since) in self._own.items()
                if now - since >= REPEAT_SECONDS
            ]
            again = []
            for identity in late:
                raw, _since = self._own.pop(identity)
                if identity in self._mempool:
                    self._own[identity] = (raw, now)
                    again.append(raw)
            self._pass_on(again, self._publish)

    def final(self, ids: Sequence[bytes], registry_changed: bool) -> None:
        """The transactions of the newest block: forget them and tell whoever waits."""
        if registry_changed:
            self._known_keys.clear()
        height = self._next_height()
        self._mempool.remove(ids, height - 1)
        self._mempool.advance(height)
        for identity in ids:
            self._own.pop(identity, None)
            for waiter in self._waiters.pop(identity, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def follow(self, executed: Executed) -> None:
        """A block is final."""
        registry_changed = any(key.startswith(b"registry/keys/") for key in executed.writes)
        self.final([done.id for done in executed.transactions], registry_changed)

    def refresh(self) -> None:
        """The chain went on from a snapshot: see what that makes of everything that waits."""
        known = self._store.seen([transaction.id for transaction in self._mempool])
        self.final(sorted(known), registry_changed=True)

    async def wait(self, identity: bytes, seconds: float) -> None:
        """Return when the transaction is final, or when the time is up."""
        if self._store.locate(identity) is not None:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(identity, [])
        waiters.append(waiter)
        # It may have become final between the look-up and the registration.
        if self._store.locate(identity) is not None:
            waiter.set_result(None)
        await asyncio.wait([waiter], timeout=seconds)
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters and self._waiters.get(identity) is waiters:
            del self._waiters[identity]


def in_frames(raws: Iterable[bytes]) -> Iterator[Transactions]:
    """Envelopes in as few frames as they fit into."""
    batch: list[bytes] = []
    size = 0
    for raw in raws:
        if batch and size + len(raw) > MAX_GOSSIP_BYTES // 2:
            yield Transactions(tuple(batch))
            batch, size = [], 0
        batch.append(raw)
        size += len(raw) + 8
    if batch:
        yield Transactions(tuple(batch))
