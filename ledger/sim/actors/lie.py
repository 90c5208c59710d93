"""What a lie is: a way of changing one's own words, or of speaking unasked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
)
from ledger.node.net.frames import Frame

if TYPE_CHECKING:
    from ledger.sim.actors.liar import Liar

#: What a node sends: a frame, or, where that holds one, the message of the consensus in it.
Said = Message | Frame

#: The messages of the consensus.
MESSAGES = (PrePrepare, Prepare, Commit, ViewChange, NewView)


class Lie:
    """One habit of a liar. By itself it changes nothing and says nothing."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        """What ``peer`` gets instead of what the real node says to it."""
        return (said,)

    def speak(self, liar: Liar) -> None:
        """Called again and again; says whatever it likes by `Liar.say`."""


def proposal_of(said: Said) -> PrePrepare | None:
    """The proposal in a message, if it is one."""
    if isinstance(said, NewView):
        return said.pre_prepare
    return said if isinstance(said, PrePrepare) else None
