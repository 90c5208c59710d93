"""The node as a signer: transactions that it sends in its own name, and for its staff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.chain import limits
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.result import CallResult, Result
from ledger.chain.transaction import (
    Body,
    Call,
    Envelope,
    Transaction,
    check_body,
    decode_transaction,
    sign_transaction,
    verify_signatures,
)
from ledger.contracts.replica import Replica
from ledger.crypto import hashing
from ledger.crypto.keys import SigningKey
from ledger.node.inbox import Inbox
from ledger.node.reads import ChainReads

#: Heights for which a transaction of the node itself stays valid.
OWN_WINDOW = 1_000
#: How long the node waits for a transaction of its own, in seconds.
OWN_PATIENCE = 60.0


class Acted(NamedTuple):
    """A final transaction: its id, the height of its block, and what came out of each call."""

    tx_id: bytes
    height: int
    result: Result


class Prepared(NamedTuple):
    """A transaction that waits for its signatures: the encoded body, and the id to be signed."""

    body: bytes
    id: bytes
    valid_until: int


class Agent:
    """Signs calls with the node's key, also for others, and waits for what becomes of them."""

    def __init__(
        self,
        key: Callable[[], SigningKey],
        replica: Replica,
        inbox: Inbox,
        reads: ChainReads,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._key = key
        self._replica = replica
        self._inbox = inbox
        self._reads = reads
        self._entropy = entropy

    def sign(self, call: Call) -> Transaction:
        """A transaction of this node with one call, valid from now on."""
        return self._signed((call,), (self._key(),), atomic=False)

    def _signed(
        self, calls: Sequence[Call], keys: Sequence[SigningKey], *, atomic: bool
    ) -> Transaction:
        body = self._body(calls, [key.public for key in keys], atomic=atomic)
        return sign_transaction(body, *keys)

    def _body(self, calls: Sequence[Call], signers: Sequence[bytes], *, atomic: bool) -> Body:
        head, parameters = self._replica.head, self._replica.parameters
        return Body(
            chain=head.chain,
            nonce=self._entropy(limits.MAX_NONCE_BYTES),
            valid_from=head.height,
            valid_until=head.height + min(OWN_WINDOW, parameters.validity_window),
            atomic=atomic,
            calls=tuple(calls),
            signers=tuple(signers),
        )

    def prepare(
        self, calls: Sequence[Call], signers: Sequence[bytes], *, by_node: bool = False
    ) -> Prepared:
        """A transaction for others to sign, whole or not at all; first by this node if so asked.

        Args:
            calls: what it does; one that fails undoes all.
            signers: wire public keys, the caller first.
            by_node: whether this node is the caller, before them.

        Raises:
            Malformed: no transaction can hold this.
        """
        keys = [self._key().public, *signers] if by_node else list(signers)
        body = self._body(calls, keys, atomic=True)
        check_body(body)
        encoded = encode(body)
        return Prepared(encoded, hashing.TRANSACTION(encoded), body.valid_until)

    def countersign(self, prepared: Prepared, signatures: Sequence[bytes]) -> Transaction:
        """A transaction that was prepared with this node as its caller, with all its signatures.

        Raises:
            Malformed: these are not the signatures of the others.
        """
        body = decode(prepared.body, Body, limit=limits.MAX_TRANSACTION_BYTES)
        key = self._key()
        if body.signers[0] != key.public:
            raise Malformed("this node's key has changed since")
        raw = encode(Envelope(prepared.body, (key.sign(prepared.id), *signatures)))
        transaction = decode_transaction(raw)
        if not verify_signatures(transaction):
            raise Malformed("a signature is not good")
        return transaction

    async def send(self, transaction: Transaction) -> Acted:
        """Send what others signed; raises as `perform` does."""
        return await self._final(transaction)

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        """Send one call signed by this node; its height and result once it is final.

        Raises:
            TimeoutError: it was not final in time.
            PermissionError: the node does not take it in.
        """
        acted = await self._final(self.sign(call))
        return acted.height, acted.result.calls[0]

    async def act(
        self, people: Sequence[SigningKey], calls: Sequence[Call], *, atomic: bool = False
    ) -> Acted:
        """Send calls signed by ``people``, the caller first, and last by this node.

        The node's signature says on the chain that the institution acted for its employee. Raises
        as `perform` does, and `Malformed` for calls that no transaction can hold.
        """
        return await self._final(self._signed(calls, (*people, self._key()), atomic=atomic))

    async def _final(self, transaction: Transaction) -> Acted:
        (submission,) = self._inbox.submit([transaction.raw])
        if not submission.accepted:
            raise PermissionError(f"{submission.code}: {submission.detail}")
        await self._inbox.wait(transaction.id, OWN_PATIENCE)
        outcome = self._reads.outcome(transaction.id)
        if outcome is None:
            raise TimeoutError("the transaction is not final yet")
        return Acted(transaction.id, outcome[0], outcome[2])
