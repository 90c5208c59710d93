"""Who sees which events, and that looking at those of others is itself an event."""

from __future__ import annotations

import json

import pytest

from ledger.api.principal import Kind
from ledger.chain.codec import decode_value, encode
from ledger.client.builder import Account, build, call
from tests.support import balp
from tests.support.fhir import principal
from tests.support.fhir_models import R5, validate
from tests.support.fhir_sources import record
from tests.support.signin import Clock, Issuer, make_signin

TREAT = {"Ledger-Purpose": "TREAT"}
BREAK = {
    "Ledger-Purpose": "BTG", "Ledger-Emergency": "unconscious", "Ledger-Note": "ab" * 32,
}  # fmt: skip
AUDITOR = principal(Kind.STAFF, "aud", "commission", "auditor")


@pytest.fixture
def signin(service, signed_in, tmp_path):
    clock = Clock()
    made = make_signin(service, tmp_path, Issuer(clock), clock=clock)
    signed_in._app.state.signin = made
    yield made
    made.close()


async def act(service, account, *calls):
    made = build(service.chain, service.head().height, 100, list(calls), [account])
    await service.submit([made.raw])
    await service.wait(made.id, 1)
    outcome = service.outcome(made.id)
    assert outcome is not None
    assert outcome[2].ok, outcome


@pytest.fixture
async def story(
    fhir, service, signin, hospitals, consortium, consent, patient, pseudonym, tmp_path, physician
):
    """A consent; an enquiry, a permit that is handed over and received; the consent withdrawn, a
    denial, and a broken glass. Then somebody at South asks about another patient."""
    service.keep_lists(tmp_path / "lists.db")
    (shown,) = await hospitals.anchor("south", pseudonym, [record("718-7")])
    await service.submit([consent("c-1").raw])
    await service.commit()
    await fhir.get(f"DocumentReference?patient={pseudonym}&custodian=south", headers=TREAT)
    name = shown.pointer.name().hex()
    permit = (await fhir.get(f"Binary/{name}", headers=TREAT)).headers["ledger-decision"]
    digest = shown.pointer.digest
    south = Account(consortium.nodes["south-1"])
    await act(service, south, call("access", "release", request=permit, digest=digest))
    receipt = call("access", "receipt", request=permit, digest=digest, matches=True)
    await act(service, consortium.account("east-physician"), receipt)
    await act(service, patient, call("consent", "withdraw", id="c-1"))
    denial = (await fhir.get(f"Binary/{name}", headers=TREAT)).headers["ledger-decision"]
    glass = (await fhir.get(f"Binary/{name}", headers=BREAK)).headers["ledger-decision"]
    roel = consortium.people["patient-roel"].id
    ask = call(
        "enquiry", "ask", subject=roel, purpose="TREAT", institution="south", reply_key=b"k" * 32
    )
    await act(service, consortium.account("south-physician"), ask)
    return {"record": name, "permit": permit, "denial": denial, "glass": glass}


async def search(fhir, query="", status=200):
    answer = await fhir.get(f"AuditEvent?{query}")
    assert answer.status_code == status, answer.text
    bundle = answer.json()
    validate(bundle)
    return bundle


def events(bundle):
    found = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
    for event in found:
        validate(event)
        balp.check(event)
    return found


def kinds(found):
    """Type and subtype of events, as one word each."""
    return [f"{e['type']['code']} {e['subtype'][0]['code']}" for e in found]


MINE = [
    "110113 110127", "110113 AuthZ-Role", "110113 AuthZ-Role", "110107 disclose",
    "110106 disclose", "110113 AuthZ-Consent", "rest search",
]  # fmt: skip


async def test_a_patient_sees_everything_that_was_done_with_her_records_and_consents(
    fhir, signed_in, story, herself, physician
):
    signed_in.who = herself
    found = events(await search(fhir))
    assert sorted(kinds(found)) == sorted([*MINE, "rest create", "rest update"])
    # Newest first by when it was asked for; what followed stands beside it.
    followed = ("disclose", "update")
    asked = [e["recorded"] for e in found if e["subtype"][0]["code"] not in followed]
    assert asked == sorted(asked, reverse=True)
    claimed = sorted(name for name in map(balp.claimed, found) if name)
    assert claimed == [
        "AuthZconsent", "PatientCreate", "PatientQuery", "PatientUpdate",
        "PrivacyDisclosure.Recipient", "PrivacyDisclosure.Source",
    ]  # fmt: skip
    whole = json.dumps(found)
    assert physician.id in whole
    assert story["denial"] in whole


async def test_two_patients_see_each_their_own_and_no_count_of_the_other(
    fhir, signed_in, story, herself, consortium
):
    signed_in.who = herself
    hers = events(await search(fhir, "_count=1"))
    signed_in.who = principal(Kind.PATIENT, consortium.people["patient-roel"].id)
    bundle = await search(fhir, "_count=1")
    his = events(bundle)
    assert kinds(his) == ["rest search"]
    assert "total" not in bundle
    for event in hers:
        assert (await fhir.get(f"AuditEvent/{event['id']}")).status_code == 404
    await search(fhir, f"patient={herself.id}", status=403)


async def test_a_physician_sees_what_she_did_herself(fhir, signed_in, story, physician):
    found = events(await search(fhir))
    assert sorted(kinds(found)) == sorted(MINE)
    signed_in.who = principal(Kind.STAFF, "somebody", "east", "physician")
    assert events(await search(fhir)) == []


async def test_a_privacy_officer_sees_what_concerns_the_institution_and_is_written_down(
    fhir, signed_in, story, signin
):
    officer = principal(Kind.STAFF, "officer", "south", "records-officer")
    signed_in.who = officer
    found = events(await search(fhir))
    # South as the holder of what East asked for, and as the one who asked about another patient.
    assert "110106 disclose" in kinds(found)
    assert kinds(found).count("rest search") == 1
    entries = [each for each in signin.journal.entries() if each["event"] == "audit-read"]
    assert [each["who"] for each in entries] == ["officer"]
    assert entries[0]["what"] == "AuditEvent?"
    signed_in.who = principal(Kind.STAFF, "officer", "north", "records-officer")
    assert events(await search(fhir)) == []


async def test_an_institution_s_own_system_may_read_what_concerns_it(fhir, signed_in, story):
    signed_in.who = principal(Kind.SYSTEM, "repository", "south")
    assert "110106 disclose" in kinds(events(await search(fhir)))


async def test_an_auditor_sees_all_about_whom_she_names_and_must_name_somebody(
    fhir, signed_in, story, pseudonym, physician, signin
):
    signed_in.who = AUDITOR
    await search(fhir, status=400)
    about = events(await search(fhir, f"patient={pseudonym}"))
    assert sorted(kinds(about)) == sorted([*MINE, "rest create", "rest update"])
    by = events(await search(fhir, f"agent=Practitioner/{physician.id}"))
    assert sorted(kinds(by)) == sorted(MINE)
    at = events(await search(fhir, "agent=Organization/south"))
    assert "rest search" in kinds(at)
    looked = [each["what"] for each in signin.journal.entries() if each["event"] == "audit-read"]
    assert looked == [
        f"AuditEvent?patient={pseudonym}", f"AuditEvent?agent=Practitioner/{physician.id}",
        "AuditEvent?agent=Organization/south",
    ]  # fmt: skip


async def test_reading_the_audit_log_is_an_event_of_who_read_it(
    fhir, signed_in, story, pseudonym, signin
):
    signed_in.who = AUDITOR
    await search(fhir, f"patient={pseudonym}")
    signed_in.who = principal(Kind.STAFF, "aud", "commission", "physician")
    found = events(await search(fhir, "type=110101"))
    assert [e["agent"][0]["who"]["identifier"]["value"] for e in found] == ["aud"]
    again = await fhir.get(f"AuditEvent/{found[0]['id']}")
    assert again.json() == found[0]
    signed_in.who = principal(Kind.STAFF, "somebody", "east", "physician")
    assert (await fhir.get(f"AuditEvent/{found[0]['id']}")).status_code == 404


async def test_a_sign_in_is_an_event_of_who_signed_in(fhir, signed_in, story, signin, physician):
    signin.note("signed-in", physician, address="192.0.2.1")
    found = events(await search(fhir, "type=110114"))
    assert kinds(found) == ["110114 110122"]
    assert found[0]["agent"][0]["network"]["address"] == "192.0.2.1"


async def test_every_event_of_a_search_can_be_read_by_its_id(fhir, signed_in, story, herself):
    signed_in.who = herself
    for event in events(await search(fhir)):
        answer = await fhir.get(f"AuditEvent/{event['id']}")
        assert answer.status_code == 200, event["id"]
        assert answer.json() == event


async def test_pages_give_everything_once_whatever_their_size(fhir, signed_in, story, herself):
    signed_in.who = herself
    whole = [event["id"] for event in events(await search(fhir))]
    for count in (1, 2, 4):
        bundle, found = await search(fhir, f"_count={count}"), []
        while True:
            found += [event["id"] for event in events(bundle)]
            more = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not more:
                break
            bundle = (await fhir.get(more[0])).json()
        assert found == whole


async def test_what_comes_after_a_page_was_shown_does_not_shift_the_next(
    fhir, signed_in, story, herself, physician, signin
):
    signed_in.who = herself
    for _ in range(3):
        signin.note("signed-in", herself)
    bundle = await search(fhir, "_count=3")
    first = [event["id"] for event in events(bundle)]
    signin.note("signed-in", herself)
    signed_in.who = physician
    await fhir.get(f"Binary/{story['record']}", headers=TREAT)
    signed_in.who = herself
    rest = []
    while more := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
        bundle = (await fhir.get(more[0])).json()
        rest += [event["id"] for event in events(bundle)]
    assert not set(first) & set(rest)
    assert len(first) + len(rest) == 9 + 3


SELECTIONS = [
    ("outcome=8", 1), ("outcome=0", 8), ("action=R", 1), ("action=E", 5),
    ("type=110106", 1), ("type=http://dicom.nema.org/resources/ontology/DCM|110113", 4),
    ("subtype=110127", 1), ("subtype=disclose", 2), ("purpose=BTG", 2),
    ("entity=DocumentReference/{record}", 4), ("entity=Consent/c-1", 3),
    ("entity.identifier=c-1", 3), ("entity-type=1", 9), ("entity-role=24", 1),
    ("agent-role=physician", 5), ("source.identifier=south", 1), ("source.identifier=east", 1),
    ("date=ge2020", 9), ("date=lt2020", 0), ("date=2020", 0), ("_lastUpdated=gt2020", 9),
    ("agent=Organization/south", 2), ("patient.identifier={patient}", 9),
]  # fmt: skip


async def test_every_parameter_selects(fhir, signed_in, story, herself):
    signed_in.who = herself
    found = {}
    for query, _ in SELECTIONS:
        asked = query.format(record=story["record"], patient=herself.id)
        found[query] = len(events(await search(fhir, asked)))
    assert found == dict(SELECTIONS)


async def test_a_denial_says_the_rule_and_the_path(fhir, story, service):
    (event,) = events(await search(fhir, "outcome=8"))
    raw = service.state(f"access/decisions/{story['denial']}".encode())
    decision = decode_value(raw, limit=1 << 20)
    assert event["outcomeDesc"] == f"deny: {decision['rule']}"
    details = {d["type"] for e in event["entity"] for d in e.get("detail", ())}
    assert {"decision", "rule", "said", "asked", "height"} <= details


async def test_what_a_duty_has_told_later_is_no_event_of_hers_until_then(
    fhir, signed_in, story, service, herself, monkeypatch
):
    """The state says of a sealed decision that it has no number in her log."""
    key = f"access/decisions/{story['permit']}".encode()
    sealed = decode_value(service.state(key), limit=1 << 20) | {"entry": None}
    state = service.state
    monkeypatch.setattr(
        service, "state", lambda k, h=None: encode(sealed) if k == key else state(k, h)
    )
    signed_in.who = herself
    (permit,) = events(await search(fhir, "subtype=AuthZ-Consent"))
    assert (await fhir.get(f"AuditEvent/{permit['id']}")).status_code == 404
    signed_in.who = AUDITOR
    assert (await fhir.get(f"AuditEvent/{permit['id']}")).status_code == 200


@pytest.mark.parametrize(
    "name", ["x", "d.aaaa", "d." + "a" * 55, "l.0", "l.999999", "g." + "a" * 52]
)
async def test_an_id_of_nothing_is_not_found(fhir, story, name):
    assert (await fhir.get(f"AuditEvent/{name}")).status_code == 404


async def test_all_of_it_in_r5(fhir, signed_in, story, herself):
    signed_in.who = herself
    accept = {"Accept": "application/fhir+json; fhirVersion=5.0"}
    bundle = (await fhir.get("AuditEvent", headers=accept)).json()
    found = [entry["resource"] for entry in bundle["entry"]]
    assert len(found) == 9
    for event in found:
        validate(event, R5)
        assert event["patient"]["identifier"]["value"] == herself.id


async def test_a_node_without_lists_says_so(fhir, service, signed_in, herself):
    signed_in.who = herself
    answer = await fhir.get("AuditEvent")
    assert answer.status_code == 503
    validate(answer.json())


async def test_who_speaks_for_a_patient_sees_her_events_and_is_written_down(
    fhir, signed_in, story, pseudonym, signin, monkeypatch
):
    guardian = "p-" + "9" * 32

    async def speaks_for(_service, name, subject):
        return (name, subject) == (guardian, pseudonym)

    monkeypatch.setattr("ledger.api.fhir.people.speaks_for", speaks_for)
    signed_in.who = principal(Kind.PATIENT, guardian)
    found = events(await search(fhir, f"patient={pseudonym}"))
    assert sorted(kinds(found)) == sorted([*MINE, "rest create", "rest update"])
    for event in found:
        assert (await fhir.get(f"AuditEvent/{event['id']}")).json() == event
    readers = {e["who"] for e in signin.journal.entries() if e["event"] == "audit-read"}
    assert readers == {guardian}
    signed_in.who = principal(Kind.PATIENT, "p-" + "8" * 32)
    await search(fhir, f"patient={pseudonym}", status=403)
    assert (await fhir.get(f"AuditEvent/{found[0]['id']}")).status_code == 404
