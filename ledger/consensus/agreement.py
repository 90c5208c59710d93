"""PBFT on one height: from "a height begins" to "this block is final".

The rules that everything here serves:

1. Nothing signed leaves before it is durable: a `Persist` stands in front of every new vote.
2. A node never signs two different things for one (height, view, phase); `Promises` sees to it.
3. In a view, a node prepares at most one block, only after executing it, and commits only to what a
   quorum prepared. Two quorums share an honest node, so one view has at most one prepared block.
4. Whoever leaves a view shows the newest block it saw prepared, and a new view starts with the
   newest among a quorum of such statements: a block that may be final anywhere is proposed again.
5. Views only grow. Votes from any view can complete a certificate; a certificate is always right.

The phases and the ways between them are a table in `ledger.consensus.phases`.

After Castro and Liskov, "Practical Byzantine Fault Tolerance" (OSDI 1999), simplified as IBFT 2.0
and QBFT do: each height is an instance of its own and its commit quorum the checkpoint.
"""

from __future__ import annotations

from ledger.chain.block import Block
from ledger.consensus.ballots import Ballots
from ledger.consensus.candidates import GOOD, Candidates, Verdict
from ledger.consensus.clock import Clock
from ledger.consensus.committee import Committee
from ledger.consensus.effects import Broadcast, BuildBlock, CheckBlock, Decide, Send
from ledger.consensus.errors import PeerFault, ProtocolBug
from ledger.consensus.inputs import Timer
from ledger.consensus.intake import Intake
from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Statement,
    ViewChange,
    highest_prepared,
    new_view,
    with_block,
)
from ledger.consensus.outbox import Outbox
from ledger.consensus.phases import OPEN, Event, Phase, step
from ledger.consensus.promises import Promises
from ledger.consensus.proposal import Proposal
from ledger.consensus.statements import PRE_PREPARE, PREPARE, PreparedCertificate
from ledger.consensus.status import Status


class Agreement:
    """One node's part in agreeing on one height; effects go to ``outbox``."""

    def __init__(
        self,
        node: str,
        committee: Committee,
        promises: Promises,
        outbox: Outbox,
        *,
        work_pending: bool,
        neglected: bool = False,
    ) -> None:
        self.node = node
        self.committee = committee
        self._promises = promises
        self._outbox = outbox
        self._clock = Clock(committee.parameters, outbox)
        self._work = work_pending
        self._neglected = neglected
        self._ballots = Ballots(committee.height, committee.quorum)
        self._candidates = Candidates()
        self._intake = Intake(committee, self._ballots, self._candidates)
        self._phase = Phase.WAITING
        self._view = 0
        self._proposal: Proposal | None = None
        #: The VIEW-CHANGEs by which this node was elected in the current view.
        self._mandate: tuple[ViewChange, ...] = ()
        self._refusal: str | None = None

    @property
    def decided(self) -> bool:
        return self._phase is Phase.DECIDED

    # Beginning and ending

    def start(self) -> None:
        """Stand where the stored votes say that this node stood; without any, at the start."""
        self._recount()
        lock = self._promises.lock
        if lock is not None:
            self._candidates.lock(lock.certificate.digest, lock.block)
        view = self._promises.newest_view
        if view is None:
            self._begin()
            return
        self._view = view
        if lock is not None and lock.certificate.view == view:
            self._proposal = Proposal(lock.certificate.digest, lock.block, None)
            self._move(Event.RESUMED)
            self._clock.give_time(view)
        elif self._promises.only_left_for(view):
            self._move(Event.GAVE_UP)
        else:
            self._await_proposal()
        self.send_again()
        self._advance()

    def _recount(self) -> None:
        for vote in self._promises.restored():
            try:
                self._ballots.add(vote)
            except PeerFault as fault:
                raise ProtocolBug(f"the stored votes contradict each other: {fault}") from None

    def _begin(self) -> None:
        """Start the height, or ask for another proposer before this one's next block is looked at.

        Whoever leaves transactions out may well be quick with its blocks, so the complaint must not
        depend on being there first.
        """
        if self._neglected and not self._is_proposer():
            self._change_view(self._view + 1, Event.GAVE_UP)
        else:
            self._await_proposal()

    def _await_proposal(self) -> None:
        """In phase WAITING: propose, or start the clock for whoever should."""
        idle = not self._work and self._promises.newest_view is None
        if not self._may_open():
            self._clock.give_time(self._view, idle=idle)
        elif idle:
            self._clock.wait_for_work(self._view)
        else:
            self._build(Event.CALLED)

    def work_pending(self) -> None:
        """The mempool is no longer empty."""
        news, self._work = not self._work, True
        if news and self._phase is Phase.WAITING:
            self._await_proposal()

    def timer_fired(self, timer: Timer, view: int) -> None:
        """The view had its time, or there was nothing to do for long enough."""
        if timer is Timer.VIEW and view == self._view and self._phase in OPEN:
            self._change_view(view + 1, Event.GAVE_UP)
        elif timer is Timer.IDLE and self._phase is Phase.WAITING and self._may_open():
            self._build(Event.CALLED)

    def _advance(self) -> None:
        """Take every step that the votes at hand allow."""
        if self._phase not in OPEN or self._decide():
            return
        if self._phase is Phase.PREPARING and self._proposal is not None:
            certificate = self._ballots.prepared(self._view, self._proposal.digest)
            if certificate is not None:
                self._commit(certificate, self._proposal.block)
                return
        higher = self._ballots.joinable(self._view, self.committee.faults + 1)
        if higher is not None:
            self._change_view(higher, Event.JOINED)
        elif self._phase is Phase.CHANGING:
            self._follow_view_change()

    def _decide(self) -> bool:
        certificate = self._ballots.committed()
        block = self._candidates.get(certificate.block) if certificate is not None else None
        if certificate is None or block is None:
            return False
        self._move(Event.FINAL)
        self._clock.stop()
        self._outbox.put(Decide(block, certificate))
        return True

    # The normal case

    def _build(self, event: Event) -> None:
        self._move(event)
        self._clock.stop_waiting()
        self._clock.give_time(self._view)
        self._outbox.put(BuildBlock(self.committee.height, self._view))

    def block_built(self, view: int, block: Block) -> None:
        """Propose the block that was asked for; one for a view left meanwhile is dropped.

        Raises:
            ProtocolBug: no validator may accept that block.
        """
        if view != self._view or self._phase is not Phase.BUILDING:
            return
        self.committee.check_own_block(block, view)
        digest = block.header.hash()
        self._candidates.judge(digest, GOOD)
        message = self._propose(block)
        self._proposal = Proposal(digest, block, message)
        self._move(Event.BUILT)
        self._prepare(digest, message)

    def _propose(self, block: Block) -> PrePrepare | NewView:
        pre_prepare = self._promises.pre_prepare(self._view, block)
        self._candidates.keep(pre_prepare.digest, block)
        self._count_own(pre_prepare)
        return new_view(pre_prepare, self._mandate) if self._mandate else pre_prepare

    def _adopt(self, view: int, proposal: Proposal) -> None:
        """Enter the view of a valid proposal and have its block checked."""
        self._move(Event.PROPOSED)
        self._view = view
        self._proposal = proposal
        self._mandate = ()
        self._candidates.keep(proposal.digest, proposal.block)
        self._clock.stop_waiting()
        self._clock.give_time(self._view)
        verdict = self._candidates.verdict(proposal.digest)
        if verdict is not None:
            self._apply(verdict, proposal)
        elif self._candidates.to_check(proposal.digest):
            self._outbox.put(CheckBlock(proposal.digest, proposal.block))
        self._advance()

    def block_checked(self, digest: bytes, verdict: Verdict) -> None:
        """The block was executed."""
        if not self._candidates.was_given_out(digest):
            return
        self._candidates.judge(digest, verdict)
        proposal = self._proposal
        if self._phase is Phase.CHECKING and proposal is not None and proposal.digest == digest:
            self._apply(verdict, proposal)

    def _apply(self, verdict: Verdict, proposal: Proposal) -> None:
        """Vote for the block on the table, or refuse it.

        A block handed on from an earlier view was prepared by a quorum: whoever hands it on does
        what the protocol asks, and an honest validator vouches for what this node only doubts.
        """
        pre_prepare = proposal.pre_prepare
        fresh = pre_prepare is not None and self.committee.is_fresh(pre_prepare)
        objection = verdict.fault or (verdict.doubt if fresh else None)
        if objection is None:
            self._move(Event.PASSED)
            self._prepare(proposal.digest)
            return
        if verdict.fault is not None and pre_prepare is not None and fresh:
            self._outbox.accuse(self.committee.invalid_proposal(pre_prepare, verdict.fault))
        self._refuse(objection)

    def _prepare(self, digest: bytes, proposal: Message | None = None) -> None:
        """Send PREPARE, behind the own proposal if it was made just now."""
        prepare = self._promises.prepare(self._view, digest)
        self._count_own(prepare)
        self._outbox.save(self._promises)
        if proposal is not None:
            self._outbox.put(Broadcast(proposal))
        self._outbox.put(Broadcast(prepare))
        self._advance()

    def _commit(self, certificate: PreparedCertificate, block: Block) -> None:
        self._move(Event.PREPARED)
        commit = self._promises.commit(certificate, block)
        self._candidates.lock(certificate.digest, block)
        self._count_own(commit)
        self._outbox.save(self._promises)
        self._outbox.put(Broadcast(commit))
        self._advance()

    # Changing the view

    def _refuse(self, fault: str) -> None:
        self._refusal = fault
        self._change_view(self._view + 1, Event.REFUSED)

    def _change_view(self, view: int, event: Event) -> None:
        self._move(event)
        self._view = view
        self._proposal = None
        self._mandate = ()
        self._clock.leave_view()
        change = self._promises.view_change(view)
        self._count_own(change)
        self._outbox.save(self._promises)
        self._send_view_change(change)
        self._advance()

    def _send_view_change(self, change: ViewChange) -> None:
        """Tell everybody; the new proposer also gets the block that it may have to hand on."""
        self._outbox.put(Broadcast(change))
        proposer = self.committee.proposer(change.view)
        lock = self._promises.lock
        if proposer != self.node and lock is not None and change.prepared == lock.certificate:
            self._outbox.put(Send(proposer, with_block(change, lock.block)))

    def _follow_view_change(self) -> None:
        """In phase CHANGING: start the clock once a quorum has come along, and propose if elected.

        The clock starts no earlier, or a node that is cut off would run away through the views
        and the others could not find it again.
        """
        arrived = self._ballots.supporters(self._view) >= self.committee.quorum
        if arrived and not self._clock.view_runs:
            self._clock.give_time(self._view)
        if not self._is_proposer():
            return
        self._mandate = self._ballots.changes_to(self._view, self._candidates)
        if not self._mandate:
            return
        highest = highest_prepared(self._mandate)
        block = self._candidates.get(highest.digest) if highest is not None else None
        if highest is None or block is None:
            self._build(Event.ELECTED)
            return
        message = self._propose(block)
        self._outbox.save(self._promises)
        self._outbox.put(Broadcast(message))
        self._adopt(self._view, Proposal(highest.digest, block, message))

    # Messages

    def receive(self, message: Message) -> None:
        """Take a message for this height from the validator that it names.

        Raises:
            PeerFault: that validator broke a rule; everything is as if the message had not come.
        """
        if self.decided:
            return
        match message:
            case PrePrepare():
                self._proposed(message, message)
            case NewView(pre_prepare=pre_prepare):
                self._proposed(message, pre_prepare)
            case Prepare(view=view):
                if view >= self._view and self._intake.vote(message):
                    self._advance()
            case Commit():
                if self._intake.vote(message):
                    self._advance()
            case ViewChange(view=view):
                elects_us = self.committee.proposer(view) == self.node
                if self._intake.view_change(message, wants_block=elects_us):
                    self._compare(message)
                    self._advance()

    def _proposed(self, message: PrePrepare | NewView, pre_prepare: PrePrepare) -> None:
        view, digest = pre_prepare.view, pre_prepare.digest
        if view < self._view:
            return
        self._intake.pre_prepare(pre_prepare)
        if view == self._view and self._phase not in (Phase.WAITING, Phase.CHANGING):
            return
        if not self._promises.allows(PREPARE, view, digest):
            return  # Before a restart this node prepared another block that was proposed here.
        try:
            block = self._intake.proposed_block(message)
        except PeerFault as fault:
            if view != self._view:
                raise
            self._outbox.accuse(fault)
            self._refuse(fault.detail)
            return
        if isinstance(message, NewView):
            self._compare(message)
        self._adopt(view, Proposal(digest, block, message))

    def _compare(self, message: ViewChange | NewView) -> None:
        for fault in self._intake.contradictions(message):
            if fault.accused != self.node:
                self._outbox.accuse(fault)

    def send_again(self) -> None:
        """The votes of the present view, and the own proposal to those who did not answer it."""
        if self._phase is Phase.CHANGING:
            self._send_view_change(self._promises.view_change(self._view))
        for vote in self._promises.votes_in(self._view):
            self._outbox.put(Broadcast(vote))
        proposal = self._proposal
        if proposal is None or proposal.message is None or proposal.message.node != self.node:
            return
        for node in self.committee.nodes:
            answer = self._ballots.prepares.get(node)
            if node != self.node and (answer is None or answer.view < self._view):
                self._outbox.put(Send(node, proposal.message))

    def missed_block(self) -> tuple[str, ...]:
        """Who committed to a block that this node never got, once they are a quorum."""
        certificate = None if self.decided else self._ballots.committed()
        return tuple(entry.node for entry in certificate.signatures) if certificate else ()

    def heard(self, node: str) -> tuple[Statement, ...]:
        """The newest vote of each kind that a validator has sent."""
        return self._ballots.of(node)

    def status(self, ahead: tuple[int, tuple[str, ...]] | None) -> Status:
        """A snapshot; ``ahead``: a height above this one that others have reached, and who."""
        digest = self._proposal.digest if self._proposal is not None else None
        ballots, lock = self._ballots, self._promises.lock
        return Status(
            height=self.committee.height,
            view=self._view,
            phase=self._phase,
            node=self.node,
            proposer=self.committee.proposer(self._view),
            validators=self.committee.nodes,
            quorum=self.committee.quorum,
            proposal=digest,
            locked_view=lock.certificate.view if lock is not None else None,
            prepared=ballots.voters(ballots.prepares, self._view, digest),
            committed=ballots.voters(ballots.commits, self._view, digest),
            changing=tuple((node, vote.view) for node, vote in ballots.view_changes.items()),
            ahead=ahead,
            work_pending=self._work,
            refusal=self._refusal,
        )

    # Small steps

    def _move(self, event: Event) -> None:
        self._phase = step(self._phase, event)

    def _count_own(self, vote: Statement) -> None:
        if self._ballots.has_news(vote):
            self._ballots.add(vote)

    def _is_proposer(self) -> bool:
        return self.committee.proposer(self._view) == self.node

    def _may_open(self) -> bool:
        """Whether this node proposes first at this height and has not done so before a restart."""
        made = self._promises.made(PRE_PREPARE, 0)
        return self._view == 0 and self._is_proposer() and not made
