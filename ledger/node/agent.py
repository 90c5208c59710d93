"""The node as a signer: transactions that it sends in its own name."""

from __future__ import annotations

from collections.abc import Callable

from ledger.chain import limits
from ledger.chain.result import CallResult
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.contracts.replica import Replica
from ledger.crypto.keys import SigningKey
from ledger.node.inbox import Inbox
from ledger.node.reads import ChainReads

#: Heights for which a transaction of the node itself stays valid.
OWN_WINDOW = 1_000
#: How long the node waits for a transaction of its own, in seconds.
OWN_PATIENCE = 60.0


class Agent:
    """Signs calls with the node's key and waits for what becomes of them."""

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
        key = self._key()
        head, parameters = self._replica.head, self._replica.parameters
        body = Body(
            chain=head.chain,
            nonce=self._entropy(limits.MAX_NONCE_BYTES),
            valid_from=head.height,
            valid_until=head.height + min(OWN_WINDOW, parameters.validity_window),
            atomic=False,
            calls=(call,),
            signers=(key.public,),
        )
        return sign_transaction(body, key)

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        """Send one call signed by this node; its height and result once it is final.

        Raises:
            TimeoutError: it was not final in time.
            PermissionError: the node does not take it in.
        """
        transaction = self.sign(call)
        (submission,) = self._inbox.submit([transaction.raw])
        if not submission.accepted:
            raise PermissionError(f"{submission.code}: {submission.detail}")
        await self._inbox.wait(transaction.id, OWN_PATIENCE)
        outcome = self._reads.outcome(transaction.id)
        if outcome is None:
            raise TimeoutError("the transaction is not final yet")
        return outcome[0], outcome[2].calls[0]
