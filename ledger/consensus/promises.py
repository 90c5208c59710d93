"""Everything this node has signed at one height, and the rule that it never signs two things.

A promise is made here, collected as a `Vote` for the store, and can be given again as often as one
likes; making a different one for the same view and phase is a bug and raises. After a restart the
stored votes bring back the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from ledger.chain import limits
from ledger.chain.block import Block
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.chain.vote import Vote
from ledger.consensus.errors import ProtocolBug
from ledger.consensus.messages import Commit, Prepare, PrePrepare, Statement, ViewChange
from ledger.consensus.statements import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    VIEW_CHANGE,
    PreparedCertificate,
    claim_of,
    commit_statement,
    pre_prepare_statement,
    prepare_statement,
    view_change_statement,
)
from ledger.crypto.keys import SigningKey

#: Beside the kinds of statements: the lock, which is stored with a COMMIT and never sent.
PREPARED: Final = "prepared"

Kind = TypeVar("Kind", bound=Record)


class Lock(Record, frozen=True, array_like=True):
    """The newest block that this node saw prepared, with the proof: what a view change carries."""

    certificate: PreparedCertificate
    block: Block


class Promises:
    """The votes of ``node`` at one height of one chain."""

    def __init__(
        self, node: str, key: SigningKey, chain: bytes, height: int, votes: Iterable[Vote] = ()
    ) -> None:
        """Start with the votes found in the store.

        Raises:
            Malformed: one cannot be read, or is not of this node and height.
        """
        self._node = node
        self._key = key
        self._chain = chain
        self._height = height
        self._votes: dict[tuple[str, int], Vote] = {}
        self._unsaved: list[Vote] = []
        self.lock: Lock | None = None
        for vote in votes:
            if vote.height != height:
                raise Malformed(f"a stored vote for height {vote.height} at height {height}")
            self._votes[vote.phase, vote.view] = vote
            if vote.phase == PREPARED:
                self._raise_lock(_read(vote, Lock))
        for statement in self.restored():
            if statement.node != node:
                raise Malformed(f"a stored vote of {statement.node} at {node}")

    @property
    def newest_view(self) -> int | None:
        """The highest view of any promise; None before the first."""
        return max((view for _, view in self._votes), default=None)

    @property
    def floor(self) -> int:
        """The view below which nothing may be promised any more."""
        return max((view for phase, view in self._votes if phase == VIEW_CHANGE), default=0)

    def made(self, phase: str, view: int) -> bool:
        """Whether there is a promise for that view and phase."""
        return (phase, view) in self._votes

    def allows(self, phase: str, view: int, digest: bytes) -> bool:
        """Whether promising this would not contradict an earlier promise."""
        vote = self._votes.get((phase, view))
        return view >= self.floor if vote is None else vote.digest == digest

    def only_left_for(self, view: int) -> bool:
        """Whether all that was promised in ``view`` is having left the views below it."""
        return [phase for phase, at in self._votes if at == view] == [VIEW_CHANGE]

    def votes_in(self, view: int) -> list[Prepare | Commit]:
        """PREPARE and COMMIT of a view, as far as they were sent."""
        found: list[Prepare | Commit] = []
        if self.made(PREPARE, view):
            found.append(_read(self._votes[PREPARE, view], Prepare))
        if self.made(COMMIT, view):
            found.append(_read(self._votes[COMMIT, view], Commit))
        return found

    def restored(self) -> list[Statement]:
        """Every statement among the promises, lower views first."""
        kinds: dict[str, type[Statement]] = {
            VIEW_CHANGE: ViewChange,
            PRE_PREPARE: PrePrepare,
            PREPARE: Prepare,
            COMMIT: Commit,
        }
        ordered = sorted(self._votes.items(), key=lambda item: item[0][1])
        return [_read(vote, kinds[phase]) for (phase, _), vote in ordered if phase in kinds]

    def take_unsaved(self) -> tuple[Vote, ...]:
        """The promises made since the last call; they must be durable before they are sent."""
        votes, self._unsaved = tuple(self._unsaved), []
        return votes

    def pre_prepare(self, view: int, block: Block) -> PrePrepare:
        """Propose a block. The vote keeps the statement only; the block may be lost in a crash."""
        digest = block.header.hash()

        def sign() -> PrePrepare:
            signed = pre_prepare_statement(self._chain, self._height, view, digest)
            return PrePrepare(self._height, view, digest, self._node, self._key.sign(signed), None)

        promise = self._promise(PRE_PREPARE, view, digest, PrePrepare, sign)
        return msgspec.structs.replace(promise, block=block)

    def prepare(self, view: int, digest: bytes) -> Prepare:
        """Accept the proposal of a view."""

        def sign() -> Prepare:
            signed = prepare_statement(self._chain, self._height, view, digest)
            return Prepare(self._height, view, digest, self._node, self._key.sign(signed))

        return self._promise(PREPARE, view, digest, Prepare, sign)

    def commit(self, certificate: PreparedCertificate, block: Block) -> Commit:
        """Commit to a prepared block, and lock it: block and certificate are kept with the vote.

        Without them a power cut at every member could leave a block that somebody has seen final
        and nobody can propose again.
        """
        view, digest = certificate.view, certificate.digest

        def sign() -> Commit:
            signed = commit_statement(self._chain, self._height, view, digest)
            return Commit(self._height, view, digest, self._node, self._key.sign(signed))

        if not self.made(COMMIT, view):
            lock = self._promise(PREPARED, view, digest, Lock, lambda: Lock(certificate, block))
            self._raise_lock(lock)
        return self._promise(COMMIT, view, digest, Commit, sign)

    def view_change(self, view: int) -> ViewChange:
        """Leave every view below ``view``, showing the lock."""
        certificate = self.lock.certificate if self.lock is not None else None
        signed = view_change_statement(self._chain, self._height, view, claim_of(certificate))

        def sign() -> ViewChange:
            signature = self._key.sign(signed)
            return ViewChange(self._height, view, certificate, self._node, signature, None)

        return self._promise(VIEW_CHANGE, view, signed, ViewChange, sign)

    def _promise(
        self, phase: str, view: int, digest: bytes, kind: type[Kind], make: Callable[[], Kind]
    ) -> Kind:
        """The promise made before, or a new one; raises `ProtocolBug` where they would differ."""
        if not self.allows(phase, view, digest):
            raise ProtocolBug(f"a second, different {phase} in view {view}, or one too late")
        vote = self._votes.get((phase, view))
        if vote is not None:
            return _read(vote, kind)
        promise = make()
        vote = Vote(self._height, view, phase, digest, encode(promise))
        self._votes[phase, view] = vote
        self._unsaved.append(vote)
        return promise

    def _raise_lock(self, lock: Lock) -> None:
        if self.lock is None or lock.certificate.view > self.lock.certificate.view:
            self.lock = lock


def _read(vote: Vote, kind: type[Kind]) -> Kind:
    return decode(vote.message, kind, limit=limits.MAX_FRAME_BYTES)
