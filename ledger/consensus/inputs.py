"""What can happen to a `ledger.consensus.core.Core`. Immutable; the driver makes them.

The core sees the world only through these: a height begins, a message came, a timer ran out, there
is work, a block was built or checked. Whatever needs a clock, a disk or a socket happens outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ledger.chain.block import Block, Header, ValidatorSet
from ledger.chain.constitution import Parameters
from ledger.chain.vote import Vote
from ledger.consensus.messages import Message


class Timer(Enum):
    """The timers of the core. At most one of each kind runs; setting it again replaces it."""

    #: The current view has had its time.
    VIEW = "view"
    #: Nothing to do for so long that the proposer makes an empty block.
    IDLE = "idle"
    #: Send again what may have been lost, and look whether the others are ahead.
    RESEND = "resend"


@dataclass(frozen=True, slots=True)
class HeightContext:
    """All that the core must know about one height.

    ``chain``: 32-byte hash of the genesis. ``parent``: the final header of ``height - 1``.
    ``validators`` and ``parameters``: those in force at ``height``. ``votes``: every vote of this
    node for ``height`` that is in the store; empty unless the node was restarted.
    ``work_pending``: whether the mempool holds a transaction at this moment. ``neglected``: whether
    a transaction stays out of blocks for longer than it should: then another proposer is tried.
    """

    chain: bytes
    height: int
    parent: Header
    validators: ValidatorSet
    parameters: Parameters
    votes: tuple[Vote, ...] = ()
    work_pending: bool = False
    neglected: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """The block before ``context.height`` is stored (decided here, or synced); agree on the next.

    Also the first input after start-up. Heights only grow.
    """

    context: HeightContext


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded message from the authenticated peer ``peer`` (node id)."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer that `SetTimer` asked for ran out; the fields are those of the effect.

    A firing that waited while its timer was set anew or cancelled must not be handed over.
    """

    timer: Timer
    height: int
    view: int


@dataclass(frozen=True, slots=True)
class WorkPending:
    """There is something to put into a block, and was nothing before. Repeating it does no harm."""


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The answer to `BuildBlock`: a block that this node has executed, roots filled in."""

    height: int
    view: int
    block: Block


@dataclass(frozen=True, slots=True)
class BlockChecked:
    """The answer to `CheckBlock`, in sentences for people.

    ``fault``: the rule that the block breaks for everybody who executes it; None where all is well.
    ``doubt``: what this node alone holds against it, such as a time far ahead of its own clock. A
    doubt keeps this node's vote from a block that nobody vouches for, and accuses no one.
    """

    digest: bytes
    fault: str | None
    doubt: str | None = None


Input = Begin | Received | TimerFired | WorkPending | BlockBuilt | BlockChecked
