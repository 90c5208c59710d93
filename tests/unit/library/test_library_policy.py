"""How members vote: what is fixed when a vote opens, and what is enough."""

from typing import Any

import pytest

from ledger.chain.codec import encode
from tests.support.contracts import World

CHIEFS = {"city": "chief", "county": "county-chief", "township": "township-chief",
          "board": "board-chief"}  # fmt: skip
#: Gives the fund a governor, who belongs to no validator.
FUND = "payer"


@pytest.fixture
def world() -> World:
    """The township lies in another county than the others."""
    world = World()
    key = "governance/institutions/township"
    world.state[key.encode()] = encode({**world.entry(key), "county": "Zichang"})
    return world


def hours(world: World, number: int, notice: int = 60, **more: Any) -> int:
    """Propose other hours for permits."""
    proposed: int = world.does(
        "chief", "charter", "propose", kind="set_parameters_of",
        payload={"name": "access", "county": "", "values": {"permit_hours": number}},
        activation=world.height + 1 + notice, reason="trial", words="for a month", **more,
    )  # fmt: skip
    return proposed


def votes(world: World, number: int, **sides: bool) -> str:
    """Votes of institutions in order; returns what became of the proposal with the last one."""
    status = ""
    for institution, approve in sides.items():
        status = world.does(
            CHIEFS[institution], "charter", "vote", proposal=number, approve=approve
        )
    return status


def with_rule(world: World, name: str, rule: dict[str, Any]) -> None:
    """Replace a rule of the policy, by a vote under the rule for the constitution."""
    number = world.does(
        "chief", "charter", "propose", kind="set_parameters_of",
        payload={"name": "policy", "county": "", "values": {name: rule}},
        activation=world.height + 10, reason="law", words="the new statute",
    )  # fmt: skip
    assert votes(world, number, city=True, county=True, board=True) == "passed"
    world.height += 10
    world.does("he", "charter", "carry_out", proposal=number)


def ballot(world: World, number: int) -> Any:
    return world.asks("policy", "ballot", owner="charter", number=number)


def test_each_validating_institution_has_one_vote_unless_the_founders_said_otherwise(
    world: World,
) -> None:
    number = hours(world, 12)
    voters = ballot(world, number)["voters"]
    assert [(voter["institution"], voter["weight"]) for voter in voters] == [
        ("city", 1), ("county", 1), ("township", 1), ("board", 1),
    ]  # fmt: skip
    assert votes(world, number, city=True, county=True) == "open"
    assert votes(world, number, board=True) == "passed"


def test_weights_count_and_more_than_half_is_more_than_half(world: World) -> None:
    weights = {"city": 3, "board": 0}
    with_rule(world, "parameters", {"weights": weights, "paths": [{"share": [1, 2]}]})
    assert votes(world, hours(world, 12), city=True) == "passed"  # 3 of 5
    second = hours(world, 13)
    assert votes(world, second, county=True, township=True, board=True) == "open"  # 2 of 5
    assert votes(world, second, city=False) == "rejected"


def test_a_quorum_must_have_voted_too(world: World) -> None:
    with_rule(world, "parameters", {"paths": [{"share": [1, 4], "quorum": [3, 4]}]})
    number = hours(world, 12)
    assert votes(world, number, city=True, county=True) == "open"
    assert votes(world, number, board=False) == "passed"


def test_a_county_with_a_veto_is_waited_for(world: World) -> None:
    with_rule(world, "parameters", {"veto_counties": ["Zichang"]})
    number = hours(world, 12)
    assert votes(world, number, city=True, county=True, board=True) == "open"
    assert votes(world, number, township=True) == "passed"
    second = hours(world, 13)
    assert votes(world, second, city=True, county=True, board=True, township=False) == "rejected"


def test_a_county_that_does_not_use_its_veto_stops_nothing(world: World) -> None:
    with_rule(world, "parameters", {"veto_counties": ["*"]})
    number = hours(world, 12, notice=20)
    assert votes(world, number, city=True, county=True, board=True) == "open"
    assert world.refuses("he", "charter", "count", proposal=number) == "too_early"
    ends = ballot(world, number)["ends"]
    world.height = ends
    late = {"proposal": number, "approve": False}
    assert world.refuses("township-chief", "charter", "vote", **late) == "too_late"
    assert world.does("he", "charter", "count", proposal=number) == "passed"


def test_what_nobody_counted_in_time_has_expired(world: World) -> None:
    with_rule(world, "parameters", {"veto_counties": ["Zichang"]})
    number = hours(world, 12, notice=20)
    votes(world, number, city=True, county=True, board=True)
    world.height = ballot(world, number)["closes"]
    assert world.asks("charter", "proposal", number=number)["status"] == "open"
    world.height += 1
    assert world.asks("charter", "proposal", number=number)["status"] == "expired"
    assert world.does("he", "charter", "count", proposal=number) == "expired"
    assert world.refuses("he", "charter", "count", proposal=number) == "proposal_closed"


def test_the_electorate_and_what_is_enough_are_fixed_when_the_vote_opens(world: World) -> None:
    number = hours(world, 12, notice=500)
    with_rule(world, "parameters", {"weights": {"city": 100}, "paths": [{"share": [1, 2]}]})
    assert votes(world, number, city=True) == "open"
    assert ballot(world, number)["total"] == 4
    assert votes(world, hours(world, 13), city=True) == "passed"


def test_the_commission_without_a_validator_can_vote_by_its_kind(world: World) -> None:
    rule = {"also": ["insurer"], "paths": [{"share": [0, 1], "more": False, "kinds": ["insurer"]}]}
    with_rule(world, "parameters", rule)
    number = hours(world, 12)
    assert [(v["institution"], v["weight"]) for v in ballot(world, number)["voters"]][-1] == (
        "fund", 0,
    )  # fmt: skip
    assert votes(world, number, city=True, county=True, township=True) == "open"


def test_in_an_emergency_the_commission_and_one_county_are_enough(world: World) -> None:
    pause = {
        "kind": "pause", "payload": {"name": "referral", "instead": "deny"}, "activation": 0,
        "reason": "security", "words": "a fault",
    }  # fmt: skip
    number = world.does("board-chief", "charter", "propose", **pause)
    assert votes(world, number, board=True) == "open"
    assert votes(world, number, township=True) == "passed"
    pause["payload"] = {"name": "consent", "instead": "deny"}
    second = world.does("chief", "charter", "propose", **pause)
    assert votes(world, second, city=True, township=True) == "open"
    assert votes(world, second, county=True) == "passed"  # 3 of 4 are two thirds


def test_an_institution_may_vote_again_while_the_vote_is_open(world: World) -> None:
    number = hours(world, 12)
    assert votes(world, number, city=False) == "open"
    assert votes(world, number, city=True) == "open"
    found = ballot(world, number)
    assert (found["approve"], found["reject"]) == (["city"], [])


def test_a_vote_names_the_report_it_rests_on(world: World) -> None:
    number = hours(world, 12)
    vote = {"proposal": number, "approve": True}
    assert world.refuses("chief", "charter", "vote", **vote, report="short") == "bad_report"
    world.does("chief", "charter", "vote", **vote, report="ab" * 32)
    assert ballot(world, number)["reports"] == {"city": "ab" * 32}


def test_who_may_propose_can_be_narrowed(world: World) -> None:
    with_rule(world, "parameters", {"proposer_kinds": ["commission"]})
    proposal = {
        "kind": "set_parameters_of", "reason": "trial", "words": "x",
        "payload": {"name": "access", "county": "", "values": {"permit_hours": 12}},
    }  # fmt: skip
    at = world.height + 30
    assert (
        world.refuses("chief", "charter", "propose", **proposal, activation=at) == "not_a_governor"
    )
    number = world.does("board-chief", "charter", "propose", **proposal, activation=at)
    assert world.asks("charter", "proposal", number=number)["by"] == "board"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"colour": "red"}, "unknown_part"),
        ({"electorate": "everybody"}, "unknown_electorate"),
        ({"weights": {"city": -1}}, "bad_weight"),
        ({"weights": {"city": 1001}}, "bad_weight"),
        ({"paths": []}, "bad_paths"),
        ({"paths": [{}] * 5}, "bad_paths"),
        ({"paths": [{"share": [3, 2]}]}, "bad_fraction"),
        ({"paths": [{"share": [1, 0]}]}, "bad_fraction"),
        ({"paths": [{"share": [1]}]}, "bad_fraction"),
        ({"paths": [{"share": [1, 1]}]}, "more_than_all"),
        ({"paths": [{"share": [0, 1], "more": False}]}, "needs_nobody"),
        ({"paths": [{"kinds": ["charity"]}]}, "nobody_could_pass"),
        ({"weights": dict.fromkeys(CHIEFS, 0)}, "nobody_could_pass"),
        ({"veto_share": [2, 1]}, "bad_fraction"),
        ({"veto_counties": ["x"] * 101}, "too_many_named"),
    ],
)
def test_a_rule_under_which_nothing_could_be_decided_is_refused(
    world: World, rule: dict[str, Any], code: str
) -> None:
    number = world.does(
        "chief", "charter", "propose", kind="set_parameters_of",
        payload={"name": "policy", "county": "", "values": {"contracts": rule}},
        activation=world.height + 10, reason="law", words="the new statute",
    )  # fmt: skip
    assert votes(world, number, city=True, county=True, board=True) == "passed"
    world.height += 10
    assert world.refuses("he", "charter", "carry_out", proposal=number) == code


def test_the_rules_are_changed_by_the_charter_alone_and_for_all(world: World) -> None:
    for arguments in ({"county": "", "values": {}}, {"county": "Zichang", "values": {}}):
        assert world.refuses("chief", "policy", "amend", **arguments) == "charter_only"
    assert world.refuses("chief", "policy", "put", number=1, rule="members", closes=50) == (
        "owner_unknown"
    )
    number = hours(world, 12)
    for method, more in (("cast", {"approve": True}), ("count", {})):
        assert world.refuses("chief", "policy", method, number=number, **more) == "owner_unknown"
    assert (
        world.refuses("chief", "charter", "vote", proposal=number + 1, approve=True)
        == "unknown_proposal"
    )


def test_too_many_open_votes_wait_for_those_before(world: World) -> None:
    for _ in range(32):
        hours(world, 12)
    payload = {"name": "access", "county": "", "values": {"permit_hours": 12}}
    proposal = {"kind": "set_parameters_of", "payload": payload, "reason": "trial", "words": "x"}
    activation = world.height + 60
    assert (
        world.refuses("chief", "charter", "propose", **proposal, activation=activation)
        == "too_many_proposals"
    )
    world.height += 60
    hours(world, 12)
