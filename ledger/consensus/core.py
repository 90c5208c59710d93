"""PBFT for one height after the other, as a state machine without I/O.

The rules that everything here serves:

1. Nothing signed leaves before it is durable: a `Persist` stands in front of every new vote.
2. A node never signs two different things for one (height, view, phase); `Promises` sees to it.
3. In a view, a node prepares at most one block, only after executing it, and commits only to what a
   quorum prepared. Two quorums share an honest node, so one view has at most one prepared block.
4. Whoever leaves a view shows the newest block it saw prepared, and a new view starts with the
   newest among a quorum of such statements: a block that may be final anywhere is proposed again.
5. Views only grow. Votes from any view can complete a certificate; a certificate is always right.

The phases and the ways between them are a table in `ledger.consensus.phases`. This file does not
know who drives it, nor what is in a block.

After Castro and Liskov, "Practical Byzantine Fault Tolerance" (OSDI 1999), with the simplification
of IBFT 2.0 and QBFT that each height is its own instance and its commit quorum the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain.block import Block
from ledger.chain.rules import InvalidHeader, check_successor
from ledger.consensus import promises, timeouts
from ledger.consensus.ballots import Ballots
from ledger.consensus.candidates import Candidates
from ledger.consensus.committee import Committee, highest_prepared
from ledger.consensus.effects import (
    Accuse,
    Behind,
    Broadcast,
    BuildBlock,
    CancelTimer,
    CheckBlock,
    Decide,
    Effect,
    Lagging,
    Persist,
    Send,
    SetTimer,
)
from ledger.consensus.errors import PeerFault, ProtocolBug
from ledger.consensus.horizon import Horizon
from ledger.consensus.inputs import (
    Begin,
    BlockBuilt,
    BlockChecked,
    HeightContext,
    Input,
    Neglected,
    Received,
    Timer,
    TimerFired,
    WorkPending,
)
from ledger.consensus.intake import Intake
from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Statement,
    ViewChange,
    with_block,
)
from ledger.consensus.phases import OPEN, Event, Phase, step
from ledger.consensus.promises import Promises
from ledger.consensus.status import Status
from ledger.crypto.keys import SigningKey


@dataclass(frozen=True, slots=True)
class _Proposal:
    """The proposal that stands in the current view; no ``message`` after a restart."""

    digest: bytes
    block: Block
    message: PrePrepare | NewView | None

    @property
    def pre_prepare(self) -> PrePrepare | None:
        return self.message.pre_prepare if isinstance(self.message, NewView) else self.message


class Core:
    """One validator's part in the agreement. Not safe for several threads.

    Until the first `Begin` every input but that one is ignored.
    """

    _committee: Committee
    _ballots: Ballots
    _promises: Promises
    _candidates: Candidates
    _intake: Intake

    def __init__(self, node: str, key: SigningKey) -> None:
        self.node = node
        self._key = key
        self._phase = Phase.DORMANT
        self._height = 0
        self._view = 0
        self._horizon = Horizon()
        self._effects: list[Effect] = []
        self._forget()

    def _forget(self) -> None:
        """What a new height starts without."""
        self._view = 0
        self._proposal: _Proposal | None = None
        #: The VIEW-CHANGEs by which this node was elected in the current view.
        self._mandate: tuple[ViewChange, ...] = ()
        self._work = False
        self._view_timer_runs = False
        self._asked_for_blocks = False
        self._refusal: str | None = None
        self._accused: set[tuple[str, str]] = set()

    def handle(self, happened: Input) -> list[Effect]:
        """Take one input; the effects are to be carried out in order.

        Raises:
            ProtocolBug: the driver broke the contract of an input, or the core is wrong.
            Malformed: a stored vote cannot be read.
        """
        self._effects = []
        match happened:
            case Begin(context):
                self._begin(context)
            case _ if self._phase is Phase.DORMANT:
                pass
            case Received(peer, message):
                self._received(peer, message)
            case TimerFired(timer, height, view):
                if height == self._height and self._phase in OPEN:
                    self._timer_fired(timer, view)
            case WorkPending():
                self._work_pending()
            case Neglected():
                if self._phase is Phase.WAITING and not self._is_proposer():
                    self._change_view(self._view + 1, Event.GAVE_UP)
            case BlockBuilt(height, view, block):
                if (height, view) == (self._height, self._view) and self._phase is Phase.BUILDING:
                    self._block_built(block)
            case BlockChecked(digest, fault):
                self._block_checked(digest, fault)
        return self._effects

    def status(self) -> Status | None:
        """Where the node stands and for whom it waits; None before the first `Begin`."""
        if self._phase is Phase.DORMANT:
            return None
        digest = self._proposal.digest if self._proposal is not None else None
        lock = self._promises.lock
        ballots = self._ballots
        return Status(
            height=self._height,
            view=self._view,
            phase=self._phase,
            node=self.node,
            proposer=self._committee.proposer(self._view),
            validators=self._committee.nodes,
            quorum=self._committee.quorum,
            proposal=digest,
            locked_view=lock.certificate.view if lock is not None else None,
            prepared=tuple(
                node
                for node, vote in sorted(ballots.prepares.items())
                if (vote.view, vote.digest) == (self._view, digest)
            ),
            committed=tuple(
                node
                for node, vote in sorted(ballots.commits.items())
                if (vote.view, vote.digest) == (self._view, digest)
            ),
            changing=tuple(
                (node, vote.view) for node, vote in sorted(ballots.view_changes.items())
            ),
            ahead=self._horizon.ahead(self._height, self._committee.faults + 1),
            work_pending=self._work,
            refusal=self._refusal,
        )

    # Beginning and ending a height

    def _begin(self, context: HeightContext) -> None:
        if context.height <= self._height:
            raise ProtocolBug(f"height {context.height} after {self._height}")
        committee = Committee(context)
        if committee.key(self.node) != self._key.public:
            raise ProtocolBug(f"{self.node} has no vote with this key at height {context.height}")
        kept = Promises(self.node, self._key, context.chain, context.height, context.votes)
        self._move(Event.BEGUN)
        self._height = context.height
        self._committee = committee
        self._promises = kept
        self._ballots = Ballots(context.height, committee.quorum)
        self._candidates = Candidates()
        self._intake = Intake(committee, self._ballots, self._candidates)
        self._forget()
        self._work = context.work_pending
        self._set_timer(Timer.RESEND, timeouts.resend_interval(context.parameters))
        self._resume()
        for peer, message in self._horizon.begin(context.height, context.validators):
            self._received(peer, message)

    def _resume(self) -> None:
        """Stand where the stored votes say that this node stood; at first, at the start."""
        for vote in self._promises.restored():
            self._ballots.add(vote)
        lock = self._promises.lock
        if lock is not None:
            self._lock(lock.certificate.digest, lock.block)
        view = self._promises.newest_view
        if view is None:
            self._await_proposal()
            return
        self._view = view
        if lock is not None and self._promises.made(promises.COMMIT, view):
            self._proposal = _Proposal(lock.certificate.digest, lock.block, None)
            self._move(Event.RESUMED)
            self._start_view_timer()
        elif self._promises.only_left_for(view):
            self._move(Event.GAVE_UP)
        else:
            self._await_proposal()
        self._send_again()
        self._advance()

    def _await_proposal(self) -> None:
        """In phase WAITING: build, or start the clock for whoever should."""
        idle = not self._work and self._promises.newest_view is None
        interval = self._committee.parameters.empty_block_interval if idle else 0
        if not self._may_open():
            self._start_view_timer(interval)
        elif idle:
            self._set_timer(Timer.IDLE, interval)
        else:
            self._build(Event.CALLED)

    def _work_pending(self) -> None:
        news, self._work = not self._work, True
        if news and self._phase is Phase.WAITING:
            self._await_proposal()

    def _advance(self) -> None:
        """Take every step that the votes at hand allow."""
        if self._phase not in OPEN or self._decide():
            return
        if self._phase is Phase.PREPARING and self._proposal is not None:
            certificate = self._ballots.prepared(self._view, self._proposal.digest)
            if certificate is not None:
                self._commit(certificate, self._proposal.block)
                return
        higher = self._ballots.joinable(self._view, self._committee.faults + 1)
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
        for timer in Timer:
            self._emit(CancelTimer(timer))
        self._emit(Decide(block, certificate))
        return True

    # The normal case

    def _build(self, event: Event) -> None:
        self._move(event)
        self._emit(CancelTimer(Timer.IDLE))
        self._start_view_timer()
        self._emit(BuildBlock(self._height, self._view))

    def _block_built(self, block: Block) -> None:
        header, committee = block.header, self._committee
        try:
            check_successor(committee.parent, header, committee.validators, committee.parameters)
        except InvalidHeader as error:
            raise ProtocolBug(f"this node built a block that nobody may accept: {error}") from None
        if header.view != self._view:
            raise ProtocolBug(f"the block built for view {self._view} names {header.view}")
        self._candidates.judge(header.hash(), None)
        message = self._propose(block)
        self._proposal = _Proposal(header.hash(), block, message)
        self._move(Event.BUILT)
        self._prepare(message, header.hash())

    def _propose(self, block: Block) -> PrePrepare | NewView:
        pre_prepare = self._promises.pre_prepare(self._view, block)
        self._candidates.keep(pre_prepare.digest, block)
        self._count_own(pre_prepare)
        return NewView(pre_prepare, self._mandate) if self._mandate else pre_prepare

    def _prepare(self, proposal: Message | None, digest: bytes) -> None:
        """Send PREPARE, behind the own proposal if this node made it just now."""
        prepare = self._promises.prepare(self._view, digest)
        self._count_own(prepare)
        self._save()
        if proposal is not None:
            self._emit(Broadcast(proposal))
        self._emit(Broadcast(prepare))
        self._advance()

    def _commit(self, certificate: PreparedCertificate, block: Block) -> None:
        self._move(Event.PREPARED)
        commit = self._promises.commit(certificate, block)
        self._lock(certificate.digest, block)
        self._count_own(commit)
        self._save()
        self._emit(Broadcast(commit))
        self._advance()

    def _adopt(self, view: int, proposal: _Proposal) -> None:
        """Enter the view of a valid proposal and have its block checked."""
        self._move(Event.PROPOSED)
        self._view = view
        self._proposal = proposal
        self._mandate = ()
        self._candidates.keep(proposal.digest, proposal.block)
        self._emit(CancelTimer(Timer.IDLE))
        self._start_view_timer()
        if self._candidates.judged(proposal.digest):
            self._apply_verdict(proposal)
        elif self._candidates.to_check(proposal.digest):
            self._emit(CheckBlock(proposal.digest, proposal.block))
        self._advance()

    def _block_checked(self, digest: bytes, fault: str | None) -> None:
        if self._phase not in OPEN or not self._candidates.was_given_out(digest):
            return
        self._candidates.judge(digest, fault)
        proposal = self._proposal
        if self._phase is Phase.CHECKING and proposal is not None and proposal.digest == digest:
            self._apply_verdict(proposal)

    def _apply_verdict(self, proposal: _Proposal) -> None:
        fault = self._candidates.fault(proposal.digest)
        if fault is None:
            self._move(Event.PASSED)
            self._prepare(None, proposal.digest)
            return
        pre_prepare = proposal.pre_prepare
        # A block handed on from an earlier view was prepared by a quorum; whoever handed it on did
        # what the protocol asks.
        if pre_prepare is not None and self._committee.is_fresh(pre_prepare):
            self._accuse(self._committee.invalid_proposal(pre_prepare, fault))
        self._refuse(fault)

    def _refuse(self, fault: str) -> None:
        self._refusal = fault
        self._change_view(self._view + 1, Event.REFUSED)

    # Changing the view

    def _change_view(self, view: int, event: Event) -> None:
        self._move(event)
        self._view = view
        self._proposal = None
        self._mandate = ()
        self._emit(CancelTimer(Timer.IDLE))
        self._emit(CancelTimer(Timer.VIEW))
        self._view_timer_runs = False
        change = self._promises.view_change(view)
        self._count_own(change)
        self._save()
        self._send_view_change(change)
        self._advance()

    def _send_view_change(self, change: ViewChange) -> None:
        """Tell everybody; the new proposer also gets the block that it may have to hand on."""
        self._emit(Broadcast(change))
        proposer = self._committee.proposer(change.view)
        lock = self._promises.lock
        if proposer != self.node and lock is not None and change.prepared == lock.certificate:
            self._emit(Send(proposer, with_block(change, lock.block)))

    def _follow_view_change(self) -> None:
        """In phase CHANGING: start the clock once a quorum has come along, and propose if elected.

        The clock starts no earlier, or a node that is cut off would run away through the views
        and the others could not find it again.
        """
        if not self._view_timer_runs and (
            self._ballots.supporters(self._view) >= self._committee.quorum
        ):
            self._start_view_timer()
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
        self._save()
        self._emit(Broadcast(message))
        self._adopt(self._view, _Proposal(highest.digest, block, message))

    # What comes from outside

    def _received(self, peer: str, message: Message) -> None:
        try:
            self._sort(peer, message)
        except PeerFault as fault:
            self._accuse(fault)

    def _sort(self, peer: str, message: Message) -> None:
        """By height, then by kind; every validator speaks for itself."""
        if message.height < self._height:
            if self._horizon.lags(peer, message, self._height):
                self._emit(Lagging(peer, message.height))
            return
        if message.node != peer:
            raise PeerFault(peer, "impersonation", f"it passes on a message of {message.node}")
        if peer == self.node:
            raise PeerFault(peer, "impersonation", "another node uses this node's identity")
        if message.height > self._height:
            if self._committee.key(peer) is not None:
                self._horizon.see_ahead(peer, message, self._height)
                self._ask_for_blocks(patient=False)
            return
        if self._committee.key(peer) is None:
            raise PeerFault(peer, "stranger", "it has no vote at this height")
        if self._phase in OPEN:
            self._take(message)

    def _take(self, message: Message) -> None:
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
                elects_us = self._committee.proposer(view) == self.node
                if self._intake.view_change(message, wants_block=elects_us):
                    self._advance()

    def _proposed(self, message: PrePrepare | NewView, pre_prepare: PrePrepare) -> None:
        view, digest = pre_prepare.view, pre_prepare.digest
        if view < self._view:
            return
        self._intake.pre_prepare(pre_prepare)
        if view == self._view and self._phase not in (Phase.WAITING, Phase.CHANGING):
            return
        if not self._promises.allows(promises.PREPARE, view, digest):
            return  # Before a restart this node prepared another block that was proposed here.
        try:
            block = self._intake.proposed_block(message)
        except PeerFault as fault:
            self._accuse(fault)
            if view == self._view:
                self._refuse(fault.detail)
            return
        self._adopt(view, _Proposal(digest, block, message))

    def _timer_fired(self, timer: Timer, view: int) -> None:
        match timer:
            case Timer.VIEW if view == self._view:
                self._change_view(view + 1, Event.GAVE_UP)
            case Timer.IDLE if self._phase is Phase.WAITING and self._may_open():
                self._build(Event.CALLED)
            case Timer.RESEND:
                interval = timeouts.resend_interval(self._committee.parameters)
                self._set_timer(Timer.RESEND, interval)
                self._send_again()
                self._asked_for_blocks = False
                self._ask_for_blocks(patient=True)

    def _send_again(self) -> None:
        """The votes of the present view, and the own proposal to those who did not answer it."""
        if self._phase is Phase.CHANGING:
            self._send_view_change(self._promises.view_change(self._view))
        for vote in self._promises.votes_in(self._view):
            self._emit(Broadcast(vote))
        proposal = self._proposal
        if proposal is None or proposal.message is None or proposal.message.node != self.node:
            return
        for node in self._committee.nodes:
            answer = self._ballots.prepares.get(node)
            if node != self.node and (answer is None or answer.view < self._view):
                self._emit(Send(node, proposal.message))

    def _ask_for_blocks(self, *, patient: bool) -> None:
        """Say so if the others are ahead; ``patient``: for longer than a moment."""
        if self._asked_for_blocks:
            return
        ahead = self._horizon.ahead(self._height, self._committee.faults + 1)
        missed = self._ballots.committed() if patient else None
        if ahead is not None and (patient or ahead[0] > self._height + 1):
            self._emit(Behind(ahead[0] - 1, ahead[1]))
        elif missed is not None:
            nodes = tuple(signature.node for signature in missed.signatures)
            self._emit(Behind(self._height, nodes))
        else:
            return
        self._asked_for_blocks = True

    # Small steps

    def _move(self, event: Event) -> None:
        self._phase = step(self._phase, event)

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _save(self) -> None:
        """Make new promises durable; always before they are emitted."""
        votes = self._promises.take_unsaved()
        if votes:
            self._emit(Persist(votes))

    def _count_own(self, vote: Statement) -> None:
        if self._ballots.has_news(vote):
            self._ballots.add(vote)

    def _lock(self, digest: bytes, block: Block) -> None:
        self._candidates.lock(digest, block)
        self._candidates.judge(digest, None)

    def _is_proposer(self) -> bool:
        return self._committee.proposer(self._view) == self.node

    def _may_open(self) -> bool:
        """Whether this node proposes first at this height and has not done so before a restart."""
        made = self._promises.made(promises.PRE_PREPARE, 0)
        return self._view == 0 and self._is_proposer() and not made

    def _set_timer(self, timer: Timer, delay: int) -> None:
        self._emit(SetTimer(timer, self._height, self._view, delay))

    def _start_view_timer(self, extra: int = 0) -> None:
        self._view_timer_runs = True
        delay = timeouts.view_timeout(self._committee.parameters, self._view) + extra
        self._set_timer(Timer.VIEW, delay)

    def _accuse(self, fault: PeerFault) -> None:
        """Once per height, node and rule: a peer must not be able to fill our logs."""
        if (fault.accused, fault.rule) not in self._accused:
            self._accused.add((fault.accused, fault.rule))
            self._emit(Accuse(fault))
