"""Who gets to see a record, and how it is written down."""

import pytest

from ledger.chain.pointer import Pointer
from ledger.contracts.machine import GenesisFailed
from tests.support.contracts import (
    DAY,
    HOUR,
    NEIGHBOUR,
    PATIENT,
    REPLY_KEY,
    World,
    name_of,
    pointer,
)
from tests.support.sources import constant


@pytest.fixture
def world() -> World:
    return World()


def permit_county(world: World, identity: str = "c1", **scope: object) -> None:
    world.does(
        PATIENT, "consent", "grant", id=identity, subject=PATIENT,
        scope={"institutions": ["county"], "purposes": ["TREAT"], **scope},
    )  # fmt: skip


def test_without_a_consent_the_answer_is_no(world: World) -> None:
    decision = world.requests("gao", world.anchored())
    assert decision["outcome"] == "deny"
    assert decision["rule"] == "access:nothing-permits"
    asked = {"consent:no-consent-applies", "referral:no-referral", "recognition:no-recognition"}
    assert asked <= set(decision["asked"])
    (step,) = decision["path"]
    assert (step["contract"], step["effect"], step["version"]) == ("access", "deny", 1)
    assert decision["expires"] == 0
    assert decision["obligations"] == []


def test_a_consent_permits_and_the_decision_says_which(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    decision = world.requests("gao", record)
    assert decision["outcome"] == "permit"
    assert decision["rule"] == "consent:patient-permits"
    assert decision["path"][0]["facts"]["consent"] == "c1"
    assert decision["expires"] == world.time + 24 * HOUR
    assert decision["record"] == name_of(record)
    assert decision["reply_key"] == REPLY_KEY
    assert world.asks("access", "decision", id=decision["id"]) == decision
    assert world.entry(f"access/decisions/{decision['id']}") == decision


def test_a_withdrawn_consent_denies_the_next_request(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    earlier = world.requests("gao", record)
    world.does(PATIENT, "consent", "withdraw", id="c1")
    assert world.requests("gao", record)["outcome"] == "deny"
    # Not retroactive: what was decided stays decided.
    assert world.asks("access", "decision", id=earlier["id"])["outcome"] == "permit"


def test_a_denial_prevails_over_a_permit_in_either_order(world: World) -> None:
    record = world.anchored()
    permit_county(world, "c1")
    world.does(PATIENT, "consent", "deny", id="c2", subject=PATIENT, scope={"persons": ["gao"]})
    permit_county(world, "c3")
    decision = world.requests("gao", record)
    assert decision["outcome"] == "deny"
    assert decision["rule"] == "consent:patient-denies"
    assert decision["path"][-1]["facts"]["consent"] == "c2"


def test_a_denial_prevails_over_other_contracts(world: World) -> None:
    record = world.anchored()
    world.does(PATIENT, "recognition", "check_in", institution="county", subject=PATIENT)
    assert world.requests("gao", record)["rule"] == "recognition:patient-is-checked-in"
    world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={})
    assert world.requests("gao", record)["rule"] == "consent:patient-denies"


def test_block_time_ends_a_consent(world: World) -> None:
    record = world.anchored()
    permit_county(world, end=world.time + DAY)
    assert world.requests("gao", record)["outcome"] == "permit"
    world.later(DAY - 1)
    assert world.requests("gao", record)["outcome"] == "permit"
    world.later(1)
    assert world.requests("gao", record)["outcome"] == "deny"


def test_a_consent_to_treatment_never_covers_an_emergency(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    assert world.requests("gao", record, "COC")["outcome"] == "permit"
    for purpose in ("ETREAT", "ERTREAT"):
        assert world.requests("gao", record, purpose)["rule"] == "access:nothing-permits"
    assert world.requests("gao", record, "BTG")["rule"] == "access:emergency-needs-break-glass"


def test_an_emergency_purpose_counts_when_it_is_named(world: World) -> None:
    record = world.anchored()
    permit_county(world, purposes=["ETREAT"])
    assert world.requests("gao", record, "ETREAT")["outcome"] == "permit"
    assert world.requests("gao", record, "TREAT")["outcome"] == "deny"
    assert world.requests("gao", record, "ERTREAT")["outcome"] == "deny"


def test_a_denial_of_treatment_does_not_block_a_named_emergency(world: World) -> None:
    record = world.anchored()
    permit_county(world, purposes=["ETREAT"])
    world.does(PATIENT, "consent", "deny", id="c2", subject=PATIENT, scope={"purposes": ["TREAT"]})
    assert world.requests("gao", record, "ETREAT")["outcome"] == "permit"


@pytest.mark.parametrize(
    ("who", "purpose", "rule"),
    [
        ("county-clerk", "TREAT", "access:role-not-suited"),
        ("gao", "HPAYMT", "access:role-not-suited"),
        ("gao", "HMARKT", "access:role-not-suited"),
        ("gao", "HRESCH", "access:role-not-suited"),
        ("gao", "CURIOSITY", "access:purpose-unknown"),
        ("payer", "TREAT", "access:role-not-suited"),
    ],
)
def test_a_purpose_needs_a_role_that_suits_it(
    world: World, who: str, purpose: str, rule: str
) -> None:
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"purposes": ["TREAT", "HPAYMT", "HMARKT", "HRESCH"]},
    )  # fmt: skip
    decision = world.requests(who, world.anchored(), purpose)
    assert (decision["outcome"], decision["rule"]) == ("deny", rule)


def test_patients_read_their_own_records_whatever_they_denied(world: World) -> None:
    record = world.anchored(confidentiality="R")
    world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={})
    decision = world.requests(PATIENT, record, "PATRQT")
    assert decision["rule"] == "own_access:own-record"
    assert world.requests(NEIGHBOUR, record, "PATRQT")["outcome"] == "deny"


def test_a_relative_reads_what_the_patient_permits_by_name(world: World) -> None:
    record = world.anchored()
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"persons": [NEIGHBOUR], "purposes": ["FAMRQT"]},
    )  # fmt: skip
    assert world.requests(NEIGHBOUR, record, "FAMRQT")["outcome"] == "permit"
    assert world.requests(NEIGHBOUR, record, "PATRQT")["outcome"] == "deny"


def test_who_acts_for_two_institutions_is_judged_by_the_one_named(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    assert world.requests("he", record)["outcome"] == "deny"
    world.does(
        "county-clerk", "registry", "affiliate", id="he", institution="county",
        roles=["physician"],
    )  # fmt: skip
    decision = world.requests("he", record, institution="county")
    assert (decision["outcome"], decision["institution"]) == ("permit", "county")
    assert world.requests("he", record, institution="city")["outcome"] == "deny"


def test_the_roles_of_another_institution_do_not_count(world: World) -> None:
    record = world.anchored()
    permit_county(world, roles=["physician"])
    world.does(
        "county-clerk", "registry", "affiliate", id="he", institution="county", roles=["nurse"]
    )
    assert world.requests("he", record, institution="county")["outcome"] == "deny"


@pytest.mark.parametrize(
    ("who", "institution", "code"),
    [
        ("stranger", "county", "unknown_key"),
        ("gao", "city", "not_affiliated"),
        ("gao", "nowhere", "not_affiliated"),
        ("gao", "", "institution_missing"),
    ],
)
def test_who_cannot_be_identified_gets_no_decision(
    world: World, who: str, institution: str, code: str
) -> None:
    record = world.anchored()
    arguments = {"pointer": record, "proof": {}, "purpose": "TREAT", "reply_key": REPLY_KEY}
    assert world.refuses(who, "access", "request", institution=institution, **arguments) == code


def test_a_revoked_person_gets_no_decision(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    world.does("county-clerk", "registry", "revoke", id="gao", reason="left")
    assert world.refuses(
        "gao", "access", "request", pointer=record, proof={}, purpose="TREAT",
        institution="county", reply_key=REPLY_KEY,
    ) == "revoked"  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reply_key": b"short"}, "bad_reply_key"),
        ({"pointer": {"holder": "city"}}, "bad_pointer"),
        ({"pointer": pointer(kind="laboratory") | {"kind": "diary"}}, "bad_pointer"),
        ({"pointer": pointer() | {"confidentiality": "U"}}, "bad_pointer"),
        ({"pointer": pointer() | {"subject": "Zhang Wuji"}}, "bad_pointer"),
        ({"proof": {"root": bytes(32)}}, "missing_key"),
    ],
)
def test_a_malformed_request_gets_no_decision(
    world: World, change: dict[str, object], code: str
) -> None:
    arguments = {
        "pointer": world.anchored(), "proof": {}, "purpose": "TREAT", "institution": "county",
        "reply_key": REPLY_KEY,
    }  # fmt: skip
    assert world.refuses("gao", "access", "request", **{**arguments, **change}) == code


def test_a_record_that_nobody_anchored_is_denied(world: World) -> None:
    permit_county(world)
    assert world.requests("gao", pointer())["rule"] == "access:record-unknown"


def test_a_record_that_no_longer_counts_is_denied(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    newer = name_of(pointer(size=7))
    world.does("city-1", "records", "supersede", holder="city", old=name_of(record), new=newer)
    assert world.requests("gao", record)["rule"] == "access:record-superseded"
    world.does(
        "city-1", "records", "mark_error", holder="city", name=name_of(record),
        reason="wrong-patient",
    )  # fmt: skip
    assert world.requests("gao", record)["rule"] == "access:record-entered-in-error"
    assert world.breaks_glass("gao", record)["rule"] == "access:record-entered-in-error"


@pytest.mark.parametrize(
    ("level", "purpose", "who", "duties"),
    [
        ("N", "TREAT", "gao", ["AOD"]),
        ("R", "TREAT", "gao", ["AOD", "NORDSCLCD"]),
        ("V", "TREAT", "gao", ["AOD", "NORDSCLCD", "DELAU"]),
        ("N", "HPAYMT", "payer", ["AOD", "MINEC"]),
    ],
)
def test_a_permit_carries_the_duties_of_level_and_purpose(
    world: World, level: str, purpose: str, who: str, duties: list[str]
) -> None:
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={
            "purposes": ["TREAT", "HPAYMT"], "confidentiality": "V",
            "institutions": ["county", "fund"],
        },
    )  # fmt: skip
    decision = world.requests(who, world.anchored(confidentiality=level), purpose)
    # What a contract adds for its own part comes after them.
    assert decision["obligations"][: len(duties)] == duties
    added = {duty for step in decision["path"] for duty in step["duties"]}
    assert set(decision["obligations"][len(duties) :]) <= added


def test_a_decision_says_who_is_told_and_since_when_its_facts_stand(world: World) -> None:
    record = world.anchored()
    anchored_at = world.height
    permit_county(world)
    given_at = world.height
    world.does("county-clerk", "registry", "affiliate", id="gao", institution="county",
               roles=["physician"])  # fmt: skip
    changed_at = world.height
    decision = world.requests("gao", record)
    assert decision["tell"] == ["patient"]
    assert decision["height"] == world.height
    assert decision["confidentiality"] == "N"
    assert decision["as_of"] == {"requester": changed_at, "record": anchored_at}
    facts = decision["path"][0]["facts"]
    assert (facts["consent"], facts["given"]) == ("c1", given_at)
    assert (decision["review_by"], decision["delete_by"]) == (0, 0)


def test_nobody_is_told_that_a_patient_reads_her_own_record(world: World) -> None:
    assert world.requests(PATIENT, world.anchored(), "PATRQT")["tell"] == []


def test_a_broken_glass_is_told_to_an_auditor_and_has_a_date_for_the_review(world: World) -> None:
    decision = world.breaks_glass("gao", world.anchored())
    assert decision["tell"] == ["patient", "auditor"]
    assert decision["review_by"] == world.time + 72 * HOUR


def test_what_must_be_deleted_after_use_is_deleted_when_the_permit_ends(world: World) -> None:
    permit_county(world, confidentiality="V", end=world.time + 2 * HOUR)
    decision = world.requests("gao", world.anchored(confidentiality="V"))
    assert decision["delete_by"] == decision["expires"] == world.time + 2 * HOUR


def test_a_record_that_was_superseded_is_dated_by_the_mark(world: World) -> None:
    old, new = world.anchored(), world.anchored(kind="imaging")
    world.does("city-1", "records", "supersede", holder="city", old=name_of(old), new=name_of(new))
    marked_at = world.height
    assert world.requests("gao", old)["as_of"]["record"] == marked_at


# --- Handing over ---------------------------------------------------------------------------------


def test_release_and_receipt_are_written_into_the_decision(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    identity = world.requests("gao", record)["id"]
    world.does("city-1", "access", "release", request=identity, digest=record["digest"])
    world.does("gao", "access", "receipt", request=identity, digest=record["digest"], matches=True)
    decision = world.asks("access", "decision", id=identity)
    assert decision["released"]["matches"] is True
    assert decision["received"]["matches"] is True


def test_a_receipt_tells_when_something_else_arrived(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    identity = world.requests("gao", record)["id"]
    world.does("gao", "access", "receipt", request=identity, digest=bytes(32), matches=False)
    assert world.asks("access", "decision", id=identity)["received"]["matches"] is False


def test_only_the_two_sides_write_release_and_receipt(world: World) -> None:
    record = world.anchored()
    permit_county(world)
    identity = world.requests("gao", record)["id"]
    digest = record["digest"]
    assert (
        world.refuses("county-1", "access", "release", request=identity, digest=digest)
        == "not_affiliated"
    )
    assert (
        world.refuses("he", "access", "release", request=identity, digest=digest) == "role_missing"
    )
    assert (
        world.refuses("wang", "access", "receipt", request=identity, digest=digest, matches=True)
        == "not_the_requester"
    )
    assert (
        world.refuses("gao", "access", "receipt", request=identity, digest=digest, matches=False)
        == "contradiction"
    )
    world.does("city-1", "access", "release", request=identity, digest=digest)
    assert (
        world.refuses("city-1", "access", "release", request=identity, digest=digest)
        == "already_released"
    )
    assert (
        world.refuses("city-1", "access", "release", request="none-0", digest=digest)
        == "unknown_request"
    )


def test_a_denied_request_releases_nothing(world: World) -> None:
    record = world.anchored()
    identity = world.requests("gao", record)["id"]
    assert (
        world.refuses("city-1", "access", "release", request=identity, digest=record["digest"])
        == "not_permitted"
    )


def test_a_pointer_of_the_real_type_is_what_the_contract_takes(world: World) -> None:
    record = world.anchored()
    assert set(record) == set(Pointer.__struct_fields__)


# --- Who is asked ---------------------------------------------------------------------------------


def asked_by(policy: str, who: str, purpose: str) -> list[str]:
    """Who is asked about a request when the consents and one policy are listed."""
    world = World(arguments={"access": {"policies": ["consent", policy], "permit_hours": 24}})
    decision = world.requests(who, world.anchored(), purpose)
    return [answer.split(":")[0] for answer in decision["asked"]]


@pytest.mark.parametrize(
    ("policy", "who", "purpose", "asked"),
    [
        ("supervision", "gao", "TREAT", True),
        ("supervision HOPERAT", "gao", "TREAT", False),
        ("supervision HOPERAT", "gao", "HQUALIMP", True),
        ("supervision county-hospital", "gao", "TREAT", True),
        ("supervision county-hospital", "wang", "TREAT", False),
        ("supervision HOPERAT county-hospital", "wang", "HQUALIMP", True),
    ],
)
def test_a_policy_is_asked_about_its_branches_and_its_kinds_of_institutions(
    policy: str, who: str, purpose: str, asked: bool
) -> None:
    assert ("supervision" in asked_by(policy, who, purpose)) is asked


def test_a_policy_that_suits_twice_is_asked_once() -> None:
    policy = "supervision HOPERAT county-hospital"
    assert asked_by(policy, "gao", "HQUALIMP") == ["consent", "supervision"]


@pytest.mark.parametrize("policy", ["supervision treat", "supervision hospital", "supervision "])
def test_a_policy_with_a_word_that_means_nothing_starts_no_chain(policy: str) -> None:
    with pytest.raises(GenesisFailed, match="unknown_policy"):
        asked_by(policy, "gao", "TREAT")


def test_the_kinds_of_institutions_are_those_of_governance() -> None:
    assert constant("access", "KINDS") == constant("governance", "KINDS")
