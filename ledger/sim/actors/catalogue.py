"""All lies by name, and what makes a node of a world a liar."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from ledger.consensus.messages import Commit, NewView, Prepare, PrePrepare, ViewChange
from ledger.sim.actors import changing, noise, serving, voting
from ledger.sim.actors.coalition import Coalition
from ledger.sim.actors.liar import Liar, Lie
from ledger.sim.actors.proposing import SPOILS, InvalidBlock
from ledger.sim.world import World


def _block(kind: str) -> Callable[[], Lie]:
    return lambda: InvalidBlock(kind)


#: Name → what makes the lie.
LIES: Final[dict[str, Callable[[], Lie]]] = {
    "equivocate": voting.Equivocate,
    "double-vote": voting.DoubleVote,
    "bad-signature": voting.BadSignature,
    "withhold": voting.Withhold,
    "withhold-proposals": lambda: voting.Withhold(PrePrepare, NewView),
    "withhold-prepares": lambda: voting.Withhold(Prepare),
    "withhold-commits": lambda: voting.Withhold(Commit),
    "withhold-view-changes": lambda: voting.Withhold(ViewChange),
    "tell-some": voting.TellSome,
    "vote-for-anything": voting.VoteForAnything,
    "vote-in-other-views": voting.VoteInOtherViews,
    "hide-lock": changing.HideLock,
    "forge-lock": changing.ForgeLock,
    "rush": changing.Rush,
    "huge-view": changing.HugeView,
    "unjustified": changing.Unjustified,
    "false-blocks": serving.FalseBlocks,
    "false-snapshots": serving.FalseSnapshots,
    "false-heads": serving.FalseHeads,
    "deaf": serving.Deaf,
    "false-statements": serving.FalseStatements,
    "false-outcomes": serving.FalseOutcomes,
    "replay": noise.Replay,
    "impersonate": noise.Impersonate,
    "huge-height": noise.HugeHeight,
    "spam": noise.Spam,
    "unreadable": noise.Unreadable,
    "bad-gossip": noise.BadGossip,
    "invalid-block": InvalidBlock,
    **{f"invalid-{kind}": _block(kind) for kind in SPOILS},
}


def liars_of(world: World) -> dict[str, Liar]:
    """The liars of a world, by node."""
    return {
        name: rewriter
        for name, rewriter in world.network.rewriters.items()
        if isinstance(rewriter, Liar)
    }


def corrupt(world: World, name: str, *lies: str) -> Liar:
    """Let a validator tell these lies from now on; it works together with all other liars.

    Raises:
        KeyError: a lie that is not in `LIES`.
    """
    told = {lie: LIES[lie]() for lie in lies}
    liars = liars_of(world)
    liar = liars.get(name)
    if liar is None:
        allies = next(iter(liars.values()), None)
        coalition = (
            Coalition(world, Random(f"{world.seed}/coalition"))
            if allies is None
            else allies.coalition
        )
        liar = Liar(coalition, name, told)
    else:
        liar.lies.update(told)
    world.trace.note(name, f"lies: {', '.join(lies)}")
    return liar
