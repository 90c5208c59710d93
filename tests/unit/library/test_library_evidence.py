"""What validators signed against the rules becomes a finding, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.chain.block import PROTOCOL_VERSION, Header
from ledger.chain.codec import decode_value, encode
from ledger.consensus.evidence import contradiction
from ledger.consensus.statements import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    VIEW_CHANGE,
    Claim,
    Endorsement,
    PreparedCertificate,
    Signed,
    Subject,
    claim_of,
)
from ledger.crypto import hashing
from tests.support.contracts import NODES, World, key_of

X, Y = bytes([1]) * 32, bytes([2]) * 32
LIAR = "county-1"


@pytest.fixture
def world() -> World:
    world = World()
    world.height = 10
    return world


def said(
    world: World, kind: str, subject: Subject, *, view: int = 0, height: int = 7,
    node: str = LIAR, key: str = "", chain: bytes = b"",
) -> Signed:  # fmt: skip
    """A statement in the name of a node, signed by its key or another's."""
    raw = encode((kind, chain or world.chain, height, view, subject))
    signature = key_of(key or node).sign(hashing.MESSAGE(raw))
    return Signed(kind, height, view, subject, node, signature)


def value(part: Signed | Header | PreparedCertificate) -> Any:
    """A part of evidence as a contract gets it: the list that its canonical bytes stand for."""
    return decode_value(encode(part), limit=2**20)


def reported(first: Signed, second: Signed, key: str = LIAR) -> dict[str, Any]:
    return {"key": key_of(key).public.hex(), "first": value(first), "second": value(second)}


def finding(world: World, number: int = 1) -> dict[str, Any]:
    entry: dict[str, Any] = world.asks("evidence", "finding", number=number)
    return entry


def header(world: World, *, proposer: str = LIAR, view: int = 0, height: int = 7) -> Header:
    return Header(
        version=PROTOCOL_VERSION, chain=world.chain, height=height, view=view, parent=X,
        proposer=proposer, time=1, identities=X, transactions_root=X, results_root=X,
        state_root=X, log_root=X, validators=X,
    )  # fmt: skip


# --- two statements ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PRE_PREPARE, PREPARE, COMMIT, VIEW_CHANGE])
def test_two_statements_of_one_kind_and_view_name_node_and_institution(
    world: World, kind: str
) -> None:
    subjects: tuple[Subject, Subject] = (X, Y)
    if kind == VIEW_CHANGE:
        subjects = (None, Claim(0, X, Y))
    two = [said(world, kind, subject, view=1) for subject in subjects]
    result = world.call("he", "evidence", "report", **reported(*two))
    assert (result.ok, result.value) == (True, 1), result.error
    entry = finding(world)
    assert {name: entry[name] for name in ("rule", "phase", "node", "institution")} == {
        "rule": "equivocation", "phase": kind, "node": LIAR, "institution": "county",
    }  # fmt: skip
    assert (entry["height"], entry["view"], entry["reporter"]) == (7, 1, "he")
    (event,) = result.events
    assert (event.name, event.fields["institution"]) == ("found", "county")


@pytest.mark.parametrize("claim", [None, Claim(1, X, Y), Claim(2, Y, Y)])
def test_a_commit_that_its_sender_hides_when_it_leaves_is_amnesia(
    world: World, claim: Claim | None
) -> None:
    commit = said(world, COMMIT, X, view=2)
    change = said(world, VIEW_CHANGE, claim, view=4)
    number = world.does("he", "evidence", "report", **reported(change, commit))
    assert (finding(world, number)["rule"], finding(world, number)["view"]) == ("amnesia", 2)


def test_whoever_reports_it_in_whatever_order_it_is_one_finding(world: World) -> None:
    first, second, third = (said(world, PREPARE, subject) for subject in (X, Y, bytes(32)))
    for reporter, pair in (
        ("he", (first, second)), ("city-1", (second, first)), ("payer", (third, second)),
    ):  # fmt: skip
        assert world.does(reporter, "evidence", "report", **reported(*pair)) == 1
    assert finding(world)["reporter"] == "he"
    assert finding(world, 2) is None
    assert world.does(
        "he", "evidence", "report",
        **reported(said(world, COMMIT, X), said(world, COMMIT, Y)),
    ) == 2  # fmt: skip
    assert [entry["number"] for entry in world.asks("evidence", "listed", first=1, count=9)] == [
        1, 2,
    ]  # fmt: skip


def honest_pairs(world: World) -> list[tuple[Signed, Signed]]:
    return [
        (said(world, PREPARE, X), said(world, PREPARE, X)),
        (said(world, PREPARE, X), said(world, PREPARE, Y, view=1)),
        (said(world, PREPARE, X), said(world, PREPARE, Y, height=8)),
        (said(world, PREPARE, X), said(world, COMMIT, Y)),
        (said(world, PRE_PREPARE, X), said(world, PREPARE, Y)),
        (said(world, COMMIT, X, view=1), said(world, VIEW_CHANGE, Claim(1, X, Y), view=2)),
        (said(world, COMMIT, X, view=1), said(world, VIEW_CHANGE, Claim(2, Y, Y), view=3)),
        (said(world, COMMIT, X, view=2), said(world, VIEW_CHANGE, None, view=2)),
        (said(world, COMMIT, X, view=2), said(world, VIEW_CHANGE, None, view=1)),
        (said(world, PREPARE, X, view=1), said(world, VIEW_CHANGE, None, view=2)),
    ]


@pytest.mark.parametrize("place", range(10))
def test_what_an_honest_validator_may_sign_convicts_nobody(world: World, place: int) -> None:
    pair = honest_pairs(world)[place]
    assert contradiction(*pair) is None
    for two in (pair, pair[::-1]):
        assert world.refuses("he", "evidence", "report", **reported(*two)) == "no_contradiction"


def test_the_contract_and_the_core_agree_about_every_pair(world: World) -> None:
    everything = [
        said(world, kind, subject, view=view)
        for kind, subjects in (
            (PREPARE, (X, Y)),
            (COMMIT, (X, Y)),
            (VIEW_CHANGE, (None, Claim(0, X, X), Claim(1, Y, X))),
        )
        for subject in subjects
        for view in (0, 1, 2)
    ]  # fmt: skip
    rules = set()
    for first in everything:
        for second in everything:
            rule = contradiction(first, second)
            result = world.call("he", "evidence", "report", **reported(first, second))
            assert result.ok is (rule is not None), (first, second, result.error)
            rules.add(rule)
    assert len(rules) == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "city-1"}, "not_signed"),
        ({"chain": bytes(32)}, "not_signed"),
        ({"kind": "oath"}, "bad_statement"),
        ({"height": 99}, "not_yet"),
    ],
)
def test_what_the_key_did_not_sign_here_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    kind = changes.pop("kind", PREPARE)
    two = [said(world, kind, subject, **changes) for subject in (X, Y)]
    assert world.refuses("he", "evidence", "report", **reported(*two)) == code


def test_a_changed_part_of_a_statement_is_refused(world: World) -> None:
    good = reported(said(world, PREPARE, X), said(world, PREPARE, Y))
    for place, changed in ((2, 1), (3, bytes(32)), (5, bytes(64))):
        both = {**good, "first": list(good["first"]), "second": list(good["second"])}
        both["first"][place] = changed
        if place == 2:
            both["second"][place] = changed
        assert world.refuses("he", "evidence", "report", **both) == "not_signed"
    short = {**good, "first": good["first"][:5]}
    assert world.refuses("he", "evidence", "report", **short) == "bad_statement"


def test_a_stranger_accuses_nobody_and_is_not_accused(world: World) -> None:
    two = reported(said(world, PREPARE, X), said(world, PREPARE, Y))
    assert world.refuses("nobody", "evidence", "report", **two) == "unknown_key"
    strange = [said(world, PREPARE, subject, key="nobody") for subject in (X, Y)]
    assert world.refuses("he", "evidence", "report", **reported(*strange, key="nobody")) == (
        "unknown_key"
    )


def test_old_statements_are_no_evidence_any_more(world: World) -> None:
    two = reported(said(world, PREPARE, X), said(world, PREPARE, Y))
    world.height = 7 + 100_000 - 1
    assert world.refuses("he", "evidence", "report", **two) == "too_old"


def test_an_old_key_still_leads_to_its_institution_and_only_for_its_heights(world: World) -> None:
    world.does(
        "county-chief", "governance", "rotate_key", node=LIAR,
        key=key_of("county-1b").public.hex(), activation=20,
    )  # fmt: skip
    world.height = 40
    before = [said(world, PREPARE, subject, height=19) for subject in (X, Y)]
    number = world.does("he", "evidence", "report", **reported(*before))
    assert (finding(world, number)["node"], finding(world, number)["institution"]) == (
        LIAR, "county",
    )  # fmt: skip
    after = [said(world, PREPARE, subject, height=20) for subject in (X, Y)]
    assert world.refuses("he", "evidence", "report", **reported(*after)) == "key_not_valid"
    early = [said(world, PREPARE, subject, height=19, key="county-1b") for subject in (X, Y)]
    assert world.refuses("he", "evidence", "report", **reported(*early, key="county-1b")) == (
        "key_not_valid"
    )


# --- what validators state together ------------------------------------------------------------


def stating(world: World, **changes: Any) -> dict[str, Any]:
    proposed = changes.pop("header", None) or header(world)
    statement = said(world, PRE_PREPARE, proposed.hash(), **changes)
    return {
        "rule": "invalid-proposal", "key": key_of(LIAR).public.hex(), "statement": value(statement),
        "about": value(proposed), "reason": "state-root",
    }  # fmt: skip


def test_an_invalid_proposal_is_found_when_more_state_it_than_may_be_faulty(world: World) -> None:
    assert world.does("city-1", "evidence", "state", **stating(world)) == 0
    assert world.does("city-1", "evidence", "state", **stating(world)) == 0
    assert finding(world) is None
    assert world.does("board-1", "evidence", "state", **stating(world)) == 1
    assert world.does("township-1", "evidence", "state", **stating(world)) == 1
    entry = finding(world)
    assert (entry["rule"], entry["node"], entry["institution"]) == (
        "invalid-proposal", LIAR, "county",
    )  # fmt: skip
    assert [witness["node"] for witness in entry["witnesses"]] == ["city-1", "board-1"]
    assert finding(world, 2) is None
    assert not any(key.startswith(b"evidence/statements/") for key in world.state)


@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        ("he", {}, "not_a_validator"),
        (LIAR, {}, "own_case"),
        ("city-1", {"rule": "equivocation"}, "unknown_rule"),
        ("city-1", {"reason": "She is a liar!"}, "bad_reason"),
        ("city-1", {"about": ["something", "else"]}, "not_about"),
        ("city-1", {"key": "unknown"}, "unknown_key"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused(
    world: World, who: str, changes: dict[str, Any], code: str
) -> None:
    assert world.refuses(who, "evidence", "state", **{**stating(world), **changes}) == code


def test_whoever_hands_on_the_block_of_an_earlier_view_is_not_accused(world: World) -> None:
    handed_on = stating(world, header=header(world, proposer="city-1"), view=1)
    assert world.refuses("board-1", "evidence", "state", **handed_on) == "not_about"
    later = stating(world, header=header(world, view=0), view=1)
    assert world.refuses("board-1", "evidence", "state", **later) == "not_about"


def test_a_claim_without_a_good_certificate_is_stated_too(world: World) -> None:
    prepared = PreparedCertificate(0, X, (Endorsement("city-1", bytes(64)),))
    change = said(world, VIEW_CHANGE, claim_of(prepared), view=1)
    call = {
        "rule": "unproven-prepared", "key": key_of(LIAR).public.hex(), "statement": value(change),
        "about": value(prepared), "reason": "too-few-signatures",
    }  # fmt: skip
    assert world.does("city-1", "evidence", "state", **call) == 0
    assert world.does("board-1", "evidence", "state", **call) == 1
    assert finding(world)["rule"] == "unproven-prepared"


def test_liars_fill_no_more_of_the_state_than_eight_entries_each(world: World) -> None:
    for view in range(30):
        proposed = header(world, view=view)
        call = stating(world, header=proposed, view=view)
        assert world.does("city-1", "evidence", "state", **call) == 0
    kept = [key for key in world.state if key.startswith(b"evidence/statements/")]
    assert len(kept) == 8


def test_two_nodes_of_one_institution_do_not_convict_where_others_could(world: World) -> None:
    node = {"id": "city-2", "institution": "city", "role": "observer",
            "key": key_of("city-2").public.hex()}  # fmt: skip

    def voted(kind: str, payload: dict[str, Any]) -> int:
        at = world.height + 20
        number = world.does(
            "chief", "governance", "propose", kind=kind, payload=payload, activation=at
        )
        for chief in ("chief", "board-chief", "township-chief"):
            world.does(chief, "governance", "vote", proposal=number, approve=True)
        return at

    voted("add_node", node)
    world.height = voted("set_validators", {"nodes": [*NODES, "city-2"]})
    assert world.does("city-1", "evidence", "state", **stating(world)) == 0
    assert world.does("city-2", "evidence", "state", **stating(world)) == 0
    assert world.does("board-1", "evidence", "state", **stating(world)) == 1
