"""Clients of the simulated consortium, and what they were told."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ledger.chain import limits
from ledger.chain.transaction import Call, Transaction
from ledger.client.builder import Account, build, call
from ledger.node.answers import Submission
from ledger.node.node import Node
from ledger.sim.founding import Consortium

#: How long a client waits for its transaction, in seconds: longer than any trouble.
PATIENCE_S = 600.0
WINDOW = 500


@dataclass(slots=True, eq=False)
class Ticket:
    """One transaction and what its client knows of it.

    ``answer``: the node's first answer. ``height``: where it is final, as a node has said; that is
    the acknowledgement which must hold for ever.
    """

    node: str
    transaction: Transaction
    answer: Submission | None = None
    height: int | None = None

    @property
    def accepted(self) -> bool:
        return self.answer is not None and self.answer.accepted

    @property
    def final(self) -> bool:
        return self.height is not None


class Clients:
    """Patients who grant consents, each under a name of its own."""

    def __init__(self, consortium: Consortium, random: Random, window: int = WINDOW) -> None:
        self._consortium = consortium
        self._window = window
        self._random = random
        self._count = 0
        #: Everything that was submitted, in order.
        self.tickets: list[Ticket] = []

    def prepare(
        self, node: str, height: int, told: Call | None = None, signer: Account | None = None
    ) -> Ticket:
        """A signed transaction that will be given to a node; by default another consent."""
        patient = self._consortium.patients[self._count % len(self._consortium.patients)]
        self._count += 1
        if told is None:
            told = call(
                "consent",
                "grant",
                id=f"c{self._count}",
                subject=patient.subject,
                scope={"purposes": ["TREAT"]},
            )
        transaction = build(
            self._consortium.chain,
            max(height, 0),
            self._window,
            [told],
            [signer or patient.account],
            nonce=self._random.randbytes(limits.MAX_NONCE_BYTES),
        )
        ticket = Ticket(node, transaction)
        self.tickets.append(ticket)
        return ticket


async def send(node: Node, ticket: Ticket, patience_s: float = PATIENCE_S) -> None:
    """Give a transaction to a node and wait for what becomes of it, as an HTTP client would."""
    (ticket.answer,) = await node.service.submit([ticket.transaction.raw])
    if not ticket.answer.accepted:
        return
    await node.service.wait(ticket.transaction.id, patience_s)
    outcome = node.service.outcome(ticket.transaction.id)
    if outcome is not None:
        ticket.height = outcome[0]
        return
    # The node went on from a snapshot meanwhile: it knows where the transaction is, not what came
    # of it, and says so with 410.
    place = await node.service.archived_transaction(ticket.transaction.id)
    if place is not None:
        ticket.height = place.height
