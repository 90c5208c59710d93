"""Whether what real cores wrote down in a run is a run of the model.

The simulated consortium notes every vote in the order in which it became durable. Here each is
turned into the action of the model that it stands for, and the model has to allow it in the state
that the votes before it have led to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.chain import limits
from ledger.chain.block import Header
from ledger.chain.codec import decode
from ledger.chain.rules import proposer_of
from ledger.chain.vote import Vote
from ledger.consensus.messages import ViewChange
from tests.model.protocol import Action, Claim, Rules, State
from tests.support.consensus import PARAMETERS, Decided, World


class Refused(AssertionError):
    """The model does not allow what a core did."""


@dataclass
class Height:
    """One height as the model sees it."""

    rules: Rules
    nodes: list[str]
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.rules.start

    def take(self, node: str, vote: Vote) -> None:
        """Follow one vote of an honest validator; raises `Refused`."""
        place = self.nodes.index(node)
        match vote.phase:
            case "pre-prepare":
                action = Action("propose", -1, vote.view, vote.digest)
            case "prepare":
                action = Action("prepare", place, vote.view, vote.digest)
            case "commit":
                action = Action("commit", place, vote.view)
            case "view-change":
                action = Action("leave", place, vote.view)
            case _:
                return  # the lock is stored with the COMMIT, and part of it
        if not self.rules.enabled(self.state, action):
            raise Refused(f"{node} must not {vote.phase} at {vote.height} in view {vote.view}")
        self.state = self.rules.apply(self.state, action)
        self._compare(node, place, vote)

    def _compare(self, node: str, place: int, vote: Vote) -> None:
        """Check that the vote says what it has to say in the state of the model."""
        disk = self.state.disks[place]
        if vote.phase == "commit" and disk[vote.view].prepared != vote.digest:
            raise Refused(f"{node} commits to a block that it did not prepare")
        if vote.phase == "view-change":
            change = decode(vote.message, ViewChange, limit=limits.MAX_FRAME_BYTES)
            shown = change.prepared
            claim = None if shown is None else Claim(shown.view, shown.digest)
            if claim != self.rules.claim(disk, vote.view):
                raise Refused(f"{node} leaves for view {vote.view} and hides its lock")


def accept(world: World) -> int:
    """Follow the whole run of a world; how many votes there were.

    Raises:
        Refused: naming the first vote, or the first final block, that the model does not allow.
    """
    honest = sorted({node.name for node in world.honest})
    parents: dict[int, Header] = {1: world.genesis}
    heights: dict[int, Height] = {}
    views = 1 + max((vote.view for _, vote in votes(world)), default=0)
    taken = 0
    for name, event in world.journal:
        if isinstance(event, Decided):
            header = event.block.header
            height = heights.get(header.height)
            if height is None or not height.rules.is_committed(
                height.state, event.certificate.view, header.hash()
            ):
                raise Refused(f"{name} has block {header.height} final that nobody may certify")
            parents[header.height + 1] = header
        else:
            if event.height not in heights:
                heights[event.height] = _height(world, honest, parents[event.height], views)
            heights[event.height].take(name, event)
            taken += 1
    for height in heights.values():
        breach = height.rules.breach(height.state)
        if breach is not None:
            raise Refused(breach)
    return taken


def votes(world: World) -> list[tuple[str, Vote]]:
    """What honest validators stored in a run, in order."""
    return [(name, event) for name, event in world.journal if isinstance(event, Vote)]


def _height(world: World, honest: list[str], parent: Header, views: int) -> Height:
    height, validators = parent.height + 1, world.validators
    lying = frozenset(
        view
        for view in range(views)
        if proposer_of(parent, validators, PARAMETERS, height, view) in world.liars
    )

    def made_in(block: object) -> int:
        assert isinstance(block, bytes)
        return world.headers[block].view

    rules = Rules(
        honest=len(honest),
        liars=len(world.liars),
        views=views,
        lying=lying,
        made_in=made_in,
        quorum=validators.quorum,
        support=validators.faults + 1,
    )
    return Height(rules, honest)
