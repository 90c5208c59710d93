"""What nodes say: frames, and the messages of the consensus in them."""

from __future__ import annotations

from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
)
from ledger.node.net.frames import Frame

#: What a node sends: a frame, or, where that holds one, the message of the consensus in it.
Said = Message | Frame

#: The messages of the consensus.
MESSAGES = (PrePrepare, Prepare, Commit, ViewChange, NewView)


def proposal_of(said: Said) -> PrePrepare | None:
    """The proposal in a message, if it is one."""
    if isinstance(said, NewView):
        return said.pre_prepare
    return said if isinstance(said, PrePrepare) else None
