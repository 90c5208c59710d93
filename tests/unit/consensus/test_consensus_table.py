"""Every row of the transition table, taken one by one; and the copy of it in the documentation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.chain.block import Block
from ledger.chain.vote import Vote
from ledger.consensus.errors import ProtocolBug, Rule
from ledger.consensus.inputs import Timer
from ledger.consensus.phases import TRANSITIONS, Event, Phase, drawing, markdown, step
from tests.support.consensus import TAKEN
from tests.support.puppets import Puppets, votes_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "protocol" / "consensus.md"


def change_all(puppets: Puppets, view: int, *nodes: str) -> None:
    puppets.give(*(puppets.change(node, view) for node in nodes))


def lead_to(phase: Phase) -> tuple[Puppets, Block]:
    """The core of n0 in a phase of its first height, and a block that was proposed to it."""
    puppets = Puppets("n0")
    block = puppets.block()
    puppets.begin()
    if phase is Phase.WAITING:
        return puppets, block
    puppets.give(puppets.propose(block))
    if phase is Phase.BUILDING:
        change_all(puppets, 3, "n1", "n2")
    if phase is Phase.CHANGING:
        puppets.fire(Timer.VIEW)
    if phase in (Phase.PREPARING, Phase.COMMITTING):
        puppets.checked(block)
    if phase is Phase.COMMITTING:
        puppets.give(puppets.prepare("n1", block), puppets.prepare("n2", block))
    assert puppets.status.phase is phase
    return puppets, block


def stored_votes(*, two_views: bool) -> tuple[Block, list[Vote]]:
    """What a node that committed in view 0, and maybe prepared again in view 1, has on its disk."""
    puppets, block = lead_to(Phase.PREPARING)
    before = votes_of(puppets.give(puppets.prepare("n1", block), puppets.prepare("n2", block)))
    if not two_views:
        return block, before
    certificate = puppets.certificate(block)
    changes = [puppets.change(node, prepared=certificate) for node in ("n1", "n2", "n3")]
    return block, before + votes_of(puppets.give(puppets.new_view(block, "n2", changes)))


def resumed(_puppets: Puppets, _block: Block) -> None:
    Puppets("n0").begin(stored_votes(two_views=False)[1])


def called(_puppets: Puppets, _block: Block) -> None:
    Puppets("n1").begin()


def elected(puppets: Puppets, _block: Block) -> None:
    change_all(puppets, 3, "n1", "n2")


def built(puppets: Puppets, _block: Block) -> None:
    puppets.built(puppets.block("n0", view=3), view=3)


def proposed(puppets: Puppets, _block: Block) -> None:
    changes = [puppets.change(node, 4) for node in ("n1", "n2", "n3")]
    puppets.give(puppets.new_view(puppets.block("n1", view=4), "n1", changes))


def passed(puppets: Puppets, block: Block) -> None:
    puppets.checked(block)


def refused(puppets: Puppets, block: Block) -> None:
    match puppets.status.phase:
        case Phase.WAITING:
            puppets.give(puppets.propose(puppets.block("n2")))
        case Phase.CHECKING:
            puppets.checked(block, "the state roots differ")
        case _:
            puppets.give(puppets.new_view(block, "n2", [puppets.change("n3")]))


def prepared(puppets: Puppets, block: Block) -> None:
    puppets.give(puppets.prepare("n1", block), puppets.prepare("n2", block))


def gave_up(puppets: Puppets, _block: Block) -> None:
    puppets.fire(Timer.VIEW)


def joined(puppets: Puppets, _block: Block) -> None:
    change_all(puppets, 9, "n1", "n2")


def final(puppets: Puppets, block: Block) -> None:
    if puppets.status.phase is Phase.WAITING:
        puppets = Puppets("n0")
        puppets.begin(stored_votes(two_views=True)[1])
        assert puppets.status.phase is Phase.WAITING
    puppets.give(*(puppets.commit(node, block, view=5) for node in ("n1", "n2", "n3")))


CAUSES: dict[Event, Callable[[Puppets, Block], None]] = {
    Event.RESUMED: resumed,
    Event.CALLED: called,
    Event.ELECTED: elected,
    Event.BUILT: built,
    Event.PROPOSED: proposed,
    Event.PASSED: passed,
    Event.REFUSED: refused,
    Event.PREPARED: prepared,
    Event.GAVE_UP: gave_up,
    Event.JOINED: joined,
    Event.FINAL: final,
}


@pytest.mark.parametrize(("phase", "event"), TRANSITIONS, ids=lambda member: member.name.lower())
def test_every_row_of_the_table_can_be_taken(phase: Phase, event: Event) -> None:
    puppets, block = lead_to(phase)
    TAKEN.clear()
    CAUSES[event](puppets, block)
    assert (phase, event) in TAKEN


def test_a_step_that_is_not_in_the_table_is_a_bug() -> None:
    with pytest.raises(ProtocolBug):
        step(Phase.DECIDED, Event.GAVE_UP)


def test_nothing_follows_the_decision() -> None:
    assert not [phase for phase, _ in TRANSITIONS if phase is Phase.DECIDED]


def test_the_documentation_prints_the_table_of_the_code() -> None:
    assert markdown() in DOCUMENT.read_text(encoding="utf-8"), (
        "print it anew: python -c 'from ledger.consensus import phases; print(phases.markdown())'"
    )


def test_the_documentation_draws_the_table_of_the_code() -> None:
    assert f"```mermaid\n{drawing()}```\n" in DOCUMENT.read_text(encoding="utf-8"), (
        "draw it anew: python -c 'from ledger.consensus import phases; print(phases.drawing())'"
    )


def test_the_drawing_has_an_arrow_for_every_row_of_the_table() -> None:
    arrows = [line.split(":", 1) for line in drawing().splitlines() if "-->" in line]
    drawn = {(ends.strip(), cause) for ends, *causes in arrows for cause in causes}
    for (phase, event), following in TRANSITIONS.items():
        caption = event.value.partition(":")[0]
        assert any(
            ends in (f"{phase.value} --> {following.value}", f"any --> {following.value}")
            and caption in cause
            for ends, cause in drawn
        )


@pytest.mark.parametrize("rule", Rule)
def test_the_documentation_explains_every_accusation(rule: Rule) -> None:
    assert f"| `{rule}` |" in DOCUMENT.read_text(encoding="utf-8")
