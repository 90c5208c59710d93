"""Contracts come, change, pause and go back by vote, at the height that was named."""

from typing import Any

import pytest

from ledger.chain.codec import encode
from ledger.contracts.sources import library_source, library_sources
from ledger.crypto import hashing
from tests.support.contracts import PATIENT, World, pointer

CHIEFS = ["chief", "county-chief", "board-chief"]
OLD = library_source("recognition")
#: The same rules with another name for the permit.
NEW = OLD.replace('permits("patient-is-checked-in"', 'permits("checked-in"')
COUNTER = '''"""Counts."""

from ledger.contracts.prelude import Value, caller, export, init, query, require

count = Value("count")


@init
def found(start: int) -> None:
    count.set(start)


@export
def amend(county: str, values: dict) -> None:
    require(caller() == "charter", "charter_only")
    count.set(values["count"])


@query
def read() -> int:
    return count.get()
'''
EMPTY = '''"""Nothing to found."""

from ledger.contracts.prelude import query


@query
def read() -> int:
    return 1
'''
MIGRATING = COUNTER.replace(
    "@query", "@export\ndef migrate() -> None:\n    count.set(count.get() * 100)\n\n\n@query"
)


@pytest.fixture
def world() -> World:
    """The township lies in another county than the others."""
    world = World()
    key = "governance/institutions/township"
    world.state[key.encode()] = encode({**world.entry(key), "county": "Zichang"})
    return world


def proposed(world: World, kind: str, notice: int = 10, **payload: Any) -> int:
    number: int = world.does(
        "chief", "charter", "propose", kind=kind, payload=payload,
        activation=world.height + 1 + notice if notice else 0, reason="guideline", words="why",
    )  # fmt: skip
    return number


def refused(world: World, kind: str, notice: int = 10, **payload: Any) -> str:
    return world.refuses(
        "chief", "charter", "propose", kind=kind, payload=payload,
        activation=world.height + 1 + notice if notice else 0, reason="guideline", words="why",
    )  # fmt: skip


def passes(world: World, number: int) -> int:
    """Have three of four institutions approve; returns the height of the change."""
    for chief in CHIEFS:
        world.does(chief, "charter", "vote", proposal=number, approve=True)
    proposal = world.asks("charter", "proposal", number=number)
    assert proposal["status"] == "passed", proposal["problem"]
    height: int = proposal["activation"]
    return height


def decided(world: World, kind: str, notice: int = 10, **payload: Any) -> int:
    return passes(world, proposed(world, kind, notice, **payload))


def rule(world: World) -> tuple[str, int]:
    """By which rule, in which version of it, the physician sees a result of the patient's."""
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="county")
    decision = world.requests("gao", RECORD)
    by = decision["path"][-1]
    return by["rule"], by["version"]


RECORD = pointer()


def arrive(world: World) -> None:
    world.anchored()


def test_the_code_of_every_contract_is_in_the_state(world: World) -> None:
    for name, source in library_sources().items():
        digest = hashing.SOURCE(source.encode()).hex()
        assert world.entry(f"charter/contracts/{name}") == [
            {"version": 1, "source": digest, "from": 0, "paused": "", "due": 0}
        ]
        assert world.entry(f"charter/sources/{digest}") == source
        assert world.asks("charter", "source", name=name, version=1) == source
    assert world.asks("charter", "names") == list(library_sources())


def test_a_new_version_holds_from_its_height_exactly(world: World) -> None:
    arrive(world)
    assert rule(world) == ("patient-is-checked-in", 1)
    height = decided(world, "change_contract", name="recognition", source=NEW)
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="county")
    world.height = height - 2
    before = world.requests("gao", RECORD)
    assert world.height == height - 1
    after = world.requests("gao", RECORD)
    assert (before["rule"], before["path"][-1]["version"]) == (
        "recognition:patient-is-checked-in", 1,
    )  # fmt: skip
    assert (after["rule"], after["path"][-1]["version"]) == ("recognition:checked-in", 2)
    history = world.asks("charter", "history", name="recognition")
    assert [version["version"] for version in history["versions"]] == [1, 2]
    assert history["changes"][0]["kind"] == "change_contract"


def test_a_version_is_still_answered_for_when_another_holds(world: World) -> None:
    number = proposed(world, "add_contract", name="counter", source=COUNTER, arguments={"start": 7})
    world.height = passes(world, number)
    world.does("he", "charter", "carry_out", proposal=number)
    second = COUNTER.replace("return count.get()", "return count.get() + 1000")
    world.height = decided(world, "change_contract", name="counter", source=second)
    assert world.asks("counter", "read") == 1007
    context = world.context
    for version, value in ((1, 7), (2, 1007)):
        answer = world.machine.query(
            world.state.get, context, "counter", "read", {}, version=version
        )
        assert answer.value == value
    unknown = world.machine.query(world.state.get, context, "counter", "read", {}, version=3)
    assert unknown.error == "unknown_contract: no such contract"


def test_an_emergency_returns_to_an_earlier_version_in_the_next_block(world: World) -> None:
    arrive(world)
    world.height = decided(world, "change_contract", name="recognition", source=NEW)
    assert rule(world) == ("checked-in", 2)
    height = decided(world, "rollback", notice=0, name="recognition", version=1)
    assert height == world.height + 1
    assert rule(world) == ("patient-is-checked-in", 1)
    assert refused(world, "rollback", name="recognition", version=1) == "no_change"
    third = decided(world, "change_contract", name="recognition", source=NEW + "# again\n")
    world.height = third
    assert rule(world) == ("checked-in", 3)


def test_what_was_to_come_ends_with_a_rollback(world: World) -> None:
    world.height = decided(world, "change_contract", name="recognition", source=NEW)
    decided(world, "change_contract", notice=50, name="recognition", source=NEW + "# third\n")
    decided(world, "rollback", notice=0, name="recognition", version=1)
    schedule = world.entry("charter/contracts/recognition")
    assert [entry["version"] for entry in schedule] == [2, 1]


def test_a_rollback_leaves_the_end_of_a_pause_as_it_was_decided(world: World) -> None:
    world.height = decided(world, "change_contract", name="recognition", source=NEW)
    decided(world, "pause", notice=0, name="recognition", instead="deny")
    decided(world, "change_contract", notice=30, name="recognition", source=NEW + "# third\n")
    resumed = decided(world, "resume", notice=20, name="recognition")
    decided(world, "rollback", notice=0, name="recognition", version=1)
    schedule = world.entry("charter/contracts/recognition")
    assert [(entry["version"], entry["paused"]) for entry in schedule[-2:]] == [
        (1, "deny"), (1, ""),
    ]  # fmt: skip
    assert schedule[-1]["from"] == resumed


def test_a_paused_policy_denies_or_is_passed_over_as_the_vote_said(world: World) -> None:
    arrive(world)
    assert rule(world) == ("patient-is-checked-in", 1)
    decided(world, "pause", notice=0, name="referral", instead="skip")
    decision = world.requests("gao", RECORD)
    assert decision["outcome"] == "permit"
    assert "referral:paused" in decision["asked"]
    decided(world, "pause", notice=0, name="referral", instead="deny")
    denied = world.requests("gao", RECORD)
    assert (denied["outcome"], denied["rule"]) == ("deny", "access:policy-paused")
    assert denied["path"][0]["facts"] == {"policy": "referral"}
    assert world.refuses(
        "gao", "referral", "accept", id="r1"
    ) == "paused"  # fmt: skip
    world.height = decided(world, "resume", name="referral")
    assert world.requests("gao", RECORD)["outcome"] == "permit"
    assert refused(world, "resume", name="referral") == "not_paused"


def test_a_pause_lasts_until_it_is_ended_by_vote_also_for_the_next_version(world: World) -> None:
    arrive(world)
    coming = decided(world, "change_contract", notice=30, name="recognition", source=NEW)
    decided(world, "pause", notice=0, name="recognition", instead="deny")
    world.height = coming
    assert world.asks("charter", "in_force", name="recognition")["paused"] == "deny"
    later = decided(
        world, "change_contract", notice=20, name="recognition", source=NEW + "# later\n"
    )
    resumed = decided(world, "resume", notice=10, name="recognition")
    world.height = resumed
    assert rule(world) == ("checked-in", 2)
    world.height = later
    assert rule(world) == ("checked-in", 3)


def test_a_new_contract_is_founded_by_whoever_carries_it_out(world: World) -> None:
    number = proposed(world, "add_contract", name="counter", source=COUNTER, arguments={"start": 7})
    height = passes(world, number)
    assert world.refuses("he", "charter", "carry_out", proposal=number) == "too_early"
    world.height = height
    assert world.refuses("he", "counter", "amend", county="", values={}) == "paused"
    world.does("he", "charter", "carry_out", proposal=number)
    assert world.asks("counter", "read") == 7
    assert world.refuses("he", "charter", "carry_out", proposal=number) == "nothing_due"
    assert world.refuses("he", "counter", "amend", county="", values={}) == "charter_only"


def test_a_version_that_moves_the_state_waits_until_that_is_done(world: World) -> None:
    number = proposed(world, "add_contract", name="counter", source=COUNTER, arguments={"start": 7})
    world.height = passes(world, number)
    world.does("he", "charter", "carry_out", proposal=number)
    change = proposed(world, "change_contract", name="counter", source=MIGRATING)
    world.height = passes(world, change)
    assert world.refuses("he", "counter", "migrate") == "paused"
    world.does("he", "charter", "carry_out", proposal=change)
    assert world.asks("counter", "read") == 700


def test_a_version_that_was_given_up_is_not_carried_out_any_more(world: World) -> None:
    number = proposed(world, "add_contract", name="counter", source=COUNTER, arguments={"start": 7})
    world.height = passes(world, number)
    world.does("he", "charter", "carry_out", proposal=number)
    broken = MIGRATING.replace("count.get() * 100", "count.get() // 0")
    change = proposed(world, "change_contract", name="counter", source=broken)
    world.height = passes(world, change)
    assert world.refuses("he", "charter", "carry_out", proposal=change) == "value_error"
    decided(world, "rollback", notice=0, name="counter", version=1)
    world.height += 1
    assert world.asks("counter", "read") == 7
    assert world.refuses("he", "charter", "carry_out", proposal=change) == "superseded"


def test_a_county_can_have_parameters_of_its_own(world: World) -> None:
    arrive(world)
    for county, hours in (("Zichang", 2), ("", 12)):
        number = proposed(
            world, "set_parameters_of", name="access", county=county,
            values={"permit_hours": hours},
        )  # fmt: skip
        world.height = passes(world, number)
        world.does("he", "charter", "carry_out", proposal=number)
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="county")
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="township")
    lasts = {}
    for who in ("gao", "wang"):
        decision = world.requests(who, RECORD)
        lasts[who] = (decision["expires"] - decision["time"]) // 3_600_000
    assert lasts == {"gao": 12, "wang": 2}


SCHEDULE = {
    "receivers": ["cdc"], "classes": ["condition"], "level": "V", "due_hours": 2, "back_days": 7,
    "open_days": 7, "tell_days": 0,
}  # fmt: skip
ENTRY = {
    "kinds": ["charity"], "purposes": ["SUPNWK"], "classes": ["claim"], "level": "N",
    "fields": ["cost"], "basis": "consent", "days": 10,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "county", "values"),
    [
        ("public_health", "Zichang", {"within-2-hours": SCHEDULE}),
        ("cross_sector", "Zichang", {"charity-aid": ENTRY}),
        ("insurance", "Zichang", {"covers": ["inpatient"]}),
        ("supervision", "Zichang", {"sample": 3}),
        ("processor", "Zichang", {"delete_hours": 1}),
        ("staff_work", "Zichang", {"session_hours": 8}),
        ("research", "", {"abroad": ["overseas", "uni"]}),
    ],
)
def test_the_terms_of_legal_duties_change_by_vote(
    world: World, name: str, county: str, values: dict[str, Any]
) -> None:
    number = proposed(world, "set_parameters_of", name=name, county=county, values=values)
    world.height = passes(world, number)
    world.does("he", "charter", "carry_out", proposal=number)
    place = f"{name}/counties/{county}" if county else f"{name}/settings"
    assert values.items() <= world.entry(place).items()


def test_parameters_that_the_contract_refuses_stay_as_they_were(world: World) -> None:
    number = proposed(
        world, "set_parameters_of", name="access", county="", values={"permit_hours": 0}
    )
    world.height = passes(world, number)
    assert world.refuses("he", "charter", "carry_out", proposal=number) == "bad_hours"


def test_which_contracts_are_asked_changes_by_vote(world: World) -> None:
    arrive(world)
    number = proposed(world, "set_policies", policies=["consent", "referral TREAT"])
    world.height = passes(world, number)
    world.does("he", "charter", "carry_out", proposal=number)
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="county")
    decision = world.requests("gao", RECORD)
    assert decision["rule"] == "access:nothing-permits"
    assert [entry.partition(":")[0] for entry in decision["asked"]] == ["consent", "referral"]
    assert world.refuses("chief", "access", "set_policies", policies=[]) == "charter_only"
    amendment = {"county": "", "values": {"permit_hours": 1}}
    assert world.refuses("chief", "access", "amend", **amendment) == "charter_only"


FLOAT = OLD.replace("24 * HOUR", "24.5 * HOUR") if "24 * HOUR" in OLD else OLD + "X = 1.5\n"
CLOCK = OLD + "\nimport time\n"
SET = OLD + "\n\n@query\ndef any_order() -> list:\n    return [x for x in {1, 2}]\n"


@pytest.mark.parametrize("source", [FLOAT, CLOCK, SET, "", "not python at all ("])
def test_a_source_that_nodes_could_disagree_about_cannot_be_proposed(
    world: World, source: str
) -> None:
    assert refused(world, "change_contract", name="recognition", source=source) == (
        "invalid_contract"
    )


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        ("coup", {}, "unknown_proposal"),
        ("change_contract", {"name": "nothing", "source": NEW}, "unknown_contract"),
        ("change_contract", {"name": "recognition", "source": OLD}, "no_change"),
        ("change_contract", {"name": "policy", "source": MIGRATING}, "never_paused"),
        ("add_contract", {"name": "recognition", "source": NEW}, "contract_exists"),
        ("add_contract", {"name": "Bad", "source": NEW}, "bad_name"),
        ("add_contract", {"name": "1st", "source": NEW}, "bad_name"),
        ("add_contract", {"name": "", "source": NEW}, "bad_name"),
        ("add_contract", {"name": "a", "source": EMPTY, "arguments": {"x": 1}}, "no_init"),
        ("pause", {"name": "policy", "instead": "deny"}, "never_paused"),
        ("pause", {"name": "consent", "instead": "permit"}, "unknown_substitute"),
        ("rollback", {"name": "consent", "version": 2}, "unknown_version"),
        ("rollback", {"name": "consent", "version": 1}, "no_change"),
        ("set_parameters_of", {"name": "records", "county": "", "values": {}}, "no_parameters"),
        ("set_policies", {"policies": ["nothing"]}, "unknown_contract"),
    ],
)  # fmt: skip
def test_a_change_that_is_not_possible_is_not_proposed(
    world: World, kind: str, payload: dict[str, Any], code: str
) -> None:
    assert refused(world, kind, **payload) == code


def test_a_proposal_says_why_and_comes_in_time(world: World) -> None:
    change = {"kind": "resume", "payload": {"name": "consent"}, "activation": 30}
    for more, code in (
        ({"reason": "whim", "words": "x"}, "unknown_reason"),
        ({"reason": "law"}, "reason_missing"),
        ({"reason": "law", "note": b"short"}, "bad_note"),
        ({"reason": "law", "words": "x" * 401}, "too_many_words"),
        ({"reason": "law", "words": "x", "activation": 2}, "too_late"),
        ({"reason": "law", "words": "x", "activation": 0}, "too_late"),
        ({"reason": "law", "words": "x", "activation": 1 << 40}, "too_far"),
    ):
        assert world.refuses("chief", "charter", "propose", **{**change, **more}) == code
    assert (
        world.refuses("he", "charter", "propose", **change, reason="law", words="x")
        == "not_a_governor"
    )


def test_a_vote_on_one_wording_does_not_change_another(world: World) -> None:
    first = proposed(world, "change_contract", notice=40, name="recognition", source=NEW)
    second = NEW + "# second\n"
    decided(world, "change_contract", notice=20, name="recognition", source=second)
    for chief in CHIEFS[:2]:
        world.does(chief, "charter", "vote", proposal=first, approve=True)
    assert world.does("board-chief", "charter", "vote", proposal=first, approve=True) == "void"
    assert world.asks("charter", "proposal", number=first)["problem"] == "base_changed"


def test_how_members_vote_is_changed_under_its_own_rule(world: World) -> None:
    number = proposed(
        world, "set_parameters_of", name="policy", county="", values={"contracts": {}}
    )
    ballot = world.asks("charter", "proposal", number=number)["ballot"]
    assert ballot["rule"] == "constitution"
    source = library_source("policy") + "# changed\n"
    changing = proposed(world, "change_contract", name="policy", source=source)
    assert world.asks("policy", "ballot", owner="charter", number=changing)["rule"] == (
        "constitution"
    )
    world.height = passes(world, changing)
    assert world.asks("charter", "in_force", name="policy")["version"] == 2
    decided(world, "pause", notice=0, name="referral", instead="skip")
