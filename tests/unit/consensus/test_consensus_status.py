"""Why is nothing being committed?"""

from ledger.consensus.inputs import Timer
from tests.support.puppets import Puppets


def test_status_tells_in_every_phase_for_whom_it_waits() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    assert puppets.status.missing == ("n1",)
    assert "waiting for the proposal of n1" in puppets.status.explain()
    puppets.give(puppets.propose(block))
    assert puppets.status.missing == ("n0",)
    assert "executing the block that n1 proposed" in puppets.status.explain()
    puppets.checked(block)
    puppets.give(puppets.prepare("n1", block))
    assert puppets.status.missing == ("n2", "n3")
    assert "2 of 3 PREPAREs, none from n2, n3" in puppets.status.explain()
    puppets.give(puppets.prepare("n2", block), puppets.commit("n3", block))
    assert puppets.status.missing == ("n1", "n2")
    assert "2 of 3 COMMITs, none from n1, n2" in puppets.status.explain()
    puppets.fire(Timer.VIEW)
    assert puppets.status.missing == ("n1", "n2", "n3")
    assert "1 of 3 VIEW-CHANGEs" in puppets.status.explain()
    certificate = puppets.certificate(block)
    puppets.give(*(puppets.change(node, prepared=certificate) for node in ("n1", "n3")))
    assert puppets.status.missing == ("n2",)
    assert "waiting for the proposal of n2" in puppets.status.explain()
    puppets.give(puppets.commit("n1", block))
    assert puppets.status.missing == ()
    assert "final" in puppets.status.explain()


def test_status_tells_an_idle_network_from_a_stuck_one() -> None:
    puppets = Puppets()
    puppets.begin(work=False)
    assert "nothing to do" in puppets.status.explain()


def test_status_tells_why_a_proposal_was_refused() -> None:
    puppets = Puppets()
    block = puppets.block()
    puppets.begin()
    puppets.give(puppets.propose(block))
    puppets.checked(block, "the state roots differ")
    assert "after a refusal (the state roots differ)" in puppets.status.explain()


def test_a_proposer_at_work_says_so() -> None:
    puppets = Puppets("n1")
    puppets.begin()
    assert "building a block" in puppets.status.explain()
