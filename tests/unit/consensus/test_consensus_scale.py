"""What a view change costs when there are many validators."""

import random

import pytest

from ledger.chain import limits
from ledger.consensus.inputs import Timer
from ledger.consensus.messages import encode_message, new_view
from ledger.consensus.phases import Phase
from ledger.crypto import suites
from tests.support.puppets import Puppets


def everybody_prepared(size: int) -> tuple[Puppets, list[str]]:
    """n0 among so many; and the names of the others."""
    puppets = Puppets(size=size)
    puppets.begin()
    return puppets, [member.node for member in puppets.validators.members if member.node != "n0"]


@pytest.mark.parametrize(("size", "longest"), [(4, 1_200), (49, 8_000), (100, 16_000)])
def test_a_new_view_grows_with_the_number_of_validators_and_not_with_its_square(
    size: int, longest: int
) -> None:
    puppets, others = everybody_prepared(size)
    quorum = puppets.validators.quorum
    block = puppets.block()
    certificate = puppets.certificate(block, nodes=sorted(others[:quorum]))
    changes = [puppets.change(node, prepared=certificate) for node in sorted(others[:quorum])]
    raw = encode_message(new_view(puppets.propose(block, 1, "n2"), changes))
    assert len(raw) < longest < limits.MAX_FRAME_BYTES


def test_certificates_of_different_quorums_cost_one_verification_of_each_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    puppets, others = everybody_prepared(49)
    quorum = puppets.validators.quorum
    block = puppets.block()
    chance = random.Random(1)
    changes = [
        puppets.change(
            node, prepared=puppets.certificate(block, nodes=sorted(chance.sample(others, quorum)))
        )
        for node in others
    ]
    verified = 0
    verify = suites.verify

    def counting(key: bytes, message: bytes, signature: bytes) -> bool:
        nonlocal verified
        verified += 1
        return verify(key, message, signature)

    monkeypatch.setattr(suites, "verify", counting)
    puppets.fire(Timer.VIEW)
    puppets.give(*changes)
    assert puppets.status.phase is Phase.CHANGING
    assert len(puppets.status.changing) == 49
    assert verified == len(changes) + len(others)
