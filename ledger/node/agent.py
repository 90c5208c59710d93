"""The node as a signer: transactions that it sends in its own name, and for its staff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.chain import limits
from ledger.chain.result import CallResult, Result
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.contracts.replica import Replica
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
        head, parameters = self._replica.head, self._replica.parameters
        body = Body(
            chain=head.chain,
            nonce=self._entropy(limits.MAX_NONCE_BYTES),
            valid_from=head.height,
            valid_until=head.height + min(OWN_WINDOW, parameters.validity_window),
            atomic=atomic,
            calls=tuple(calls),
            signers=tuple(key.public for key in keys),
        )
        return sign_transaction(body, *keys)

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
