"""Members, nodes, validators and parameters change by vote and at a height."""

import pytest

from ledger.chain.constitution import (
    PARAMETER_BOUNDS,
    Parameters,
    oldest_repeatable,
    parameters_at,
    validators_at,
)
from tests.support.contracts import NODES, World, key_of
from tests.support.sources import constant

CHIEFS = ["chief", "county-chief", "township-chief", "board-chief"]
NEW = {"id": "clinic", "name": "Clinic", "name_zh": "诊所", "kind": "township-centre",
       "county": "Yan'an", "ca": "CA of clinic"}  # fmt: skip
NEW_NODE = {"id": "clinic-1", "institution": "clinic", "role": "observer",
            "key": key_of("clinic-1").public.hex()}  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


def proposed(world: World, kind: str, payload: dict[str, object], notice: int = 20) -> int:
    number: int = world.does(
        "chief", "governance", "propose", kind=kind, payload=payload,
        activation=world.height + 1 + notice,
    )  # fmt: skip
    return number


def decided(world: World, kind: str, payload: dict[str, object], notice: int = 20) -> int:
    """Propose and have three of four institutions approve; returns the activation height."""
    number = proposed(world, kind, payload, notice)
    for chief in CHIEFS[:3]:
        world.does(chief, "governance", "vote", proposal=number, approve=True)
    proposal = world.asks("governance", "proposal", number=number)
    assert proposal["status"] == "passed", proposal["problem"]
    height: int = proposal["activation"]
    return height


def refused(world: World, kind: str, payload: dict[str, object]) -> str:
    return world.refuses(
        "chief", "governance", "propose", kind=kind, payload=payload, activation=world.height + 20
    )


def test_the_genesis_writes_what_the_protocol_reads(world: World) -> None:
    validators = validators_at(world.state.get, 1)
    assert [member.node for member in validators.members] == list(NODES)
    assert parameters_at(world.state.get, 1).view_timeout == 2000


def test_the_bounds_are_those_of_the_protocol() -> None:
    bounds = {name: list(pair) for name, pair in PARAMETER_BOUNDS.items()}
    assert constant("parameters", "BOUNDS") == bounds


def test_more_than_two_thirds_must_approve(world: World) -> None:
    number = proposed(world, "set_parameters", {"values": {"view_timeout": 3000}})
    vote = {"proposal": number, "approve": True}
    assert world.does("chief", "governance", "vote", **vote) == "open"
    assert world.does("county-chief", "governance", "vote", **vote) == "open"
    assert world.does("chief", "governance", "vote", **vote) == "open"  # one vote all the same
    assert world.does("board-chief", "governance", "vote", **vote) == "passed"


def test_two_of_three_are_not_more_than_two_thirds(world: World) -> None:
    second = {**NEW_NODE, "id": "city-2", "institution": "city"}
    decided(world, "add_node", second)
    nodes = ["city-1", "city-2", "county-1", "township-1"]
    world.height = decided(world, "set_validators", {"nodes": nodes})
    number = proposed(world, "set_parameters", {"values": {"clock_ahead": 500}})
    vote = {"proposal": number, "approve": True}
    assert world.does("chief", "governance", "vote", **vote) == "open"
    assert world.does("county-chief", "governance", "vote", **vote) == "open"
    assert world.refuses("board-chief", "governance", "vote", **vote) == "not_a_governor"
    assert world.does("township-chief", "governance", "vote", **vote) == "passed"


def test_a_proposal_that_cannot_pass_any_more_is_rejected(world: World) -> None:
    number = proposed(world, "set_parameters", {"values": {"view_timeout": 3000}})
    vote = {"proposal": number, "approve": False}
    assert world.does("chief", "governance", "vote", **vote) == "open"
    assert world.does("county-chief", "governance", "vote", **vote) == "rejected"
    assert world.refuses("board-chief", "governance", "vote", **vote) == "proposal_closed"


def test_parameters_change_at_their_height_and_keep_the_others(world: World) -> None:
    height = decided(world, "set_parameters", {"values": {"clock_ahead": 5000}})
    assert parameters_at(world.state.get, height - 1).clock_ahead == 10_000
    assert parameters_at(world.state.get, height).clock_ahead == 5000
    assert parameters_at(world.state.get, height).view_timeout == 2000


def test_a_new_member_brings_its_people_and_its_node(world: World) -> None:
    registrar = {"id": "clinic-clerk", "institution": "clinic", "roles": ["registrar"],
                 "keys": [key_of("clinic-clerk").public.hex()]}  # fmt: skip
    decided(world, "add_institution", {"institution": NEW, "people": [registrar]})
    assert world.asks("governance", "is_member", id="clinic")
    decided(world, "add_node", NEW_NODE)
    assert world.asks("governance", "node", id="clinic-1")["institution"] == "clinic"
    officer = world.asks("registry", "whois", key=NEW_NODE["key"])
    assert officer["affiliations"][0]["roles"] == ["node", "records-officer"]
    world.does(
        "clinic-clerk", "registry", "enrol", id="clinic-doctor", institution="clinic",
        roles=["physician"], keys=[key_of("clinic-doctor").public.hex()],
    )  # fmt: skip


def test_validators_change_at_their_height(world: World) -> None:
    decided(world, "add_institution", {"institution": NEW})
    decided(world, "add_node", NEW_NODE)
    nodes = [*NODES, "clinic-1"]
    height = decided(world, "set_validators", {"nodes": nodes})
    assert validators_at(world.state.get, height - 1).size == 4
    assert [m.node for m in validators_at(world.state.get, height).members] == nodes


def test_a_validator_is_not_removed_and_an_observer_is(world: World) -> None:
    assert refused(world, "remove_node", {"id": "city-1"}) == "node_validates"
    decided(world, "add_institution", {"institution": NEW})
    decided(world, "add_node", NEW_NODE)
    assert refused(world, "remove_institution", {"id": "clinic"}) == "institution_has_nodes"
    decided(world, "remove_node", {"id": "clinic-1"})
    assert world.asks("governance", "node", id="clinic-1") is None
    assert world.asks("registry", "whois", key=NEW_NODE["key"])["status"] == "revoked"
    decided(world, "remove_institution", {"id": "clinic"})
    assert not world.asks("governance", "is_member", id="clinic")


def test_the_people_of_a_member_that_left_cannot_act(world: World) -> None:
    decided(world, "remove_institution", {"id": "fund"})
    assert world.refuses(
        "payer", "access", "request", pointer={}, proof={}, purpose="HPAYMT", institution="fund",
        reply_key=bytes(32),
    ) == "not_a_member"  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        ("coup", {}, "unknown_proposal"),
        ("add_institution", {"institution": {**NEW, "id": "city"}}, "institution_exists"),
        ("add_institution", {"institution": {**NEW, "kind": "bank"}}, "unknown_kind"),
        ("add_institution", {"institution": {**NEW, "id": "a b"}}, "bad_id"),
        ("add_institution", {"institution": {**NEW, "name": ""}}, "bad_name"),
        ("add_institution", {"institution": {**NEW, "ca": "x" * 8193}}, "bad_certificate"),
        ("add_institution", {}, "missing_key"),
        ("add_node", NEW_NODE, "not_a_member"),
        ("add_node", {**NEW_NODE, "institution": "city", "id": "city-1"}, "node_exists"),
        ("add_node", {**NEW_NODE, "institution": "city", "key": "01"}, "bad_key"),
        (
            "add_node",
            {**NEW_NODE, "institution": "city", "key": key_of("city-1").public.hex()},
            "key_exists",
        ),
        ("remove_node", {"id": "nowhere"}, "unknown_node"),
        ("remove_institution", {"id": "nowhere"}, "not_a_member"),
        ("set_validators", {"nodes": ["city-1", "county-1", "township-1"]}, "too_few_validators"),
        ("set_validators", {"nodes": [*NODES, "nowhere"]}, "unknown_node"),
        ("set_validators", {"nodes": [*NODES, "city-1"]}, "node_twice"),
        ("rotate_key", {"id": "nowhere", "key": key_of("new").public.hex()}, "unknown_node"),
        ("rotate_key", {"id": "city-1", "key": "01" * 32}, "bad_key"),
        ("rotate_key", {"id": "city-1", "key": key_of("county-1").public.hex()}, "key_exists"),
        ("rotate_key", {"id": "city-1", "key": key_of("he").public.hex()}, "key_exists"),
        ("add_authority", {"institution": "nowhere", "certificate": "CA"}, "not_a_member"),
        ("add_authority", {"institution": "city", "certificate": "x" * 8193}, "bad_certificate"),
        (
            "add_authority",
            {"institution": "city", "certificate": "CA of city"},
            "authority_exists",
        ),
        ("remove_authority", {"institution": "city", "authority": "00"}, "unknown_authority"),
        ("set_parameters", {"values": {"colour": 1}}, "unknown_parameter"),
        ("set_parameters", {"values": {"view_timeout": 99}}, "out_of_bounds"),
        ("set_parameters", {"values": {"block_bytes": 1 << 40}}, "out_of_bounds"),
        ("set_parameters", {"values": {"proposer_term": True}}, "out_of_bounds"),
        (
            "set_parameters",
            {"values": {"view_timeout": 50_000, "view_timeout_cap": 1_000}},
            "out_of_bounds",
        ),
    ],
)
def test_a_change_that_is_not_possible_is_not_proposed(
    world: World, kind: str, payload: dict[str, object], code: str
) -> None:
    assert refused(world, kind, payload) == code


def test_a_change_needs_notice_and_not_too_much(world: World) -> None:
    change = {"kind": "set_parameters", "payload": {"values": {}}}
    assert (
        world.refuses("chief", "governance", "propose", **change, activation=world.height + 2)
        == "too_late"
    )
    assert (
        world.refuses("chief", "governance", "propose", **change, activation=1 << 40) == "too_far"
    )
    number = proposed(world, "set_parameters", {"values": {"clock_ahead": 500}}, notice=2)
    world.height += 5
    assert world.refuses("chief", "governance", "vote", proposal=number, approve=True) == "too_late"


def test_a_later_change_cannot_be_overtaken_by_an_earlier_one(world: World) -> None:
    early = proposed(world, "set_validators", {"nodes": list(NODES)}, notice=30)
    decided(world, "set_validators", {"nodes": list(reversed(NODES))}, notice=40)
    for chief in CHIEFS[:2]:
        world.does(chief, "governance", "vote", proposal=early, approve=True)
    assert world.does("board-chief", "governance", "vote", proposal=early, approve=True) == "void"
    assert world.asks("governance", "proposal", number=early)["problem"] == "out_of_order"


@pytest.mark.parametrize("who", ["he", "clerk", "auditor", "payer", "city-1"])
def test_only_governors_of_voting_institutions_propose_and_vote(world: World, who: str) -> None:
    change = {"kind": "set_parameters", "payload": {"values": {}}, "activation": 50}
    assert world.refuses(who, "governance", "propose", **change) == "not_a_governor"
    number = proposed(world, "set_parameters", {"values": {}})
    assert (
        world.refuses(who, "governance", "vote", proposal=number, approve=True) == "not_a_governor"
    )


def test_a_governor_of_two_institutions_says_for_which_she_votes(world: World) -> None:
    world.does(
        "county-clerk", "registry", "affiliate", id="chief", institution="county",
        roles=["governor"],
    )  # fmt: skip
    number = world.does(
        "board-chief", "governance", "propose", kind="set_parameters", payload={"values": {}},
        activation=world.height + 20,
    )  # fmt: skip
    vote = {"proposal": number, "approve": True}
    assert world.refuses("chief", "governance", "vote", **vote) == "institution_unclear"
    assert world.does("chief", "governance", "vote", **vote, institution="county") == "open"
    assert world.asks("governance", "proposal", number=number)["approve"] == ["county"]


def test_the_schedule_remembers_how_far_back_transactions_can_still_be_sent_again(
    world: World,
) -> None:
    wide = Parameters().validity_window
    assert constant("parameters", "DEFAULT_VALIDITY_WINDOW") == wide
    narrowed = decided(world, "set_parameters", {"values": {"validity_window": 16}})
    world.height = narrowed + 100
    decided(world, "set_parameters", {"values": {"clock_ahead": 5000}})
    assert oldest_repeatable(world.state.get, world.height) == 1
    world.height = narrowed + wide
    decided(world, "set_parameters", {"values": {"clock_ahead": 6000}})
    assert 0 not in [entry["from"] for entry in world.entry("parameters/schedule")]
    assert oldest_repeatable(world.state.get, world.height) == world.height - 15
