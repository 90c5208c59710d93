"""Where promises are written down before they are sent: in the store, then in the watermark.

In this order, so that whatever the watermark claims was in the store: a store that has less than it
says is not the one that the node had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from ledger.chain.store import Store
from ledger.chain.vote import Vote
from ledger.consensus.statements import COMMIT
from ledger.node.signing.standing import Standing, standing
from ledger.node.signing.watermark import EVERY_VOTE, Watermark

#: Commits of so many heights are remembered; a block is announced long before that many follow.
_KEPT: Final = 64


class Forgotten(RuntimeError):
    """A vote at a height for which this node may have signed something else; a bug here."""


class Register:
    """The promises of one node. One thread at a time saves.

    Args:
        store: open for writing; empty, or with the chain of the watermark.
        was_empty: whether this process founded the chain in the store.
    """

    def __init__(self, store: Store, watermark: Watermark, *, was_empty: bool) -> None:
        self._store = store
        self._watermark = watermark
        height = store.height()
        self._height = height + 1
        found = store.votes(height + 1)
        self._made = {(vote.view, vote.phase) for vote in found}
        self._committed: deque[int] = deque(maxlen=_KEPT)
        self._note_commits(found)
        self.standing: Standing = standing(
            None if was_empty else height, len(self._made), watermark.mark
        )
        self._closed_through = 0

    @property
    def flaw(self) -> str:
        """Why the watermark that was found vouches for nothing, or empty."""
        return self._watermark.flaw

    def committed(self, height: int) -> bool:
        """Whether a COMMIT for one of the newest heights was written down here."""
        return height in self._committed

    def _note_commits(self, votes: Sequence[Vote]) -> None:
        self._committed.extend(vote.height for vote in votes if vote.phase == COMMIT)

    def distrust(self) -> None:
        """The watermark is not that of the last signature: let it vouch for nothing any more."""
        self._watermark.remove()

    def vouch(self, height: int) -> None:
        """Note that every vote that left is in the store, whose newest block is at ``height``."""
        self._watermark.set(height, 0)

    def abstain(self, through: int) -> None:
        """Note that nothing may be signed up to a height; durable on return."""
        self._watermark.set(through, EVERY_VOTE)
        self._closed_through = max(self._closed_through, through)

    def save(self, votes: Sequence[Vote]) -> None:
        """Write promises down; they may be sent on return. Repeating it does no harm.

        Raises:
            ConflictingVote: another promise stands for the same height, view and phase.
            Forgotten: the node abstains at that height.
            StoreUnusable, StoreFull, StoreBusy: they must not be sent.
        """
        if not votes:
            return
        height = votes[0].height
        if height <= max(self._closed_through, self.standing.through):
            raise Forgotten(f"a vote at height {height}, at which this node abstains")
        self._store.save_votes(votes)
        if height != self._height:
            self._height, self._made = height, set()
        self._made |= {(vote.view, vote.phase) for vote in votes}
        self._note_commits(votes)
        self._watermark.set(height, len(self._made))
