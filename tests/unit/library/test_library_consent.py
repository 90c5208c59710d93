"""What patients can declare, and what their declarations cover."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from ledger.chain.tokens import LabelKey, tokens_root
from ledger.fhir.consent import Computable, Directory, import_consent
from ledger.fhir.labels import sensitivity_lineage
from tests.support.contracts import DAY, NEIGHBOUR, PATIENT, START, World, name_of

SCOPE = {"institutions": ["county"], "purposes": ["TREAT"]}


@pytest.fixture
def world() -> World:
    return World()


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "subject": PATIENT, "requester": "gao", "roles": ["physician"], "institution": "county",
        "purpose": "TREAT", "holder": "city", "record": "ab" * 32, "kind": "laboratory",
        "confidentiality": "N", "data_start": START - 30 * DAY, "data_end": START - 29 * DAY,
        "labels": [], **changes,
    }  # fmt: skip


def declare(world: World, method: str = "grant", identity: str = "c", **scope: Any) -> None:
    world.does(PATIENT, "consent", method, id=identity, subject=PATIENT, scope=scope)


def effect(world: World, **changes: Any) -> str:
    answer: str = world.asks("consent", "decide", request=facts(**changes))["effect"]
    return answer


@pytest.mark.parametrize(
    ("scope", "covered", "not_covered"),
    [
        ({"institutions": ["county"]}, {}, {"institution": "township"}),
        ({"roles": ["physician"]}, {"roles": ["nurse", "physician"]}, {"roles": ["nurse"]}),
        ({"persons": ["gao"]}, {}, {"requester": "wang"}),
        ({"kinds": ["laboratory", "ecg"]}, {"kind": "ecg"}, {"kind": "note"}),
        ({"holders": ["city"]}, {}, {"holder": "county"}),
        ({"records": ["ab" * 32]}, {}, {"record": "cd" * 32}),
        ({"purposes": ["CLINTRCH"]}, {"purpose": "CLINTRCHPC"}, {"purpose": "HRESCH"}),
        ({"purposes": ["TREAT"]}, {"purpose": "COC"}, {"purpose": "BTG"}),
        ({"purposes": ["TREAT"]}, {}, {"purpose": "ETREAT"}),
        ({"purposes": ["ETREAT"]}, {"purpose": "ETREAT"}, {"purpose": "BTG"}),
        ({"confidentiality": "R"}, {"confidentiality": "R"}, {"confidentiality": "V"}),
        ({}, {"confidentiality": "N"}, {"confidentiality": "R"}),
        ({"start": START}, {}, {"subject": NEIGHBOUR}),
    ],
)
def test_a_permit_covers_what_it_names(
    world: World, scope: dict[str, Any], covered: dict[str, Any], not_covered: dict[str, Any]
) -> None:
    declare(world, **{"purposes": ["TREAT"], **scope})
    if "purposes" not in scope:
        assert effect(world) == "permit"
    assert effect(world, **covered) == "permit"
    assert effect(world, **not_covered) == "none"


@pytest.mark.parametrize(
    ("start", "end", "permitted", "denied"),
    [
        (100, 200, "permit", "deny"),
        (100, 201, "none", "deny"),
        (201, 300, "none", "none"),
        (50, 100, "none", "deny"),
        (50, 99, "none", "none"),
        (50, 150, "none", "deny"),
        (150, 250, "none", "deny"),
        (50, 250, "none", "deny"),
        (10, 50, "none", "none"),
        (300, 400, "none", "none"),
        (0, 0, "none", "deny"),
    ],
)
def test_a_permit_needs_the_whole_record_inside_its_data_period_and_a_denial_a_part(
    world: World, start: int, end: int, permitted: str, denied: str
) -> None:
    declare(world, purposes=["TREAT"], data_start=100, data_end=201)
    assert effect(world, data_start=start, data_end=end) == permitted
    world.does(PATIENT, "consent", "withdraw", id="c")
    declare(world, "deny", "d", data_start=100, data_end=201)
    assert effect(world, data_start=start, data_end=end) == denied


def test_a_permit_begins_and_ends_by_block_time(world: World) -> None:
    declare(world, purposes=["TREAT"], start=START + 10, end=START + 20)
    seen = []
    for moment in (9, 10, 19, 20):
        world.time = START + moment
        seen.append(effect(world))
    assert seen == ["none", "permit", "permit", "none"]


def test_a_denial_covers_its_level_and_everything_above(world: World) -> None:
    declare(world, "grant", "p", purposes=["TREAT"], confidentiality="V")
    declare(world, "deny", "d", confidentiality="R")
    assert [effect(world, confidentiality=level) for level in ("N", "R", "V")] == [
        "permit", "deny", "deny",
    ]  # fmt: skip


def test_a_denial_without_limits_covers_emergencies_too(world: World) -> None:
    declare(world, "deny")
    assert effect(world, purpose="ETREAT") == "deny"


@pytest.mark.parametrize(
    "change", [{"purpose": "CURIOSITY"}, {"confidentiality": "U"}, {"confidentiality": ""}]
)
def test_what_is_not_understood_is_denied(world: World, change: dict[str, Any]) -> None:
    declare(world, purposes=["TREAT"], confidentiality="V")
    assert effect(world, **change) == "deny"


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({}, "purpose_missing"),
        ({**SCOPE, "effect": "deny"}, "contradiction"),
        ({**SCOPE, "colour": "red"}, "unknown_part"),
        ({**SCOPE, "institutions": ["nowhere"]}, "unknown_institution"),
        ({**SCOPE, "institutions": "county"}, "bad_scope"),
        ({**SCOPE, "holders": ["nowhere"]}, "unknown_institution"),
        ({**SCOPE, "persons": ["nobody"]}, "unknown_person"),
        ({**SCOPE, "roles": ["surgeon"]}, "unknown_role"),
        ({**SCOPE, "kinds": ["diary"]}, "unknown_class"),
        ({"purposes": ["CURIOSITY"]}, "unknown_purpose"),
        ({**SCOPE, "records": ["abc"]}, "bad_record_name"),
        ({**SCOPE, "records": ["Z" * 64]}, "bad_record_name"),
        ({**SCOPE, "records": ["ab" * 32] * 65}, "scope_too_long"),
        ({**SCOPE, "confidentiality": "U"}, "unknown_confidentiality"),
        ({**SCOPE, "start": 20, "end": 10}, "bad_time"),
        ({**SCOPE, "data_start": 20, "data_end": 20}, "bad_time"),
        ({**SCOPE, "end": "tomorrow"}, "value_error"),
        ({**SCOPE, "end": True}, "bad_time"),
    ],
)
def test_a_scope_that_is_not_understood_is_refused(
    world: World, scope: dict[str, Any], code: str
) -> None:
    assert world.refuses(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope=scope) == code


def test_nobody_declares_for_another_patient(world: World) -> None:
    arguments = {"id": "c", "subject": PATIENT, "scope": SCOPE}
    assert world.refuses(NEIGHBOUR, "consent", "grant", **arguments) == "not_the_person"
    assert world.refuses("he", "consent", "grant", **arguments) == "not_the_person"
    declare(world, **SCOPE)
    assert world.refuses(NEIGHBOUR, "consent", "withdraw", id="c") == "not_the_person"


def test_an_id_is_used_once_and_withdrawn_once(world: World) -> None:
    declare(world, **SCOPE)
    arguments = {"id": "c", "subject": NEIGHBOUR, "scope": SCOPE}
    assert world.refuses(NEIGHBOUR, "consent", "grant", **arguments) == "consent_exists"
    world.does(PATIENT, "consent", "withdraw", id="c")
    assert world.refuses(PATIENT, "consent", "withdraw", id="c") == "already_withdrawn"
    assert world.refuses(PATIENT, "consent", "withdraw", id="d") == "unknown_consent"


def test_a_withdrawn_consent_keeps_its_rules_for_the_record(world: World) -> None:
    declare(world, **SCOPE)
    given = world.asks("consent", "get", id="c")
    world.does(PATIENT, "consent", "withdraw", id="c")
    withdrawn = world.asks("consent", "get", id="c")
    assert (given["status"], withdrawn["status"]) == ("active", "withdrawn")
    assert withdrawn["rules"] == given["rules"]
    assert world.asks("consent", "active", subject=PATIENT) == []


def test_a_consent_with_several_rules_is_adopted_whole_or_not_at_all(world: World) -> None:
    rules = [{"effect": "permit", **SCOPE}, {"effect": "deny", "persons": ["gao"]}]
    document = {"id": "c", "subject": PATIENT, "source": bytes(32)}
    world.does(PATIENT, "consent", "adopt", **document, rules=rules)
    assert effect(world) == "deny"
    assert effect(world, requester="wang") == "permit"
    document["id"] = "d"
    for broken in (
        [],
        [{"effect": "maybe"}],
        [{"purposes": ["TREAT"]}],
        [*rules, {"effect": "permit"}],
    ):
        world.refuses(PATIENT, "consent", "adopt", **document, rules=broken)


def test_a_subject_has_at_most_64_consents(world: World) -> None:
    for number in range(64):
        declare(world, identity=f"c{number}", **SCOPE)
    arguments = {"id": "more", "subject": PATIENT, "scope": SCOPE}
    assert world.refuses(PATIENT, "consent", "grant", **arguments) == "too_many_consents"
    world.does(PATIENT, "consent", "withdraw", id="c5")
    declare(world, identity="more", **SCOPE)


def test_consents_that_ran_out_make_room_and_keep_their_rules(world: World) -> None:
    for number in range(64):
        ending = {"end": START + DAY} if number % 2 else {}
        declare(world, identity=f"c{number}", **SCOPE, **ending)
    ended = world.asks("consent", "get", id="c1")
    world.later(DAY)
    declare(world, identity="more", **SCOPE)
    assert len(world.asks("consent", "active", subject=PATIENT)) == 33
    assert world.asks("consent", "get", id="c1") == ended
    world.does(PATIENT, "consent", "withdraw", id="c1")
    assert world.asks("consent", "get", id="c1")["rules"] == ended["rules"]


def test_a_consent_to_one_record_covers_that_record(world: World) -> None:
    record, other = world.anchored(size=1), world.anchored(size=2)
    declare(world, purposes=["TREAT"], records=[name_of(record).hex()])
    assert world.requests("gao", record)["outcome"] == "permit"
    assert world.requests("gao", other)["outcome"] == "deny"


# --- Labels and codes -------------------------------------------------------------------------

KEY = LabelKey(sha256(b"the patient's").digest())
FOREIGN = LabelKey(sha256(b"another holder's").digest())
GLUCOSE = ("http://loinc.org", "2339-0")
NO_PSY = {"labels": [KEY.label("SPI")], "label_key": KEY.for_labels}


def opened(
    *labels: str, codes: Sequence[tuple[str, str]] = (GLUCOSE,), key: LabelKey = KEY
) -> list[bytes]:
    """The tokens of a record with these labels."""
    wider = {above for label in labels for above in sensitivity_lineage(label)}
    return list(key.opening(wider, codes, b"s" * 16))


@pytest.mark.parametrize(
    ("shown", "permitted", "denied"),
    [
        (opened("PSY"), "permit", "deny"),
        (opened("HIV"), "none", "none"),
        (opened(), "none", "none"),
        ([], "none", "deny"),
        (opened("PSY", key=FOREIGN), "none", "deny"),
        (opened("HIV", key=FOREIGN), "none", "deny"),
    ],
    ids=["bears it", "bears another", "none", "closed", "another key", "another key and label"],
)  # fmt: skip
def test_a_permit_by_label_needs_it_shown_and_a_denial_needs_it_shown_absent(
    world: World, shown: list[bytes], permitted: str, denied: str
) -> None:
    declare(world, purposes=["TREAT"], confidentiality="R", **NO_PSY)
    assert effect(world, confidentiality="R", labels=shown) == permitted
    world.does(PATIENT, "consent", "withdraw", id="c")
    declare(world, "deny", "d", **NO_PSY)
    assert effect(world, confidentiality="R", labels=shown) == denied


def test_a_wider_label_covers_the_narrower_ones_and_not_the_other_way(world: World) -> None:
    declare(world, "deny", "d", labels=[KEY.label("SUD")], label_key=KEY.for_labels)
    assert effect(world, labels=opened("OPIOIDUD")) == "deny"
    assert effect(world, labels=opened("SPI")) == "none"
    assert effect(world, labels=opened("PSY")) == "none"


def test_codes_are_named_as_labels_are(world: World) -> None:
    scope = {"codes": [KEY.code(*GLUCOSE)], "label_key": KEY.for_codes}
    declare(world, "deny", "d", **scope)
    assert effect(world, labels=opened()) == "deny"
    assert effect(world, labels=opened(codes=[("http://loinc.org", "718-7")])) == "none"
    many = [("http://loinc.org", f"{number}-0") for number in range(20)]
    assert effect(world, labels=opened(codes=many)) == "deny"
    world.does(PATIENT, "consent", "withdraw", id="d")
    declare(world, purposes=["TREAT"], **scope)
    assert effect(world, labels=opened()) == "permit"
    assert effect(world, labels=opened(codes=many)) == "none"


def test_labels_and_codes_named_together_must_both_be_met(world: World) -> None:
    both = {"labels": [KEY.label("HIV")], "codes": [KEY.code(*GLUCOSE)], "label_key": KEY.for_codes}
    declare(world, "deny", "d", **both)
    assert effect(world, labels=opened("HIV")) == "deny"
    assert effect(world, labels=opened("PSY")) == "none"
    assert effect(world, labels=opened("HIV", codes=[])) == "none"
    assert effect(world) == "deny"


def test_the_chain_believes_labels_only_if_the_pointer_commits_to_them(world: World) -> None:
    tokens = opened("PSY")
    record = world.anchored(labels=tokens_root(tokens), confidentiality="R")
    declare(world, "grant", "p", purposes=["TREAT"], confidentiality="R")
    declare(world, "deny", "d", **NO_PSY)
    assert world.requests("gao", record)["outcome"] == "deny"
    assert world.requests("gao", record, labels=tokens)["outcome"] == "deny"
    for false in (opened("HIV"), tokens[:-1], [*tokens, bytes(16)], tokens[::-1]):
        code = world.refuses(
            "gao", "access", "request", pointer=record, proof={}, purpose="TREAT",
            institution="county", reply_key=bytes(range(32)), labels=false,
        )  # fmt: skip
        assert code == "bad_labels"
    plain = opened("HIV")
    other = world.anchored(labels=tokens_root(plain), confidentiality="R")
    assert world.requests("gao", other)["outcome"] == "deny"
    assert world.requests("gao", other, labels=plain)["outcome"] == "permit"


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({"labels": [bytes(16)]}, "label_key_missing"),
        ({"codes": [bytes(16)]}, "label_key_missing"),
        ({"label_key": bytes(16)}, "label_key_missing"),
        ({"labels": [bytes(15)], "label_key": bytes(16)}, "bad_token"),
        ({"labels": ["x" * 16], "label_key": bytes(16)}, "type_error"),
        ({"labels": [bytes(16)], "label_key": "x" * 16}, "type_error"),
        ({"labels": [bytes(16)] * 65, "label_key": bytes(16)}, "scope_too_long"),
        ({"unless": [{"institutions": ["county"]}]}, "purpose_missing"),
        ({"unless": [SCOPE] * 9}, "bad_exception"),
        ({"unless": [{**SCOPE, "unless": [SCOPE]}]}, "bad_exception"),
        ({"unless": [{**SCOPE, "effect": "deny"}]}, "contradiction"),
        ({"unless": {"a": SCOPE}}, "bad_exception"),
    ],
)
def test_tokens_and_exceptions_that_are_not_understood_are_refused(
    world: World, scope: dict[str, Any], code: str
) -> None:
    arguments = {"id": "c", "subject": PATIENT, "scope": scope}
    assert world.refuses(PATIENT, "consent", "deny", **arguments) == code


# --- Exceptions -------------------------------------------------------------------------------


def test_an_exception_takes_what_it_covers_out_of_its_own_denial_only(world: World) -> None:
    study = {"institutions": ["county"], "purposes": ["HRESCH"], "end": START + DAY}
    declare(world, "deny", "d", unless=[study])
    declare(world, "grant", "p", **study)
    assert effect(world, purpose="HRESCH") == "permit"
    assert effect(world, purpose="TREAT") == "deny"
    assert effect(world, purpose="HRESCH", institution="township") == "deny"
    assert effect(world, purpose="HRESCH", confidentiality="R") == "deny"
    world.later(DAY)
    assert effect(world, purpose="HRESCH") == "deny"
    world.later(-DAY)
    declare(world, "deny", "e", purposes=["CLINTRCH"])
    assert effect(world, purpose="HRESCH") == "permit"
    assert effect(world, purpose="CLINTRCH") == "deny"


def test_an_exception_permits_nothing_by_itself(world: World) -> None:
    declare(world, "deny", "d", unless=[SCOPE])
    assert effect(world) == "none"


def test_a_permit_has_no_exceptions_but_denials(world: World) -> None:
    arguments = {"id": "c", "subject": PATIENT, "scope": {**SCOPE, "unless": [SCOPE]}}
    assert world.refuses(PATIENT, "consent", "grant", **arguments) == "bad_exception"


def test_an_emergency_that_is_excepted_survives_a_denial_of_everything_else(world: World) -> None:
    emergency = {"purposes": ["ETREAT"], "confidentiality": "V"}
    declare(world, "deny", "d", unless=[emergency])
    declare(world, "grant", "p", **emergency)
    assert effect(world, purpose="ETREAT", confidentiality="V") == "permit"
    assert effect(world, purpose="ERTREAT") == "deny"
    assert effect(world, purpose="TREAT") == "deny"


def test_a_permit_that_names_the_recipient_counts_before_one_that_does_not(world: World) -> None:
    declare(world, "grant", "all", purposes=["TREAT"])
    answer = world.asks("consent", "decide", request=facts())
    assert (answer["facts"]["consent"], answer["facts"]["named"]) == ("all", False)
    declare(world, "grant", "hers", **SCOPE)
    answer = world.asks("consent", "decide", request=facts())
    assert (answer["facts"]["consent"], answer["facts"]["named"]) == ("hers", True)
    assert (
        world.asks("consent", "decide", request=facts(institution="city"))["facts"]["named"]
        is False
    )


# --- After death ------------------------------------------------------------------------------


def test_what_a_patient_permitted_ends_with_her_and_what_she_denied_does_not(world: World) -> None:
    emergency = {"purposes": ["ETREAT"]}
    declare(world, "grant", "p", **SCOPE)
    declare(world, "deny", "d", institutions=["township"], unless=[emergency])
    assert effect(world) == "permit"
    world.does("clerk,he", "registry", "died", id=PATIENT, institution="city", form=bytes(32))
    assert effect(world) == "none"
    assert effect(world, institution="township") == "deny"
    assert effect(world, institution="township", purpose="ETREAT") == "deny"
    assert world.asks("consent", "get", id="p")["status"] == "active"


def test_nobody_declares_anything_for_the_dead(world: World) -> None:
    world.does("clerk,he", "registry", "died", id=PATIENT, institution="city", form=bytes(32))
    arguments = {"id": "c", "subject": PATIENT, "scope": SCOPE}
    assert world.refuses(PATIENT, "consent", "grant", **arguments) == "revoked"
    arguments["form"] = bytes(32)
    assert world.refuses("clerk,he", "consent", "grant", **arguments) == "revoked"


def test_only_the_registry_tells_of_deaths(world: World) -> None:
    assert world.refuses("clerk", "consent", "end_with_death", subject=PATIENT) == "registry_only"
    assert world.refuses("clerk", "registry", "enlist") == "not_a_listener"


# --- Groups -----------------------------------------------------------------------------------


def test_who_joins_a_group_later_has_no_part_in_what_was_given_to_it(world: World) -> None:
    """A group is written down as its members of that day; the contract knows no groups at all."""
    recipient = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
    resource = {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope",
            "code": "patient-privacy",
        }]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/1"},
        "policyRule": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN",
        }]},
        "provision": {"type": "permit", "actor": [{
            "role": {"coding": [{"system": recipient, "code": "IRCP"}]},
            "reference": {"reference": "CareTeam/1"},
        }]},
    }  # fmt: skip

    def adopts(identity: str, members: tuple[str, ...]) -> None:
        directory = Directory(persons={"Patient/1": PATIENT}, groups={"CareTeam/1": members})
        outcome = import_consent(resource, directory)
        assert isinstance(outcome, Computable)
        world.does(
            PATIENT, "consent", "adopt", id=identity, subject=PATIENT, source=bytes(32),
            rules=[dict(rule) for rule in outcome.rules],
        )  # fmt: skip

    adopts("before", ("gao",))
    assert effect(world, requester="gao") == "permit"
    assert effect(world, requester="wang") == "none"
    adopts("after", ("gao", "wang"))
    assert effect(world, requester="wang") == "permit"
    world.does(PATIENT, "consent", "withdraw", id="after")
    assert effect(world, requester="wang") == "none"
    arguments = {"id": "c", "subject": PATIENT, "scope": {**SCOPE, "groups": ["CareTeam/1"]}}
    assert world.refuses(PATIENT, "consent", "grant", **arguments) == "unknown_part"
