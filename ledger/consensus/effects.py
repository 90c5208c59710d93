"""What a `ledger.consensus.core.Core` asks its driver to do. Immutable; carried out in list order.

The order matters in one place above all: a `Persist` is durable before anything behind it in the
list is sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain.block import Block, Certificate
from ledger.chain.vote import Vote
from ledger.consensus.errors import PeerFault
from ledger.consensus.inputs import Timer
from ledger.consensus.messages import Message


@dataclass(frozen=True, slots=True)
class Persist:
    """Store these votes in one durable transaction before carrying out the effects that follow."""

    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every other validator of the current height."""

    message: Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one validator."""

    node: str
    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Answer with the matching `TimerFired` after ``delay_ms``; replaces one of the same kind."""

    timer: Timer
    height: int
    view: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Stop the timer if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Build and execute a block on the parent, then answer `BlockBuilt` with the same numbers.

    Its header names this node as proposer and ``view`` as its view, and has a time after the
    parent's. With nothing in the mempool it is an empty block.
    """

    height: int
    view: int


@dataclass(frozen=True, slots=True)
class CheckBlock:
    """Execute the block on the parent, compare every root, hold its time against the clock, and
    answer `BlockChecked`. Header rules and the transactions root have been checked.

    The outcome is worth keeping until the height is final: the block is never asked about twice,
    and a `Decide` for it may follow before or after the answer.
    """

    digest: bytes
    block: Block


@dataclass(frozen=True, slots=True)
class Decide:
    """The block is final: store it with its certificate, then `Begin` the next height.

    The block may be one that this node never checked, or found wanting: then a quorum disagrees
    with this node, which has to stop and say so instead of storing a block it cannot reproduce.
    """

    block: Block
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Behind:
    """The nodes named have, or are about to have, the final block of ``height``: get it from them.

    Asked at most once per resend interval.
    """

    height: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lagging:
    """The node is still at ``height``, which is final here: send it the certified block."""

    node: str
    height: int


@dataclass(frozen=True, slots=True)
class Accuse:
    """A peer broke the protocol; with ``fault.evidence`` anyone can be convinced of it."""

    fault: PeerFault


Effect = (
    Persist
    | Broadcast
    | Send
    | SetTimer
    | CancelTimer
    | BuildBlock
    | CheckBlock
    | Decide
    | Behind
    | Lagging
    | Accuse
)
