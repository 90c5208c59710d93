"""The board on which validators make the keys of pseudonyms: who may say what."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from ledger.crypto.oprf import ceremony, group
from tests.support.ceremonies import Board, claim, whole
from tests.support.contracts import DAY, NODES, START, World, key_of
from tests.support.contracts.amending import amended, not_amended

FIRST = "patients.1"
TERMS = {
    "category": "HMB", "disease": "", "promises": [], "kinds": ["laboratory"], "level": "N",
    "partners": [],
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def board(world: World) -> Board:
    return Board(world, FIRST)


def key(world: World, domain: str = FIRST) -> Any:
    return world.asks("pseudonyms", "key", domain=domain)


def study(world: World, name: str = "S1", team: str = "scholar", at: str = "uni") -> None:
    world.does(
        "ethics", "research", "register", id=name, board="city", approval=sha256(b"yes").digest(),
        ends=world.time + 30 * DAY, terms=TERMS, team=[{"person": team, "institution": at}],
    )  # fmt: skip


def test_the_validators_make_a_key_that_three_of_four_hold(world: World, board: Board) -> None:
    result = board.play()
    entry = key(world)
    assert board.stage == "done"
    assert (entry["public"], entry["threshold"], entry["number"]) == (result.holders.public, 3, 1)
    assert [holder["node"] for holder in entry["holders"]] == list(NODES)
    assert group.base(whole(result, board.shares, board.terms)) == entry["public"]
    assert world.asks("pseudonyms", "terms")["open"] == []


def test_an_outsider_computes_the_same_from_what_the_chain_keeps(
    world: World, board: Board
) -> None:
    board.play()
    result = ceremony.outcome(board.terms, board.transcript)
    assert claim(result) == {
        "public": key(world)["public"],
        "verification": [holder["verification"] for holder in key(world)["holders"]],
        "qualified": key(world)["qualified"],
        "transcript": key(world)["transcript"],
    }


def test_the_stages_follow_one_another_and_nobody_speaks_twice(board: Board, world: World) -> None:
    board.open()
    refuses = world.refuses
    number = board.number
    made = board.keys["city-1"].public
    assert refuses("city-1", "pseudonyms", "judge", number=number, complaints=[]) == "another_stage"
    board.says("city-1", "join", key=made)
    assert refuses("city-1", "pseudonyms", "join", number=number, key=made) == "said_before"
    assert refuses("county-1", "pseudonyms", "join", number=number, key=b"k") == "bad_key"
    assert refuses("he", "pseudonyms", "join", number=number, key=made) == "not_a_node"
    assert refuses("city-1", "pseudonyms", "join", number=99, key=made) == "unknown_ceremony"
    assert refuses("city-1", "pseudonyms", "open", domain=FIRST) == "already_open"


def test_a_silent_validator_is_waited_for_and_then_left_out(world: World) -> None:
    board = Board(world, FIRST, absent=("board-1",))
    board.open()
    board.join()
    assert board.stage == "join"
    world.later(119_000)
    board.says("city-1", "tick")
    assert board.stage == "join"
    world.later(1_000)
    board.says("city-1", "tick")
    assert board.stage == "deal"
    for node in board.present:
        board.deal(node)
    board.judge()
    board.confirm()
    assert [holder["node"] for holder in key(world)["holders"]] == board.present
    assert key(world)["threshold"] == 3


def test_with_two_silent_there_is_no_key_and_a_pause_before_the_next_try(world: World) -> None:
    board = Board(world, FIRST, absent=("board-1", "city-1"))
    board.open()
    board.join()
    board.wait()
    assert (board.stage, board.entry["problem"]) == ("failed", "too-few-joined")
    assert key(world) is None
    assert world.refuses("city-1", "pseudonyms", "open", domain=FIRST) == "too_early"
    world.later(60_000)
    Board(world, FIRST).play()
    assert key(world)["number"] == 1


def test_a_dealer_that_stays_silent_after_it_joined_is_left_out(world: World, board: Board) -> None:
    board.open()
    board.join()
    for node in board.present[:3]:
        board.deal(node)
    assert board.stage == "deal"
    board.wait()
    board.judge()
    result = board.confirm()
    assert result.faulty == {"board-1": "silent"}
    assert key(world)["qualified"] == board.present[:3]
    assert len(key(world)["holders"]) == 4


@pytest.mark.parametrize("answers", [True, False])
def test_a_dealer_that_lies_to_one_shows_that_share_or_is_left_out(
    world: World, board: Board, answers: bool
) -> None:
    board.open()
    board.join()
    for node in board.present[:3]:
        board.deal(node)
    dealing, polynomial = ceremony.deal(board.terms, "board-1", board.transcript.keys)
    sealed = {**dealing.sealed, "city-1": dealing.sealed["county-1"]}
    board.says("board-1", "deal", commitments=list(dealing.commitments), sealed=sealed)
    board.judge()
    assert board.stage == "answer"
    assert world.refuses("city-1", "pseudonyms", "answer", number=board.number, shares={}) == (
        "not_accused"
    )
    if answers:
        share = polynomial.share(board.terms.index("city-1"))
        board.says("board-1", "answer", shares={"city-1": share})
    else:
        board.wait()
    result = board.confirm()
    assert ("board-1" in result.qualified) is answers
    assert group.base(whole(result, board.shares, board.terms)) == key(world)["public"]


def test_a_result_that_too_few_confirm_counts_for_nothing(world: World, board: Board) -> None:
    board.open()
    board.join()
    for node in board.present:
        board.deal(node)
    board.judge()
    result = ceremony.outcome(board.terms, board.transcript)
    mine = claim(result)
    for node in board.present[:2]:
        board.says(node, "confirm", **mine)
    for node in board.present[2:]:
        board.says(node, "confirm", **{**mine, "transcript": bytes(32)})
    assert (board.stage, board.entry["problem"]) == ("failed", "not-agreed")
    assert key(world) is None


def test_shares_are_renewed_when_they_are_old_and_the_key_stays(world: World, board: Board) -> None:
    board.play()
    old = key(world)
    assert world.refuses("city-1", "pseudonyms", "open", domain=FIRST) == "nothing_to_do"
    world.later(90 * DAY)
    assert world.refuses("he", "pseudonyms", "open", domain=FIRST) == "not_a_node"
    again = Board(world, FIRST)
    again.play(board.shares)
    new = key(world)
    assert (new["number"], new["kind"], new["public"]) == (2, "renew", old["public"])
    assert new["holders"][0]["verification"] != old["holders"][0]["verification"]
    assert world.asks("pseudonyms", "epoch", domain=FIRST, number=1) == old


def test_another_key_is_never_taken_for_the_renewed_one(world: World, board: Board) -> None:
    board.play()
    world.later(90 * DAY)
    again = Board(world, FIRST)
    again.open()
    again.join()
    for node, share in board.shares.items():
        again.deal(node, share)
    again.judge()
    forged = {
        "public": group.base(group.of_int(5)),
        "verification": [group.base(group.of_int(5))] * 4,
        "qualified": list(NODES), "transcript": bytes(32),
    }  # fmt: skip
    for node in ("city-1", "county-1"):
        again.says(node, "confirm", **forged)
    refused = world.refuses("township-1", "pseudonyms", "confirm", number=again.number, **forged)
    assert refused == "another_key"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"commitments": []}, "bad_commitments"),
        ({"commitments": [b"x"] * 3}, "bad_commitments"),
        ({"sealed": {"he": bytes(80)}}, "not_a_member"),
        ({"sealed": {"city-1": bytes(79)}}, "bad_share"),
    ],
)
def test_dealings_of_another_shape_are_refused(
    world: World, board: Board, change: dict[str, Any], code: str
) -> None:
    board.open()
    board.join()
    dealing = {"commitments": [bytes(32)] * 3, "sealed": {"city-1": bytes(80)}, **change}
    assert world.refuses("city-1", "pseudonyms", "deal", number=board.number, **dealing) == code


def test_a_generation_begins_by_vote_and_never_goes_back(world: World, board: Board) -> None:
    assert not_amended(world, "pseudonyms", generation=2) == "too_early"
    assert world.refuses("city-1", "pseudonyms", "open", domain="patients.2") == "unknown_domain"
    board.play()
    amended(world, "pseudonyms", generation=2)
    assert not_amended(world, "pseudonyms", generation=4) == "out_of_order"
    assert not_amended(world, "pseudonyms", generation=1) == "out_of_order"
    Board(world, "patients.2").play()
    assert key(world, "patients.2")["public"] != key(world)["public"]
    root = sha256(b"links").digest()
    carried = {"institution": "city", "generation": 2, "count": 3, "root": root}
    world.does("city-1", "pseudonyms", "carry", **carried)
    assert (
        world.asks("pseudonyms", "carried_over", institution="city", generation=2)["root"] == root
    )
    assert world.refuses("he", "pseudonyms", "carry", **carried) == "role_missing"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"quota": -1}, "out_of_bounds"),
        ({"stage_seconds": 1}, "out_of_bounds"),
        ({"grants": {"city": -1}}, "out_of_bounds"),
        ({"unheard": 1}, "unknown_parameter"),
    ],
)
def test_parameters_have_bounds(world: World, values: dict[str, Any], code: str) -> None:
    assert not_amended(world, "pseudonyms", **values) == code


def test_quotas_are_for_those_who_register_patients(world: World, board: Board) -> None:
    def quota(institution: str, domain: str = FIRST) -> Any:
        return world.asks("pseudonyms", "quota", institution=institution, domain=domain)

    assert quota("city") == 0  # there is no key yet
    board.play()
    assert (quota("city"), quota("fund"), quota("cdc")) == (20_000, 20_000, 20_000)
    for other in ("uni", "police", "firm", "school", "maker", "board", "nobody"):
        assert quota(other) == 0, other
    amended(world, "pseudonyms", quota=10, grants={"county": 500, "board": 1})
    assert [quota(name) for name in ("city", "county", "board")] == [10, 500, 1]


def test_a_study_has_a_key_of_its_own_while_it_is_approved(world: World) -> None:
    domain = "study.S1"
    assert world.refuses("city-1", "pseudonyms", "open", domain=domain) == "unknown_study"
    study(world)
    Board(world, domain).play()
    quota = world.asks("pseudonyms", "quota", institution="city", domain=domain)
    assert quota == 20_000
    assert world.asks("pseudonyms", "quota", institution="uni", domain=domain) == 0
    assert world.refuses("he", "pseudonyms", "retire", domain=domain) == "not_over"
    world.does("ethics", "research", "suspend", id="S1", reason="incident")
    assert world.asks("pseudonyms", "quota", institution="city", domain=domain) == 0
    world.does("ethics", "research", "finish", id="S1", reason="finished")
    world.does("he", "pseudonyms", "retire", domain=domain)
    assert key(world, domain) is None
    assert world.refuses("city-1", "pseudonyms", "open", domain=domain) == "too_early"


def test_those_who_receive_a_studys_data_cannot_ask_whose_they_are(world: World) -> None:
    study(world, "S2", team="he", at="city")
    Board(world, "study.S2").play()
    quotas = {
        name: world.asks("pseudonyms", "quota", institution=name, domain="study.S2")
        for name in ("city", "county")
    }
    assert quotas == {"city": 0, "county": 20_000}


def test_the_keys_of_patients_are_never_retired(world: World, board: Board) -> None:
    board.play()
    assert world.refuses("he", "pseudonyms", "retire", domain=FIRST) == "unknown_domain"


def test_who_asks_too_much_in_a_day_is_noticed(world: World) -> None:
    day = START // DAY
    counts = {"city": 10_001, "county": 10_000}
    assert world.refuses("city-1", "pseudonyms", "account", day=day, counts=counts) == "bad_day"
    world.later(DAY)
    result = world.call("city-1", "pseudonyms", "account", day=day, counts=counts)
    assert [(event.name, event.fields["institution"]) for event in result.events] == [
        ("noticed", "city")
    ]
    assert world.asks("pseudonyms", "used", day=day, node="city-1") == counts
    assert world.refuses("city-1", "pseudonyms", "account", day=day, counts={}) == "said_before"
    assert world.refuses("he", "pseudonyms", "account", day=day, counts={}) == "not_a_node"


def test_a_key_that_does_not_belong_to_a_node_says_nothing(world: World) -> None:
    assert key_of("he").public.hex() in world.entry("registry/people/he")["keys"]
    assert world.refuses("he", "pseudonyms", "open", domain=FIRST) == "not_a_node"
