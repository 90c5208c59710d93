"""The safety of one height, as a transition relation: what an honest validator may write down next.

A state is what the honest validators have on their disks, and nothing else. That is enough, because
a vote is stored before it is sent and what is on a disk is all that survives a restart:

- The network may lose, delay, double and reorder at will. So a validator may act at any moment on
  any statement that was ever written down, or go on as if it had never seen it: there is no inbox.
- Liars have said everything that they can sign. So they need no state: a count of votes begins at
  the number of liars, and whatever they can justify may be proposed.
- A crash and a restart change nothing: phase and view follow from the disk.

The rules are those of `docs/protocol/consensus.md`; where this relation is wider than the code (an
honest proposer need not have left for its view itself), it covers more runs than there can be.
Blocks are named by any value that is not None; ``made_in`` tells for which view one was made.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

Block = Hashable
T = TypeVar("T")


class Page(NamedTuple):
    """What one validator has on disk for one view.

    ``left``: its VIEW-CHANGE to this view. ``prepared``: the block of its PREPARE. ``committed``:
    whether its COMMIT to that block is there.
    """

    left: bool = False
    prepared: Block | None = None
    committed: bool = False


Disk = tuple[Page, ...]


class Claim(NamedTuple):
    """The prepared certificate that a VIEW-CHANGE shows."""

    view: int
    block: Block


class State(NamedTuple):
    """``proposals``: what honest proposers proposed, by view. ``disks``: of honest validators."""

    proposals: tuple[Block | None, ...]
    disks: tuple[Disk, ...]


class Action(NamedTuple):
    """One vote. ``node``: the place of the disk; -1 for a proposal. ``block``: as far as named."""

    kind: str
    node: int
    view: int
    block: Block | None = None


@dataclass(frozen=True)
class Rules:
    """Who takes part in a height, and which of the rules hold.

    ``liars``: how many may sign anything. ``lying``: the views whose proposer is one of them.
    The last three are true of the protocol; a checker that is worth something must find what goes
    wrong without each of them.
    """

    honest: int
    liars: int
    views: int
    lying: frozenset[int]
    made_in: Callable[[Block], int]
    quorum: int
    support: int
    show_the_lock: bool = True
    obey_the_lock: bool = True
    nothing_below: bool = True

    @property
    def start(self) -> State:
        return State((None,) * self.views, ((Page(),) * self.views,) * self.honest)

    # What can be shown to others

    def is_prepared(self, state: State, view: int, block: Block) -> bool:
        """Whether a prepared certificate for the block in the view can be put together."""
        votes = sum(disk[view].prepared == block for disk in state.disks)
        return votes + self.liars >= self.quorum

    def is_committed(self, state: State, view: int, block: Block) -> bool:
        """Whether a block certificate from the view can be put together."""
        votes = sum(disk[view].committed and disk[view].prepared == block for disk in state.disks)
        return votes + self.liars >= self.quorum

    def claim(self, disk: Disk, view: int) -> Claim | None:
        """What the VIEW-CHANGE to a view shows: the newest block committed to before."""
        return lock_before(disk, view) if self.show_the_lock else None

    def blocks(self, state: State, view: int) -> set[Block]:
        """Every block that somebody honest prepared in the view."""
        return {disk[view].prepared for disk in state.disks} - {None}

    def offers(self, state: State, view: int) -> set[Block | None]:
        """What a NEW-VIEW for the view can be justified with; None stands for a new block."""
        claims = [self.claim(disk, view) for disk in state.disks if disk[view].left]
        if len(claims) + self.liars < self.quorum:
            return set()
        shown = {claim for claim in claims if claim is not None}
        if self.liars:
            shown |= {
                Claim(earlier, block)
                for earlier in range(view)
                for block in self.blocks(state, earlier)
                if self.is_prepared(state, earlier, block)
            }
        found: set[Block | None] = set()
        if not self.obey_the_lock or claims.count(None) + self.liars >= self.quorum:
            found.add(None)
        for highest in shown:
            below = sum(claim is None or claim.view <= highest.view for claim in claims)
            if below + self.liars >= self.quorum:
                found.add(highest.block)
        return found

    # What an honest validator may do

    def fits(self, state: State, view: int, block: Block) -> bool:
        """Whether the block may be proposed in the view."""
        if view == 0:
            return self.made_in(block) == 0
        offers = self.offers(state, view)
        return block in offers or (None in offers and self.made_in(block) == view)

    def stands(self, state: State, view: int, block: Block) -> bool:
        """Whether the proposer of the view can show the block as its proposal."""
        if view in self.lying:
            return self.fits(state, view, block)
        return state.proposals[view] == block

    def supported(self, state: State, node: int, view: int) -> bool:
        """Whether f+1 others have moved to the view or past it."""
        moved = sum(
            any(page.left for page in disk[view:])
            for place, disk in enumerate(state.disks)
            if place != node
        )
        return moved + self.liars >= self.support

    def enabled(self, state: State, action: Action) -> bool:
        """Whether the protocol lets the validator write this down now."""
        kind, node, view, block = action
        if kind == "propose":
            return (
                block is not None
                and view not in self.lying
                and state.proposals[view] is None
                and self.fits(state, view, block)
            )
        disk = state.disks[node]
        newest = newest_view(disk)
        page = disk[view]
        if kind == "prepare":
            return (
                block is not None
                and view >= newest
                and page.prepared is None
                and self.stands(state, view, block)
            )
        if kind == "commit":
            return (
                (view == newest or not self.nothing_below)
                and page.prepared is not None
                and not page.committed
                and self.is_prepared(state, view, page.prepared)
            )
        if kind == "leave":
            return view > newest and (
                view == newest + 1
                or self.supported(state, node, view)
                or self.entered(state, view - 1)
            )
        raise ValueError(kind)

    def entered(self, state: State, view: int) -> bool:
        """Whether a validator may be in the view without a vote of its own, by a NEW-VIEW."""
        if view in self.lying:
            return bool(self.offers(state, view))
        return state.proposals[view] is not None

    def apply(self, state: State, action: Action) -> State:
        """The state after a vote."""
        kind, node, view, block = action
        if kind == "propose":
            return state._replace(proposals=_put(state.proposals, view, block))
        disk = state.disks[node]
        page = disk[view]
        match kind:
            case "prepare":
                page = Page(page.left, block, False)
            case "commit":
                page = page._replace(committed=True)
            case "leave":
                page = page._replace(left=True)
        return state._replace(disks=_put(state.disks, node, _put(disk, view, page)))

    # What must never be

    def breach(self, state: State) -> str | None:
        """Which promise is broken, or None."""
        final: set[Block] = set()
        for view in range(self.views):
            prepared = [
                block for block in self.blocks(state, view) if self.is_prepared(state, view, block)
            ]
            if len(prepared) > 1:
                return f"two blocks are prepared in view {view}"
            final |= {
                block for block in self.blocks(state, view) if self.is_committed(state, view, block)
            }
        return "two blocks are certified at one height" if len(final) > 1 else None

    def certified(self, state: State) -> set[Block]:
        """The blocks for which a certificate can be put together."""
        return {
            block
            for view in range(self.views)
            for block in self.blocks(state, view)
            if self.is_committed(state, view, block)
        }


@cache
def newest_view(disk: Disk) -> int:
    """The view in which a validator is, by its disk."""
    for view in range(len(disk) - 1, 0, -1):
        if disk[view].left or disk[view].prepared is not None:
            return view
    return 0


@cache
def lock_before(disk: Disk, view: int) -> Claim | None:
    """The newest block that a validator committed to in a view below, by its disk."""
    for earlier in range(view - 1, -1, -1):
        page = disk[earlier]
        if page.committed and page.prepared is not None:
            return Claim(earlier, page.prepared)
    return None


def _put(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
