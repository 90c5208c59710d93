"""What a validator wrote down before it sent it.

A vote is stored before the message that it stands for leaves the node. After a restart the votes of
the current height are all that the node knows about its own past, and they are enough: it sends the
identical message again and never a different one for the same height, view and phase.
"""

from __future__ import annotations

from ledger.chain.codec import Record


class Vote(Record, frozen=True, array_like=True):
    """One promise of this node, unique by (height, view, phase).

    ``phase``: one of the kinds in `ledger.consensus.promises`. ``digest``: 32-byte hash of what was
    promised, so that two records can be compared without decoding them. ``message``: the encoded
    promise, enough to send it again byte for byte.
    """

    height: int
    view: int
    phase: str
    digest: bytes
    message: bytes
