"""Searching documents: what one may see, from here and elsewhere, and nothing about the rest."""

from __future__ import annotations

import pytest

from ledger.api.fhir import documents as routes
from ledger.api.principal import Kind
from ledger.fhir import elements
from tests.support.fhir import principal
from tests.support.fhir_models import R5, validate
from tests.support.fhir_sources import record

TREAT = {"Ledger-Purpose": "TREAT"}
BREAK = {
    "Ledger-Purpose": "BTG", "Ledger-Emergency": "unconscious", "Ledger-Note": "ab" * 32,
}  # fmt: skip


@pytest.fixture
async def records(service, hospitals, consent, pseudonym):
    """Three records at East, four at South; the patient permits treatment, but not with two."""
    await hospitals.anchor("east", pseudonym, [record("2339-0", str(i)) for i in range(3)])
    await hospitals.anchor("south", pseudonym, [record("718-7", str(i)) for i in range(2)])
    await hospitals.anchor(
        "south", pseudonym, [record("2345-7", str(i)) for i in range(2)], kind="note"
    )
    await service.submit([consent(scope={"purposes": ["TREAT"], "kinds": ["laboratory"]}).raw])
    await service.commit()
    return hospitals


async def search(fhir, query="", headers=TREAT, status=200):
    answer = await fhir.get(f"DocumentReference?{query}", headers=headers)
    assert answer.status_code == status, answer.text
    bundle = answer.json()
    validate(bundle)
    return bundle


def matches(bundle):
    return [
        entry["resource"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"
    ]


def said(bundle):
    return [
        issue["diagnostics"]
        for entry in bundle.get("entry", ())
        if entry["search"]["mode"] == "outcome"
        for issue in entry["resource"]["issue"]
    ]


def custodians(bundle):
    return sorted(each["custodian"]["identifier"]["value"] for each in matches(bundle))


async def test_staff_see_their_own_hospital_s_and_what_others_would_permit(
    fhir, records, pseudonym
):
    bundle = await search(fhir, f"patient=Patient/{pseudonym}")
    assert custodians(bundle) == ["east"] * 3 + ["south"] * 2
    assert bundle["total"] == 5
    for resource in matches(bundle):
        validate(resource)
        assert resource["content"][0]["attachment"]["url"].endswith(
            f"/fhir/Binary/{resource['id']}"
        )


@pytest.mark.parametrize(
    "query",
    [
        "patient=Patient/{0}", "patient={0}", "subject={0}", "patient.identifier={0}",
        "patient.identifier=urn:health-ledger:pseudonym|{0}",
    ],
)  # fmt: skip
async def test_a_patient_may_be_named_in_each_of_the_usual_ways(fhir, records, pseudonym, query):
    assert len(matches(await search(fhir, query.format(pseudonym)))) == 5


async def test_the_question_is_on_the_chain_before_anything_is_shown(
    fhir, records, service, pseudonym
):
    height = service.head().height
    await search(fhir, f"patient={pseudonym}")
    assert records.asked == 1
    assert service.head().height == height + 1


async def test_nobody_else_is_asked_for_what_only_the_own_hospital_has(fhir, records, pseudonym):
    bundle = await search(fhir, f"patient={pseudonym}&custodian=Organization/east", headers={})
    assert custodians(bundle) == ["east"] * 3
    assert records.asked == 0


async def test_what_one_caller_may_not_see_shows_up_in_nothing_that_she_gets(
    fhir, signed_in, records, service, consortium, pseudonym, consent
):
    """The same search by two: one is permitted notes too, and only her counts have them."""
    named = consortium.people["south-physician"].id
    scope = {"purposes": ["TREAT"], "kinds": ["note"], "persons": [named]}
    await service.submit([consent(scope=scope).raw])
    await service.commit()
    query = f"patient={pseudonym}&custodian=south&_count=1"
    first = await search(fhir, query)
    signed_in.who = principal(Kind.STAFF, named, "south", "physician")
    second = await search(fhir, query)
    assert (first["total"], second["total"]) == (2, 4)

    async def pages(bundle):
        count = 1
        while more := [link for link in bundle["link"] if link["relation"] == "next"]:
            bundle = (await fhir.get(more[0]["url"], headers=TREAT)).json()
            count += 1
        return count

    assert await pages(second) == 4
    signed_in.who = principal(Kind.STAFF, consortium.people["east-physician"].id, "east",
                              "physician")  # fmt: skip
    assert await pages(first) == 2
    hidden = {each["id"] for each in matches(second)} - {each["id"] for each in matches(first)}
    for name in hidden:
        assert (await fhir.get(f"DocumentReference/{name}")).status_code == 404


async def test_an_id_that_was_not_shown_does_not_exist_and_neither_does_nonsense(
    fhir, records, hospitals, pseudonym
):
    await search(fhir, f"patient={pseudonym}")
    (unseen,) = await hospitals.anchor("south", pseudonym, [record("9-9")])
    answers = [
        await fhir.get(f"DocumentReference/{name}")
        for name in (unseen.pointer.name().hex(), "00" * 32, "x", "z" * 64)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_what_was_shown_can_be_read_and_only_by_whom_it_was_shown_to(
    fhir, signed_in, records, herself, pseudonym
):
    shown = matches(await search(fhir, f"patient={pseudonym}&custodian=south"))
    answer = await fhir.get(f"DocumentReference/{shown[0]['id']}")
    assert answer.json() == shown[0]
    signed_in.who = principal(Kind.STAFF, "somebody", "east", "physician")
    assert (await fhir.get(f"DocumentReference/{shown[0]['id']}")).status_code == 404


async def test_staff_of_the_holder_are_told_the_exact_type_and_labels_when_they_read_one(
    fhir, records, pseudonym
):
    (own, *_) = matches(await search(fhir, f"patient={pseudonym}&custodian=east", headers={}))
    resource = (await fhir.get(f"DocumentReference/{own['id']}")).json()
    validate(resource)
    assert resource["type"]["coding"][0]["code"] == "2339-0"
    assert resource["securityLabel"][1]["coding"][0]["code"] == "PSY"


async def test_a_patient_sees_all_of_hers_here_and_is_told_that_others_are_asked_otherwise(
    fhir, signed_in, records, herself
):
    signed_in.who = herself
    bundle = await search(fhir, headers={})
    assert custodians(bundle) == ["east"] * 3
    assert "your own key" in said(bundle)[0]
    assert "total" not in bundle
    assert records.asked == 0


async def test_a_patient_sees_nothing_of_another(fhir, signed_in, records, pseudonym):
    signed_in.who = principal(Kind.PATIENT, "p-" + "0" * 32)
    assert matches(await search(fhir, f"patient={pseudonym}", headers={})) == []


async def test_staff_without_a_role_at_the_holder_see_only_what_an_enquiry_shows(
    fhir, signed_in, records, consortium, pseudonym
):
    who = consortium.people["east-physician"].id
    signed_in.who = principal(Kind.STAFF, who, "east", "registrar")
    assert custodians(await search(fhir, f"patient={pseudonym}")) == ["south"] * 2


async def test_the_purpose_must_be_said_and_must_be_one(fhir, records, pseudonym):
    missing = await search(fhir, f"patient={pseudonym}", headers={}, status=400)
    assert missing["issue"][0]["code"] == "required"
    assert "Ledger-Purpose" in missing["issue"][0]["diagnostics"]
    for headers in (
        {"Ledger-Purpose": "CURIOSITY"},
        TREAT | {"Ledger-Case": "no blanks"},
        TREAT | {"Ledger-Emergency": "unconscious"},
        {"Ledger-Emergency": "unconscious"},
        BREAK | {"Ledger-Note": "words"},
        BREAK | {"Ledger-Emergency": "Drop Table"},
        {"Ledger-Purpose": "BTG"},
    ):
        await search(fhir, f"patient={pseudonym}", headers=headers, status=400)
    assert records.asked == 0


async def test_the_purpose_may_be_a_parameter_so_that_links_carry_it(fhir, records, pseudonym):
    bundle = await search(fhir, f"patient={pseudonym}&purpose-of-use=TREAT&_count=2", headers={})
    (more,) = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    assert len(matches((await fhir.get(more)).json())) == 2
    assert records.asked == 1


async def test_an_emergency_shows_what_was_denied_and_is_declared_on_the_chain(
    fhir, records, consent, service, pseudonym
):
    await service.submit([consent(scope={"purposes": ["TREAT"]}).raw])
    bundle = await search(fhir, f"patient={pseudonym}&custodian=south", headers=BREAK)
    assert len(matches(bundle)) == 4


async def test_who_may_not_ask_learns_so_and_gets_what_is_here(fhir, records, pseudonym):
    bundle = await search(fhir, f"patient={pseudonym}", headers={"Ledger-Purpose": "HPAYMT"})
    assert custodians(bundle) == ["east"] * 3
    assert said(bundle) == ["The consortium was not asked: role_not_suited"]


async def test_a_caller_for_whom_no_key_is_held_learns_that_others_were_not_asked(
    fhir, signed_in, records, pseudonym
):
    signed_in.who = principal(Kind.STAFF, "keyless", "east", "physician")
    bundle = await search(fhir, f"patient={pseudonym}")
    assert custodians(bundle) == ["east"] * 3
    assert "no key" in said(bundle)[0]


async def test_a_holder_that_does_not_answer_is_named_and_nobody_counts(fhir, records, pseudonym):
    records.away.add("south")
    bundle = await search(fhir, f"patient={pseudonym}")
    assert custodians(bundle) == ["east"] * 3
    assert said(bundle) == ["south did not answer"]
    assert "total" not in bundle


async def test_pages_are_pages_of_one_answer_newest_first(fhir, records, pseudonym):
    bundle = await search(fhir, f"patient={pseudonym}&_count=2")
    found, seen = [], 0
    while True:
        found += matches(bundle)
        seen += 1
        more = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not more:
            break
        bundle = (await fhir.get(more[0], headers=TREAT)).json()
        assert bundle["total"] == 5
    assert seen == 3
    assert len({each["id"] for each in found}) == 5
    assert [each["date"] for each in found] == sorted((e["date"] for e in found), reverse=True)
    assert records.asked == 1


async def test_a_page_of_somebody_else_s_search_is_gone(fhir, signed_in, records, pseudonym):
    bundle = await search(fhir, f"patient={pseudonym}&_count=1")
    (more,) = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    signed_in.who = principal(Kind.STAFF, "somebody", "east", "physician")
    assert (await fhir.get(more, headers=TREAT)).status_code == 410


SELECTIONS = [
    ("category=laboratory", 5), ("category=note", 0),
    (f"category={elements.RECORD_CLASS_SYSTEM}|laboratory", 5),
    ("category=http://loinc.org|26436-6", 5), ("status=current", 5), ("status=superseded", 0),
    ("custodian=south", 2), ("custodian.identifier=urn:health-ledger:institution|south", 2),
    ("custodian=north", 0), ("date=ge2026-01-01", 5), ("date=lt2026-01-01", 0),
    ("period=2023-11", 5), ("period=sa2024", 0), ("security-label=N", 5),
    ("security-label=R", 0), ("contenttype=application/fhir%2Bjson", 5), ("type=2339-0", 0),
    ("_lastUpdated=gt2020", 5), ("_sort=period", 5), ("_summary=true", 5),
]  # fmt: skip


async def test_every_parameter_selects(fhir, records, pseudonym):
    found = {}
    for query, _ in SELECTIONS:
        bundle = await search(fhir, f"patient={pseudonym}&{query}")
        found[query] = len(matches(bundle))
        assert bundle["total"] == found[query]
    assert found == dict(SELECTIONS)


async def test_records_are_found_by_id_and_by_urn_among_those_that_were_shown(
    fhir, records, pseudonym
):
    one, two, *_ = matches(await search(fhir, f"patient={pseudonym}"))
    by_id = await search(fhir, f"_id={one['id']},{two['id']},{'0' * 64}", headers={})
    assert {each["id"] for each in matches(by_id)} == {one["id"], two["id"]}
    urn = one["masterIdentifier"]["value"]
    by_urn = await search(fhir, f"identifier=urn:ietf:rfc:3986|{urn}", headers={})
    assert [each["id"] for each in matches(by_urn)] == [one["id"]]
    assert records.asked == 1


@pytest.mark.parametrize(
    "query",
    [
        "", "status=current", "patient=Patient/example", "patient=p-1,p-2", "patient=../x",
        "patient.identifier=urn:oid:2.16.156.10011.1.3|110101199001011234",
    ],
)  # fmt: skip
async def test_a_search_without_one_known_patient_is_refused_before_anybody_is_asked(
    fhir, records, query
):
    await search(fhir, query, status=400)
    assert records.asked == 0


async def test_a_superseded_record_is_shown_as_such_to_whom_it_was_shown(
    fhir, records, hospitals, pseudonym
):
    one, two, *_ = matches(await search(fhir, f"patient={pseudonym}&custodian=east", headers={}))
    old, new = bytes.fromhex(one["id"]), bytes.fromhex(two["id"])
    await hospitals.perform("east", "supersede", holder="east", old=old, new=new)
    again = (await fhir.get(f"DocumentReference/{one['id']}")).json()
    assert again["status"] == "superseded"
    assert again["meta"]["lastUpdated"] > one["meta"]["lastUpdated"]


async def test_all_of_it_in_r5_for_who_asks_for_it(fhir, records, pseudonym):
    accept = {"Accept": "application/fhir+json; fhirVersion=5.0"}
    answer = await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT | accept)
    found = matches(answer.json())
    assert len(found) == 5
    for resource in found:
        validate(resource, R5)
        assert "masterIdentifier" not in resource


async def test_a_search_by_form_is_the_same(fhir, records, pseudonym):
    answer = await fhir.post(
        "DocumentReference/_search", data={"patient": pseudonym}, headers=TREAT
    )
    assert len(matches(answer.json())) == 5


def test_every_search_parameter_of_the_statement_has_values_or_is_a_question():
    for parameter in routes.PARAMETERS:
        assert parameter.values is not None or parameter is routes.PURPOSE


async def test_a_record_that_comes_from_two_sides_is_listed_once(
    fhir, records, hospitals, pseudonym, monkeypatch
):
    """Asked of everybody, the own node answers an enquiry as well."""
    own = await hospitals.own(pseudonym)
    monkeypatch.setattr(hospitals, "_others", hospitals._others | {"east": list(own)})
    bundle = await search(fhir, f"patient={pseudonym}")
    assert custodians(bundle) == ["east"] * 3 + ["south"] * 2


async def test_staff_without_a_role_may_ask_their_own_hospital_like_any_other(
    fhir, signed_in, records, hospitals, consortium, pseudonym, monkeypatch
):
    own = await hospitals.own(pseudonym)
    monkeypatch.setattr(hospitals, "_others", hospitals._others | {"east": list(own)})
    who = consortium.people["east-physician"].id
    signed_in.who = principal(Kind.STAFF, who, "east", "registrar")
    bundle = await search(fhir, f"patient={pseudonym}&custodian=east")
    assert custodians(bundle) == ["east"] * 3
    assert records.asked == 1


async def test_staff_may_name_a_patient_as_their_own_records_do(
    fhir, signed_in, records, service, pseudonym
):
    service.subjects = {"Patient/f001": pseudonym}
    assert len(matches(await search(fhir, "patient=Patient/f001"))) == 5
    assert len(matches(await search(fhir, "subject=f001"))) == 5
    signed_in.who = principal(Kind.STAFF, "gao", "south", "physician")
    await search(fhir, "patient=Patient/f001", status=400)
    signed_in.who = principal(Kind.PATIENT, pseudonym)
    await search(fhir, "patient=Patient/f001", status=400)


async def test_who_speaks_for_a_patient_sees_what_she_sees_here(
    fhir, signed_in, records, pseudonym, monkeypatch
):
    guardian = "p-" + "9" * 32
    spoken = []

    async def speaks_for(_service, name, subject):
        spoken.append((name, subject))
        return (name, subject) == (guardian, pseudonym)

    monkeypatch.setattr("ledger.api.fhir.people.speaks_for", speaks_for)
    signed_in.who = principal(Kind.PATIENT, guardian)
    bundle = await search(fhir, f"patient={pseudonym}", headers={})
    assert custodians(bundle) == ["east"] * 3
    assert (await fhir.get(f"DocumentReference/{matches(bundle)[0]['id']}")).status_code == 200
    signed_in.who = principal(Kind.PATIENT, "p-" + "8" * 32)
    assert matches(await search(fhir, f"patient={pseudonym}", headers={})) == []
    assert spoken
