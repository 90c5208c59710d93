"""What a core accuses others of convinces a third party, and nothing else does."""

from collections.abc import Callable, Iterable

import pytest
from msgspec.structs import replace

from ledger.chain.codec import Malformed, decode, encode
from ledger.consensus.effects import Accuse, Effect
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.evidence import PROOFS, Proof, Unproven, contradiction, convict
from ledger.consensus.messages import new_view, signed
from ledger.consensus.statements import Claim, PreparedCertificate, Signed
from tests.support.consensus import CHAIN, validator_set
from tests.support.puppets import Puppets, only

VALIDATORS = validator_set(4)


def fault_of(effects: Iterable[Effect]) -> PeerFault:
    (accusation,) = only(effects, Accuse)
    return accusation.fault


def two_pre_prepares(puppets: Puppets) -> list[Effect]:
    return puppets.give(
        puppets.propose(puppets.block()), puppets.propose(puppets.block(content=b"other"))
    )


def two_prepares(puppets: Puppets) -> list[Effect]:
    return puppets.give(
        puppets.prepare("n2", puppets.block()),
        puppets.prepare("n2", puppets.block(content=b"other")),
    )


def two_commits(puppets: Puppets) -> list[Effect]:
    return puppets.give(
        puppets.commit("n2", puppets.block()), puppets.commit("n2", puppets.block(content=b"other"))
    )


def two_view_changes(puppets: Puppets) -> list[Effect]:
    certificate = puppets.certificate(puppets.block())
    return puppets.give(puppets.change("n2"), puppets.change("n2", prepared=certificate))


def a_view_change_elsewhere(puppets: Puppets) -> list[Effect]:
    """n3 told this node one thing and the new proposer another."""
    block = puppets.block()
    changes = [
        puppets.change("n1"),
        puppets.change("n2"),
        puppets.change("n3", prepared=puppets.certificate(block)),
    ]
    return puppets.give(puppets.change("n3"), puppets.new_view(block, "n2", changes))


def a_prepare_elsewhere(puppets: Puppets) -> list[Effect]:
    """n3 sent this node a PREPARE for another block than the one in a certificate."""
    certificate = puppets.certificate(puppets.block(), nodes=("n1", "n2", "n3"))
    return puppets.give(
        puppets.prepare("n3", puppets.block(content=b"other")),
        puppets.change("n1", prepared=certificate),
    )


@pytest.mark.parametrize(
    ("story", "kind"),
    [
        (two_pre_prepares, "pre-prepare"),
        (two_prepares, "prepare"),
        (two_commits, "commit"),
        (two_view_changes, "view-change"),
        (a_view_change_elsewhere, "view-change"),
        (a_prepare_elsewhere, "prepare"),
    ],
)
def test_equivocation_in_every_phase_is_proven_to_third_parties(
    story: Callable[[Puppets], list[Effect]], kind: str
) -> None:
    puppets = Puppets()
    puppets.begin()
    fault = fault_of(story(puppets))
    assert fault.rule is Rule.EQUIVOCATION
    said = convict(fault.rule, fault.evidence, CHAIN, VALIDATORS)
    assert (said.node, said.height, said.kind) == (fault.accused, 1, kind)


def hidden(puppets: Puppets) -> list[Effect]:
    return puppets.give(puppets.commit("n1", puppets.block()), puppets.change("n1"))


def hidden_and_committed_later(puppets: Puppets) -> list[Effect]:
    return puppets.give(puppets.change("n1"), puppets.commit("n1", puppets.block()))


def another_block(puppets: Puppets) -> list[Effect]:
    certificate = puppets.certificate(puppets.block(content=b"other"))
    return puppets.give(
        puppets.commit("n1", puppets.block()), puppets.change("n1", prepared=certificate)
    )


@pytest.mark.parametrize("story", [hidden, hidden_and_committed_later, another_block])
def test_amnesia_is_proven_to_third_parties(story: Callable[[Puppets], list[Effect]]) -> None:
    puppets = Puppets()
    puppets.begin()
    fault = fault_of(story(puppets))
    assert fault.rule is Rule.AMNESIA
    assert convict(fault.rule, fault.evidence, CHAIN, VALIDATORS).node == "n1"


def test_an_unproven_claim_is_proven_to_third_parties() -> None:
    puppets = Puppets()
    puppets.begin()
    short = puppets.certificate(puppets.block(), nodes=("n1", "n2"))
    fault = fault_of(puppets.give(puppets.change("n1", prepared=short)))
    assert convict(Rule.UNPROVEN_PREPARED, fault.evidence, CHAIN, VALIDATORS).node == "n1"


def test_an_invalid_proposal_is_shown_with_the_header_that_was_signed() -> None:
    puppets = Puppets()
    puppets.begin()
    block = puppets.block()
    puppets.give(puppets.propose(block))
    fault = fault_of(puppets.checked(block, "the state roots differ"))
    said = convict(Rule.INVALID_PROPOSAL, fault.evidence, CHAIN, VALIDATORS)
    assert (said.node, said.subject) == ("n1", block.header.hash())


SPOKEN = Puppets()
BLOCK = SPOKEN.block()
OTHER = SPOKEN.block(content=b"other")
CERTIFICATE = SPOKEN.certificate(BLOCK)
COMMIT = signed(SPOKEN.commit("n1", BLOCK))
HONEST_CHANGE = signed(SPOKEN.change("n1", prepared=CERTIFICATE))
LATER = SPOKEN.certificate(BLOCK, view=1)


@pytest.mark.parametrize(
    ("rule", "evidence"),
    [
        (Rule.EQUIVOCATION, [COMMIT, COMMIT]),
        (Rule.EQUIVOCATION, [COMMIT, signed(SPOKEN.commit("n2", OTHER))]),
        (Rule.EQUIVOCATION, [COMMIT, signed(SPOKEN.commit("n1", OTHER, view=1))]),
        (Rule.EQUIVOCATION, [COMMIT, signed(SPOKEN.prepare("n1", OTHER))]),
        (Rule.EQUIVOCATION, [COMMIT, replace(COMMIT, subject=OTHER.header.hash())]),
        (Rule.EQUIVOCATION, [COMMIT]),
        (Rule.AMNESIA, [COMMIT, HONEST_CHANGE]),
        (Rule.AMNESIA, [COMMIT, signed(SPOKEN.change("n1", 2, LATER))]),
        (Rule.AMNESIA, [COMMIT, signed(SPOKEN.change("n2"))]),
        (Rule.AMNESIA, [signed(SPOKEN.commit("n1", BLOCK, view=1)), signed(SPOKEN.change("n1"))]),
        (Rule.AMNESIA, [COMMIT, replace(HONEST_CHANGE, subject=None)]),
        (Rule.UNPROVEN_PREPARED, [HONEST_CHANGE, CERTIFICATE]),
        (Rule.UNPROVEN_PREPARED, [HONEST_CHANGE, SPOKEN.certificate(BLOCK, nodes=("n1", "n2"))]),
        (Rule.INVALID_PROPOSAL, [signed(SPOKEN.propose(BLOCK)), OTHER.header]),
        (Rule.INVALID_PROPOSAL, [signed(SPOKEN.prepare("n1", BLOCK)), BLOCK.header]),
        (Rule.WRONG_BLOCK, [signed(SPOKEN.propose(BLOCK)), OTHER.header]),
    ],
)
def test_evidence_that_shows_no_fault_convicts_nobody(
    rule: Rule, evidence: list[Signed | PreparedCertificate]
) -> None:
    with pytest.raises(Unproven):
        convict(rule, [encode(part) for part in evidence], CHAIN, VALIDATORS)


def test_a_stranger_cannot_be_convicted() -> None:
    said = [signed(SPOKEN.commit("n9", BLOCK)), signed(SPOKEN.commit("n9", OTHER))]
    with pytest.raises(Unproven, match="no vote"):
        convict(Rule.EQUIVOCATION, [encode(part) for part in said], CHAIN, VALIDATORS)


def test_evidence_that_cannot_be_read_is_malformed() -> None:
    with pytest.raises(Malformed):
        convict(Rule.EQUIVOCATION, [encode(COMMIT), b"\x93"], CHAIN, VALIDATORS)


def test_evidence_holds_for_one_chain_only() -> None:
    said = [encode(signed(SPOKEN.commit("n1", block))) for block in (BLOCK, OTHER)]
    assert convict(Rule.EQUIVOCATION, said, CHAIN, VALIDATORS)
    with pytest.raises(Unproven, match="did not sign"):
        convict(Rule.EQUIVOCATION, said, bytes(32), VALIDATORS)


def test_votes_of_different_heights_contradict_nothing() -> None:
    first, second = (signed(SPOKEN.commit("n1", block)) for block in (BLOCK, OTHER))
    assert contradiction(first, second) is Rule.EQUIVOCATION
    assert contradiction(first, replace(second, height=2)) is None


def test_a_signed_statement_reads_back_as_itself() -> None:
    for said in (COMMIT, HONEST_CHANGE, signed(SPOKEN.change("n1"))):
        assert decode(encode(said), Signed, limit=1_000) == said
    assert isinstance(HONEST_CHANGE.subject, Claim)


def test_every_rule_says_what_proves_it() -> None:
    assert set(PROOFS) == set(Rule)
    assert {rule for rule, proof in PROOFS.items() if proof is not Proof.WITNESS} == {
        Rule.EQUIVOCATION,
        Rule.AMNESIA,
        Rule.UNPROVEN_PREPARED,
        Rule.INVALID_PROPOSAL,
    }


def test_a_new_view_shows_the_statements_of_its_view_changes() -> None:
    changes = [SPOKEN.change(node, prepared=CERTIFICATE) for node in ("n1", "n2", "n3")]
    message = new_view(SPOKEN.propose(BLOCK, 1, "n2"), changes)
    assert [left.claim for left in message.departures] == [
        signed(change).subject for change in changes
    ]
