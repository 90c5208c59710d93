"""When a validator that starts may vote: pure rules.

A node that comes back may not have all its votes: its database was put back, its disk was replaced.
What it signed and forgot lies at heights that it can bound, and there it abstains: it waits until
the others have decided them. `docs/protocol/consensus.md` has the argument for each bound.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ledger.chain.block import ValidatorSet
from ledger.node.signing.watermark import Mark

#: A validator that stored block T may have signed at T+1, and of any quorum that stored T an honest
#: member of every other quorum has T-1: no forgotten signature is further above what a quorum has.
FORGOTTEN_HEIGHTS: Final = 2
#: Where nothing vouches for a node it looks on for so long after that: if its signature is on a
#: block there, somebody else makes it.
PROBE_HEIGHTS: Final = 2


class Memory(Enum):
    """How much a starting node knows about what it has signed."""

    #: The store was empty: the node never ran, or has lost everything.
    NONE = "none"
    #: Store and watermark agree: every vote that left is in the store.
    WHOLE = "whole"
    #: The store is older than the watermark, which says how far the gap can reach.
    OLDER = "older"
    #: There is a chain, and no watermark that could vouch for it.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """``through``: the last height at which something forgotten may have been signed, as far as
    that is known; 0 where nothing was forgotten."""

    memory: Memory
    through: int = 0


def standing(height: int | None, votes: int, mark: Mark | None) -> Standing:
    """What a node knows when it starts.

    Args:
        height: of its newest block; None where the store was empty.
        votes: how many votes the store has for the height after that.
        mark: the watermark, if it can be trusted.
    """
    if mark is None:
        unused = height is None or (height == 0 and votes == 0)
        return Standing(Memory.NONE if unused else Memory.UNKNOWN)
    following = 1 if height is None else height + 1
    missing = mark.height == following and votes < mark.votes
    if mark.height > following or missing:
        return Standing(Memory.OLDER, mark.height)
    return Standing(Memory.WHOLE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What another validator says. ``height``: of its newest block. ``forgotten``: the highest
    height at which it shows a signature of this node that the store does not have, or 0."""

    height: int
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Vote:
    """The node may vote."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again; ``reason`` is a sentence for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Abstain:
    """From now on it is known that nothing may be signed up to the height ``through``."""

    through: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Another process signs with this node's key, at the height named."""

    height: int


@dataclass(frozen=True, slots=True)
class Distrust:
    """Store and watermark agree and are both older than the node's last signature."""


Verdict = Vote | Wait | Abstain | Stop


def behind(height: int, claims: Collection[int], validators: ValidatorSet) -> bool:
    """Whether f+1 of the others, one honest among them, have more blocks than this node.

    f liars cannot hold it back.
    """
    highest = sorted(claims, reverse=True)
    return any(height < claim for claim in highest[validators.faults : validators.faults + 1])


def overtaken(height: int, claims: Mapping[str, int], validators: ValidatorSet) -> bool:
    """Whether nothing that this node signed before it started is above the height after ``height``.

    So it is when a quorum of that height's validators claimed, since the start, heads below
    ``height``: had that height been decided by then, an honest one among them would have said so.

    Args:
        height: of this node's newest block.
        claims: node → the first head that it claimed since this node started.
        validators: those of the height after ``height``.
    """
    passed = [member for member in validators.members if claims.get(member.node, height) < height]
    return len(passed) >= validators.quorum


class Admission:
    """What a node has learned since it started, and whether it may vote by now."""

    def __init__(self, known: Standing) -> None:
        self.known = known
        self._answers: dict[str, Answer] = {}
        # No signature from before the start can be above; found when enough have answered.
        self._limit: int | None = None

    def heard(self, node: str, answer: Answer) -> None:
        """Another node has answered; only its newest answer counts."""
        self._answers[node] = answer

    def lost(self, node: str) -> None:
        """A node is no longer connected."""
        self._answers.pop(node, None)

    def abstain(self, through: int) -> None:
        """`Abstain` was noted durably."""
        self.known = Standing(Memory.OLDER, through)

    def signed(self, height: int) -> Distrust | Stop | None:
        """A final block carries a signature of this node that this process did not make.

        While the node does not vote yet; what it means, or None where that was to be expected.
        """
        if self._limit is not None and height > self._limit:
            return Stop(height)
        memory, through = self.known.memory, self.known.through
        if memory in (Memory.WHOLE, Memory.OLDER) and height > through:
            return Distrust()
        return None

    def distrust(self) -> None:
        """`Distrust` was noted durably."""
        self.known = Standing(Memory.UNKNOWN)

    def verdict(self, height: int, validators: ValidatorSet) -> Verdict:
        """Whether the node may vote on the height after ``height``, its newest block.

        Args:
            validators: those of the next height; others' answers do not count.
        """
        given = [
            answer for node, answer in self._answers.items() if validators.find(node) is not None
        ]
        memory, through = self.known.memory, self.known.through
        heights = [answer.height for answer in given]
        forgotten = max((answer.forgotten for answer in given), default=0)
        fresh = memory is Memory.NONE and not any(heights)
        bounded = memory in (Memory.WHOLE, Memory.OLDER)
        if self._limit is not None and forgotten > self._limit:
            return Stop(forgotten)
        if bounded and forgotten > max(through, height):
            return Abstain(forgotten)
        # With itself they make a quorum; a node that has forgotten does not count as one of it.
        needed = validators.quorum - 1 if bounded or fresh else validators.quorum
        if len(given) < needed:
            return Wait(_too_few(len(given), needed, validators, bounded=bounded or fresh))
        highest = max((height, *heights))
        if self._limit is None:
            self._limit = highest + FORGOTTEN_HEIGHTS
        if not bounded and not fresh:
            return Abstain(max(highest + FORGOTTEN_HEIGHTS + PROBE_HEIGHTS, forgotten))
        if height < through:
            return Wait(
                f"This node does not vote up to height {through}, for which it may have signed "
                "what its store does not show; the others have to decide until there."
            )
        if behind(height, heights, validators):
            return Wait("This node does not vote yet: it lacks blocks that others have.")
        return Vote()


def _too_few(given: int, needed: int, validators: ValidatorSet, *, bounded: bool) -> str:
    text = f"This node does not vote yet: {given} of {needed} other validators have answered"
    if bounded:
        return f"{text} what they have heard from it."
    if needed > validators.size - 1:
        text = "This node does not vote: its votes are lost, and there are too few others to ask"
    return (
        f"{text}. It cannot tell what it signed before; where its operator can, "
        "health-ledger node vouch ends this."
    )
