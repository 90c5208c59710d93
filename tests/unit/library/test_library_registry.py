"""Who the people are and whose key is whose."""

import pytest

from ledger.contracts.machine import GenesisFailed
from ledger.workbench.consortium import consortium_genesis
from tests.support.authenticator import Authenticator
from tests.support.contracts import NEIGHBOUR, PATIENT, World, key_of

FORM = bytes(range(32))
NEWCOMER = "p-" + "a" * 32


@pytest.fixture
def world() -> World:
    return World()


def key(name: str) -> str:
    return key_of(name).public.hex()


def enrolment(**changes: object) -> dict[str, object]:
    return {
        "id": "li",
        "institution": "city",
        "roles": ["physician"],
        "keys": [key("li")],
        **changes,
    }


def test_a_registrar_enrols_people_of_the_own_institution(world: World) -> None:
    world.does("clerk", "registry", "enrol", **enrolment())
    who = world.asks("registry", "whois", key=key("li"))
    assert who == {
        "id": "li",
        "affiliations": [{"institution": "city", "roles": ["physician"], "kind": "city-hospital"}],
        "status": "active",
    }


def test_every_founding_node_is_a_records_officer(world: World) -> None:
    node = world.asks("registry", "whois", key=key("city-1"))
    assert node["id"] == "city-1"
    (affiliation,) = node["affiliations"]
    assert affiliation["institution"] == "city"
    assert affiliation["roles"] == ["node", "records-officer"]


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("clerk", {"institution": "county"}, "not_affiliated"),
        ("he", {}, "role_missing"),
        ("stranger", {}, "unknown_key"),
        ("clerk", {"id": "he"}, "person_exists"),
        ("clerk", {"id": ""}, "bad_id"),
        ("clerk", {"id": "a/b"}, "bad_id"),
        ("clerk", {"id": "Zhang Wuji"}, "bad_id"),
        ("clerk", {"id": "x" * 65}, "bad_id"),
        ("clerk", {"roles": ["surgeon"]}, "unknown_role"),
        ("clerk", {"roles": []}, "role_missing"),
        ("clerk", {"roles": ["node"]}, "role_reserved"),
        ("clerk", {"roles": ["auditor"]}, "role_not_for_kind"),
        ("clerk", {"roles": ["insurer"]}, "role_not_for_kind"),
        ("clerk", {"roles": ["patient"]}, "bad_pseudonym"),
        ("clerk", {"roles": ["patient", "nurse"], "id": NEWCOMER}, "patient_apart"),
        ("clerk", {"id": NEWCOMER}, "patient_apart"),
        ("clerk", {"keys": []}, "key_missing"),
        ("clerk", {"keys": ["00"]}, "bad_key"),
        ("clerk", {"keys": ["zz" * 33]}, "bad_key"),
        ("clerk", {"keys": ["02" * 33]}, "bad_key"),
        ("clerk", {"keys": ["01" * 66]}, "bad_key"),
        ("clerk", {"keys": ["02" + "zz" * 65]}, "bad_key"),
        ("clerk", {"keys": ["03" * 33]}, "bad_key"),
        ("clerk", {"keys": [key("he")]}, "key_exists"),
        ("clerk", {"keys": [key(str(n)) for n in range(9)]}, "too_many_keys"),
    ],
)
def test_an_enrolment_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, object], code: str
) -> None:
    assert world.refuses(signer, "registry", "enrol", **enrolment(**change)) == code


def test_a_person_may_have_a_passkey(world: World) -> None:
    passkey = Authenticator("li's passkey").public.hex()
    world.does("clerk", "registry", "enrol", **enrolment(keys=[passkey]))
    assert world.asks("registry", "whois", key=passkey)["id"] == "li"


def test_a_chain_accepts_the_suites_that_its_genesis_names() -> None:
    people = consortium_genesis({}, {}).contracts
    founders = next(each.arguments["people"] for each in people if each.name == "registry")
    world = World(arguments={"registry": {"people": founders, "key_suites": ["01"]}})
    keys = [Authenticator("li's passkey").public.hex()]
    refused = world.refuses("clerk", "registry", "enrol", **enrolment(keys=keys))
    assert refused == "suite_not_accepted"
    for suites in ([], ["02"], ["01", "03"]):
        with pytest.raises(GenesisFailed, match="unknown_suite"):
            World(arguments={"registry": {"people": founders, "key_suites": suites}})


def test_a_patient_without_keys_speaks_through_a_signed_form(world: World) -> None:
    world.does(
        "clerk", "registry", "enrol", id=NEWCOMER, institution="city", roles=["patient"], keys=[]
    )
    grant = {"id": "c", "subject": NEWCOMER, "scope": {"purposes": ["TREAT"]}}
    world.does("clerk,nurse", "consent", "grant", **grant, form=FORM)
    assert world.asks("consent", "get", id="c")["given_by"] == ["clerk", "nurse"]


@pytest.mark.parametrize(
    ("signers", "form", "code"),
    [
        ("clerk", FORM, "not_the_person"),
        ("clerk,nurse", b"", "form_missing"),
        ("clerk,gao", FORM, "witness_missing"),
        ("he,nurse", FORM, "witness_missing"),
        (f"clerk,{NEIGHBOUR}", FORM, "witness_missing"),
        (f"clerk,{PATIENT}", FORM, "witness_missing"),
        ("clerk,stranger", FORM, "unknown_key"),
        (f"{NEIGHBOUR},nurse", FORM, "witness_missing"),
        ("clerk,city-1", FORM, "witness_missing"),  # the node signs whatever its staff does
    ],
)
def test_a_form_counts_only_with_a_registrar_and_a_colleague_as_witness(
    world: World, signers: str, form: bytes, code: str
) -> None:
    assert world.refuses(
        signers, "consent", "grant", id="c", subject=PATIENT, scope={"purposes": ["TREAT"]},
        form=form,
    ) == code  # fmt: skip


def test_a_node_that_signs_for_its_staff_is_no_witness_of_a_death(world: World) -> None:
    death = {"id": PATIENT, "institution": "city", "form": FORM}
    assert world.refuses("clerk,city-1", "registry", "died", **death) == "witness_missing"
    world.does("clerk,nurse,city-1", "registry", "died", **death)


def test_one_person_with_two_keys_is_not_a_witness_of_herself(world: World) -> None:
    keys = [key("both-one"), key("both-two")]
    world.does("clerk", "registry", "enrol", **enrolment(id="both", roles=["registrar"], keys=keys))
    assert world.refuses(
        "both-one,both-two", "consent", "grant", id="c", subject=PATIENT,
        scope={"purposes": ["TREAT"]}, form=FORM,
    ) == "witness_missing"  # fmt: skip


def test_affiliation_is_added_changed_and_ended_by_the_institution(world: World) -> None:
    visit = {"id": "he", "institution": "county"}
    world.does("county-clerk", "registry", "affiliate", **visit, roles=["physician"])
    assert len(world.asks("registry", "person", id="he")["affiliations"]) == 2
    assert world.refuses("clerk", "registry", "affiliate", **visit, roles=[]) == "not_affiliated"
    world.does("county-clerk", "registry", "affiliate", **visit, roles=[])
    assert [
        a["institution"] for a in world.asks("registry", "person", id="he")["affiliations"]
    ] == ["city"]


def test_a_person_rotates_a_key_and_the_old_one_means_nobody(world: World) -> None:
    world.does("he", "registry", "rotate_key", old=key("he"), new=key("he-2"))
    assert world.asks("registry", "whois", key=key("he")) is None
    assert world.asks("registry", "whois", key=key("he-2"))["id"] == "he"


def test_a_lost_key_of_staff_is_replaced_with_a_form_and_a_witness(world: World) -> None:
    change = {"old": key("he"), "new": key("new phone")}
    assert world.refuses("clerk", "registry", "rotate_key", **change) == "not_the_person"
    world.does("clerk,nurse", "registry", "rotate_key", **change, form=FORM)
    assert world.asks("registry", "whois", key=key("new phone"))["id"] == "he"


def test_the_key_of_a_node_is_not_rotated_here(world: World) -> None:
    assert (
        world.refuses("city-1", "registry", "rotate_key", old=key("city-1"), new=key("x"))
        == "role_reserved"
    )


def test_a_revoked_person_does_nothing_more(world: World) -> None:
    world.does("clerk", "registry", "revoke", id="he", reason="left")
    assert world.asks("registry", "whois", key=key("he"))["status"] == "revoked"
    assert world.refuses("clerk", "registry", "revoke", id="he", reason="left") == "revoked"
    assert world.refuses("he", "registry", "rotate_key", old=key("he"), new=key("x")) == "revoked"


def test_only_the_first_institution_or_the_person_revokes(world: World) -> None:
    assert (
        world.refuses("county-clerk", "registry", "revoke", id="he", reason="left")
        == "not_affiliated"
    )
    assert world.refuses("he", "registry", "revoke", id="he", reason="bored") == "unknown_reason"
    world.does("he", "registry", "revoke", id="he", reason="key-stolen")


def test_nodes_and_members_enter_only_through_governance(world: World) -> None:
    assert world.refuses("clerk", "registry", "admit", people=[]) == "governance_only"
    assert world.refuses("clerk", "registry", "dismiss", id="city-1") == "governance_only"


def test_the_engineer_of_a_vendor_can_work_for_a_hospital_as_such(world: World) -> None:
    lent = {"id": "engineer", "institution": "city", "roles": ["vendor-engineer"]}
    world.does("clerk", "registry", "affiliate", **lent)
    acting = world.asks(
        "registry", "acting", key=key("engineer"), institution="city", roles=["vendor-engineer"]
    )
    assert (acting["roles"], acting["kind"]) == (["vendor-engineer"], "city-hospital")
    assert (
        world.refuses("clerk", "registry", "affiliate", **{**lent, "id": "scholar"})
        == "role_not_for_kind"
    )
