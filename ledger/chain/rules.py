"""What the header of a block must say, given its parent: the rules that need no state.

Validators apply them before they vote, followers and auditors before they believe.
"""

from __future__ import annotations

from ledger.chain.block import PROTOCOL_VERSION, Header, ValidatorSet
from ledger.chain.constitution import Parameters, next_proposer


class InvalidHeader(ValueError):
    """A header that cannot follow its parent."""


def proposer_of(
    parent: Header, validators: ValidatorSet, parameters: Parameters, height: int, view: int
) -> str:
    """The node id of the one validator that may propose in ``view`` at ``height``."""
    first = next_proposer(validators, parent.proposer, height, parameters.proposer_term)
    return validators.members[(first + view) % validators.size].node


def check_successor(
    parent: Header,
    header: Header,
    validators: ValidatorSet,
    parameters: Parameters,
) -> None:
    """Check that ``header`` may follow ``parent``.

    Args:
        parent: the final header of the height before.
        header: the header in question.
        validators: the set that certifies the height of ``header``.
        parameters: those in force at that height.

    Raises:
        InvalidHeader: saying what is wrong.
    """
    if header.version != PROTOCOL_VERSION:
        raise InvalidHeader(f"protocol version {header.version}, not {PROTOCOL_VERSION}")
    if header.chain != parent.chain:
        raise InvalidHeader("the block belongs to another chain")
    if header.height != parent.height + 1:
        raise InvalidHeader(f"height {header.height} cannot follow {parent.height}")
    if header.parent != parent.hash():
        raise InvalidHeader("the block names another parent")
    if header.time <= parent.time:
        raise InvalidHeader(f"time {header.time} is not after the parent's {parent.time}")
    if header.validators != validators.hash():
        raise InvalidHeader("the block names another validator set")
    proposer = proposer_of(parent, validators, parameters, header.height, header.view)
    if header.proposer != proposer:
        raise InvalidHeader(
            f"{header.proposer} is not the proposer of view {header.view}, {proposer} is"
        )


def clock_doubt(header: Header, parent: Header, parameters: Parameters, now: int) -> str | None:
    """What this node's clock holds against a block that it is about to vote for, or None.

    A matter of opinion, unlike every rule above: the clock that is wrong may be the own one. The
    time of a certified block is settled. So the smallest step after the parent is never doubted:
    a quorum agreed on the parent's time, and if that was wrong, because all clocks were, blocks
    must go on until the clocks have caught up. ``now``: milliseconds since 1970 UTC.
    """
    if header.time <= max(now + parameters.clock_ahead, parent.time + 1):
        return None
    return f"time {header.time} is too far ahead of this node's clock, {now}"
