"""Where a node is within a height, and every way to get from there to somewhere else.

Every height starts in WAITING. The phase changes only through `step`; what is not in the table
cannot happen. A height that was synced from others is dropped in whatever phase it is.
`docs/protocol/consensus.md` prints the table from here, and a test holds the two together.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ledger.consensus.errors import ProtocolBug


class Phase(Enum):
    """What a node is doing; the value is the word that status reports."""

    #: In the view, and nothing proposed in it yet.
    WAITING = "waiting"
    #: The proposer: a block is being built.
    BUILDING = "building"
    #: A proposal stands; this node is executing it.
    CHECKING = "checking"
    #: PREPARE sent, collecting those of the others.
    PREPARING = "preparing"
    #: A quorum prepared; COMMIT sent, collecting those of the others.
    COMMITTING = "committing"
    #: VIEW-CHANGE sent for the view; nothing below it will be voted for again.
    CHANGING = "changing"
    #: The block of the height is final here.
    DECIDED = "decided"


class Event(Enum):
    """What moves a node on; the value is the phrase that the table prints."""

    RESUMED = "own COMMIT found in the store"
    CALLED = "it is this node's turn to propose, and time to"
    ELECTED = "a quorum of VIEW-CHANGEs, no block among them prepared, makes this node propose"
    BUILT = "the block is built: PRE-PREPARE or NEW-VIEW goes out"
    PROPOSED = "a valid PRE-PREPARE, or a justified NEW-VIEW for this or a higher view"
    PASSED = "the proposed block checks out: PREPARE goes out"
    REFUSED = "the proposal breaks a rule"
    PREPARED = "a quorum of PREPAREs: COMMIT goes out"
    GAVE_UP = "the view has had its time: VIEW-CHANGE to the next goes out"
    JOINED = "f+1 validators are changing to higher views: VIEW-CHANGE goes out"
    FINAL = "a quorum of COMMITs from any view, for a block that is at hand"


#: The phases of a height that is being worked on.
OPEN: Final = (
    Phase.WAITING,
    Phase.BUILDING,
    Phase.CHECKING,
    Phase.PREPARING,
    Phase.COMMITTING,
    Phase.CHANGING,
)

TRANSITIONS: Final[dict[tuple[Phase, Event], Phase]] = {
    (Phase.WAITING, Event.RESUMED): Phase.COMMITTING,
    (Phase.WAITING, Event.CALLED): Phase.BUILDING,
    (Phase.CHANGING, Event.ELECTED): Phase.BUILDING,
    (Phase.BUILDING, Event.BUILT): Phase.PREPARING,
    **{(phase, Event.PROPOSED): Phase.CHECKING for phase in OPEN},
    (Phase.CHECKING, Event.PASSED): Phase.PREPARING,
    (Phase.WAITING, Event.REFUSED): Phase.CHANGING,
    (Phase.CHECKING, Event.REFUSED): Phase.CHANGING,
    (Phase.CHANGING, Event.REFUSED): Phase.CHANGING,
    (Phase.PREPARING, Event.PREPARED): Phase.COMMITTING,
    **{(phase, Event.GAVE_UP): Phase.CHANGING for phase in OPEN},
    **{(phase, Event.JOINED): Phase.CHANGING for phase in OPEN},
    **{(phase, Event.FINAL): Phase.DECIDED for phase in OPEN},
}


def step(phase: Phase, event: Event) -> Phase:
    """The phase that follows; raises `ProtocolBug` for a step that the table does not have."""
    following = TRANSITIONS.get((phase, event))
    if following is None:
        raise ProtocolBug(f"no way from {phase.value} by {event.name}")
    return following


def markdown() -> str:
    """The transition table as Markdown, for the documentation."""
    rows = ["| phase | event | next phase |", "|---|---|---|"]
    rows += [
        f"| {phase.value} | {event.value} | {following.value} |"
        for (phase, event), following in sorted(
            TRANSITIONS.items(), key=lambda row: (_place(row[0][0]), _place(row[0][1]))
        )
    ]
    return "\n".join(rows) + "\n"


def drawing() -> str:
    """The transitions as a Mermaid state diagram, for the documentation.

    What leads from every open phase to the same one is drawn once, from "any".
    """
    common = {
        event: TRANSITIONS[OPEN[0], event]
        for event in Event
        if len({TRANSITIONS.get((phase, event)) for phase in OPEN}) == 1
    }
    edges: dict[tuple[str, str], list[str]] = {}
    for (phase, event), following in TRANSITIONS.items():
        if event not in common:
            edges.setdefault((phase.value, following.value), []).append(_caption(event))
    for event, target in common.items():
        edges.setdefault(("any", target.value), []).append(_caption(event))
    lines = ["stateDiagram-v2", '    state "any phase but decided" as any']
    lines += [f"    [*] --> {Phase.WAITING.value}"]
    lines += [
        f"    {source} --> {target}: {'<br>or '.join(captions)}"
        for (source, target), captions in edges.items()
    ]
    return "\n".join([*lines, f"    {Phase.DECIDED.value} --> [*]"]) + "\n"


def _caption(event: Event) -> str:
    """The cause without the effect, in a form that Mermaid reads."""
    return event.value.partition(":")[0]


def _place(member: Phase | Event) -> int:
    return list(type(member)).index(member)
