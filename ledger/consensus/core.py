"""PBFT for one height after the other, as a state machine without I/O.

The core knows the heights: which one is being agreed on, who is behind, who is ahead. What happens
within a height is in `ledger.consensus.agreement`. Neither knows who drives it, nor what is in a
block.
"""

from __future__ import annotations

from ledger.consensus import timeouts
from ledger.consensus.agreement import Agreement
from ledger.consensus.candidates import Verdict
from ledger.consensus.committee import Committee
from ledger.consensus.effects import Behind, Effect, Lagging
from ledger.consensus.errors import PeerFault, ProtocolBug, Rule
from ledger.consensus.horizon import Horizon
from ledger.consensus.inputs import (
    Begin,
    BlockBuilt,
    BlockChecked,
    HeightContext,
    Input,
    Received,
    Timer,
    TimerFired,
    WorkPending,
)
from ledger.consensus.messages import Message, Statement
from ledger.consensus.outbox import Outbox
from ledger.consensus.promises import Promises
from ledger.consensus.status import Status
from ledger.crypto.keys import SigningKey


class Core:
    """One validator's part in the agreement. Not safe for several threads.

    Until the first `Begin`, every other input is ignored.
    """

    def __init__(self, node: str, key: SigningKey) -> None:
        """``node``: this validator's id; ``key``: one that validator sets name for it."""
        self.node = node
        self._keys = {key.public: key}
        self._outbox = Outbox()
        self._horizon = Horizon()
        self._agreement: Agreement | None = None
        self._asked_for_blocks = False

    def handle(self, happened: Input) -> list[Effect]:
        """Take one input; the effects are to be carried out in order.

        Raises:
            ProtocolBug: the driver broke the contract of an input, or the core is wrong.
            Malformed: a stored vote cannot be read.
        """
        if isinstance(happened, Begin):
            self._begin(happened.context)
        elif self._agreement is not None:
            self._pass_on(self._agreement, happened)
        return self._outbox.take()

    def learn(self, key: SigningKey) -> None:
        """Hold one more key, for heights whose validator set names it."""
        self._keys[key.public] = key

    def status(self) -> Status | None:
        """Where this node stands and for whom it waits; None before the first `Begin`."""
        agreement = self._agreement
        if agreement is None:
            return None
        committee = agreement.committee
        return agreement.status(self._horizon.ahead(committee.height, committee.faults + 1))

    def heard(self, node: str) -> tuple[Statement, ...]:
        """What ``node`` has signed of what is kept here: at this height, and early for the next.

        What came early is not verified.
        """
        agreement = self._agreement
        held = () if agreement is None else agreement.heard(node)
        return (*held, *self._horizon.heard(node))

    def _begin(self, context: HeightContext) -> None:
        height = context.height
        if self._agreement is not None and height <= self._agreement.committee.height:
            raise ProtocolBug(f"height {height} begins after {self._agreement.committee.height}")
        committee = Committee(context)
        key = self._keys.get(committee.key(self.node) or b"")
        if key is None:
            raise ProtocolBug(f"{self.node} has no vote with this key at height {height}")
        promises = Promises(self.node, key, context.chain, height, context.votes)
        self._outbox.begin(height)
        self._outbox.start(Timer.RESEND, 0, timeouts.resend_interval(context.parameters))
        self._asked_for_blocks = False
        agreement = Agreement(
            self.node,
            committee,
            promises,
            self._outbox,
            work_pending=context.work_pending,
            neglected=context.neglected,
        )
        self._agreement = agreement
        agreement.start()
        for peer, message in self._horizon.begin(height, committee.nodes):
            self._received(agreement, peer, message)

    def _pass_on(self, agreement: Agreement, happened: Input) -> None:
        committee = agreement.committee
        match happened:
            case Received(peer, message):
                self._received(agreement, peer, message)
            case TimerFired(timer, height, view) if height == committee.height:
                if timer is Timer.RESEND:
                    self._resend(agreement)
                else:
                    agreement.timer_fired(timer, view)
            case WorkPending():
                agreement.work_pending()
            case BlockBuilt(height, view, block) if height == committee.height:
                agreement.block_built(view, block)
            case BlockChecked(digest, fault, doubt):
                agreement.block_checked(digest, Verdict(fault, doubt))

    def _received(self, agreement: Agreement, peer: str, message: Message) -> None:
        try:
            self._sort(agreement, peer, message)
        except PeerFault as fault:
            self._outbox.accuse(fault)

    def _sort(self, agreement: Agreement, peer: str, message: Message) -> None:
        """Send a message where its height belongs. Every validator speaks for itself alone."""
        committee = agreement.committee
        if message.height < committee.height:
            if self._horizon.lags(peer, message, committee.height):
                self._outbox.put(Lagging(peer, message.height))
            return
        if message.node != peer:
            raise PeerFault(peer, Rule.IMPERSONATION, f"it passes on a message of {message.node}")
        if peer == self.node:
            raise PeerFault(peer, Rule.IMPERSONATION, "another process uses this node's identity")
        member = committee.key(peer) is not None
        if message.height == committee.height:
            if not member:
                raise PeerFault(peer, Rule.STRANGER, "it has no vote at this height")
            agreement.receive(message)
        elif member:
            self._horizon.see_ahead(peer, message, committee.height)
            self._ask_for_blocks(agreement, patient=False)

    def _resend(self, agreement: Agreement) -> None:
        """Nothing may have come of what was sent: say it again, and look around."""
        if agreement.decided:
            return
        interval = timeouts.resend_interval(agreement.committee.parameters)
        self._outbox.start(Timer.RESEND, 0, interval)
        agreement.send_again()
        self._asked_for_blocks = False
        self._ask_for_blocks(agreement, patient=True)

    def _ask_for_blocks(self, agreement: Agreement, *, patient: bool) -> None:
        """Say so if the others are ahead: by one height only after some patience."""
        if self._asked_for_blocks or agreement.decided:
            return
        committee = agreement.committee
        ahead = self._horizon.ahead(committee.height, committee.faults + 1)
        missed = agreement.missed_block() if patient else ()
        if ahead is not None and (patient or ahead[0] > committee.height + 1):
            self._outbox.put(Behind(ahead[0] - 1, ahead[1]))
        elif missed:
            self._outbox.put(Behind(committee.height, missed))
        else:
            return
        self._asked_for_blocks = True
