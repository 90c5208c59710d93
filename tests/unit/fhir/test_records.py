import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ledger
from ledger.chain.pointer import CONFIDENTIALITY, RECORD_CLASSES
from ledger.fhir import records
from ledger.fhir.times import OPEN_END, interval, period

EXAMPLES = Path(ledger.__file__).parent / "data" / "hl7-r4-examples"
DAY = 86_400_000
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONF = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"


def example(name):
    (path,) = EXAMPLES.glob(f"*/{name}.json")
    return records.parse_resource(path.read_bytes())


def labelled(*labels, **more):
    security = [{"system": system, "code": code} for system, code in labels]
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"},
            "meta": {"security": security}, **more}  # fmt: skip


# --- whose record ---


@pytest.mark.parametrize(
    ("resource", "subject"),
    [
        ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}}, "Patient/1"),
        ({"resourceType": "Immunization", "patient": {"reference": "Patient/1"}}, "Patient/1"),
        ({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/1"}}, "Patient/1"),
        ({"resourceType": "Task", "for": {"reference": "Patient/1/_history/3"}}, "Patient/1"),
        ({"resourceType": "Basic", "subject": {"reference": "http://h/Patient/1"}}, "http://h/Patient/1"),
        ({"resourceType": "Observation", "subject": {"reference": "Group/herd"}}, None),
        ({"resourceType": "Observation", "subject": {"display": "Pieter"}}, None),
        ({"resourceType": "Organization"}, None),
    ],
)  # fmt: skip
def test_a_record_belongs_to_the_patient_it_names(resource, subject):
    assert records.subject_of(resource) == subject


@pytest.mark.parametrize("kind", ["Patient", "Consent", "RelatedPerson", "Provenance", "Group"])
def test_who_people_are_and_what_they_consented_to_is_no_record(kind):
    resource = {"resourceType": kind, "patient": {"reference": "Patient/1"}}
    assert records.describe(resource) is None


def test_a_resource_of_two_patients_is_nobodys_record():
    resource = {"resourceType": "List", "subject": {"reference": "Patient/1"},
                "patient": {"reference": "Patient/2"}}  # fmt: skip
    assert records.describe(resource) is None


def test_a_bundle_belongs_to_the_patient_that_all_its_entries_agree_on():
    def bundle(*patients):
        entries = [{"resource": labelled(subject={"reference": patient})} for patient in patients]
        return {"resourceType": "Bundle", "entry": entries}

    assert records.subject_of(bundle("Patient/1", "Patient/1")) == "Patient/1"
    assert records.subject_of(bundle("Patient/1", "Patient/2")) is None
    assert records.subject_of(bundle("Patient/1", "urn:uuid:0")) is None
    assert records.subject_of(bundle()) is None


# --- class and type ---


@pytest.mark.parametrize(
    ("name", "kind", "type_text"),
    [
        ("Observation-f001", "laboratory", "http://loinc.org|15074-8"),
        ("Bundle-f001", "laboratory", "http://loinc.org|58410-2"),
        ("Observation-ekg", "ecg", "urn:oid:2.16.840.1.113883.6.24|131328"),
        ("DiagnosticReport-f201", "imaging", "http://snomed.info/sct|429858000"),
        ("DiagnosticReport-pap", "pathology", "http://loinc.org|47527-7"),
        ("Observation-blood-pressure", "other", "http://loinc.org|85354-9"),
        ("MedicationRequest-medrx0301", "prescription", ""),
        ("Composition-example", "note", "http://loinc.org|11488-4"),
        ("Claim-100150", "claim", "http://terminology.hl7.org/CodeSystem/claim-type|oral"),
    ],
)
def test_real_resources_get_their_class_and_type(name, kind, type_text):
    description = records.describe(example(name))
    assert (description.kind, description.type) == (kind, type_text)


def test_the_narrower_class_wins():
    codings = [{"system": SECTION, "code": code} for code in ("LAB", "PAT")]
    report = {"resourceType": "DiagnosticReport", "category": [{"coding": codings}]}
    assert records.classify(report) == "pathology"


def test_a_code_of_another_system_decides_nothing():
    report = {"resourceType": "DiagnosticReport", "category": [{"coding": [{"code": "LAB"}]}]}
    assert records.classify(report) == "other"


# --- confidentiality and labels ---


@pytest.mark.parametrize(
    ("labels", "confidentiality", "sensitivities"),
    [
        ([], "N", ()),
        ([(CONF, "L")], "N", ()),
        ([(CONF, "R")], "R", ()),
        ([(CONF, "N"), (CONF, "V")], "V", ()),
        ([(CONF, "HIV")], "R", ("HIV",)),
        ([(CONF, "S")], "V", ()),
        ([(ACT, "PSY"), (ACT, "HIV")], "R", ("HIV", "PSY")),
        ([(ACT, "PSY"), (CONF, "V")], "V", ("PSY",)),
        ([(ACT, "NORDSCLCD")], "N", ()),
        ([(ACT, "NEW")], "V", ()),
        ([(REASON, "HTEST")], "N", ()),
        ([("http://hospital.example/labels", "vip")], "V", ()),
        ([("", "R")], "V", ()),
    ],
)
def test_labels_raise_the_confidentiality_and_unknown_ones_raise_it_to_the_top(
    labels, confidentiality, sensitivities
):
    description = records.describe(labelled(*labels))
    assert (description.confidentiality, description.labels) == (confidentiality, sensitivities)


def test_a_label_without_a_code_counts_as_unknown():
    for security in ([{}], [5], [{"coding": []}], "secret"):
        assert records.describe(labelled(meta={"security": security})).confidentiality == "V"


def test_labels_count_wherever_they_stand():
    inner = labelled((ACT, "SUD"))
    contained = labelled(contained=[inner])
    bundle = {"resourceType": "Bundle", "entry": [{"resource": inner}]}
    document = {"resourceType": "DocumentReference", "subject": {"reference": "Patient/1"},
                "securityLabel": [{"coding": [{"system": ACT, "code": "SUD"}]}]}  # fmt: skip
    note = {"resourceType": "Composition", "subject": {"reference": "Patient/1"},
            "confidentiality": "R"}  # fmt: skip
    assert {
        records.describe(item).confidentiality for item in (contained, bundle, document, note)
    } == {"R"}


def test_the_one_stigmatising_label_of_the_examples_is_kept_off_the_level_text():
    description = records.describe(example("Condition-f202"))
    assert (description.confidentiality, description.labels) == ("R", ("TBOO",))
    assert records.describe(example("DocumentReference-example")).confidentiality == "V"


# --- time ---


@pytest.mark.parametrize(
    ("text", "first", "length"),
    [
        ("1970", 0, 365 * DAY),
        ("1972", 2 * 365 * DAY, 366 * DAY),
        ("2024-02", 1_706_745_600_000, 29 * DAY),
        ("2023-12", 1_701_388_800_000, 31 * DAY),
        ("2013-04-02", 1_364_860_800_000, DAY),
        ("2013-04-02T09:30:10+01:00", 1_364_891_410_000, 1000),
        ("2013-04-02T08:30:10Z", 1_364_891_410_000, 1000),
        ("2013-04-02T08:30Z", 1_364_891_400_000, 60_000),
        ("2013-04-02T08:30:10.25Z", 1_364_891_410_250, 1),
        ("2016-12-31T23:59:60Z", 1_483_228_799_000, 1000),
        ("9999-12-31", OPEN_END + 1 - DAY, DAY),
    ],
)
def test_a_partial_date_means_the_whole_of_it(text, first, length):
    assert interval(text) == (first, first + length - 1)


@pytest.mark.parametrize(
    "text",
    ["", "13-4-2", "2013-13", "2013-02-30", "2013-04-02T25:00:00Z", "2013-04-02T09:30:10", "0000",
     "2013-04-02 ", "２０１３", "2013-04-02T09:30:10+99:00", 2013, None, [], True],
)  # fmt: skip
def test_what_is_no_fhir_date_is_absent(text):
    assert interval(text) is None


def test_a_period_that_still_runs_has_no_end():
    assert period({"start": "2013"})[1] == OPEN_END
    assert period({"end": "1970"}) == (0, 365 * DAY - 1)
    assert period({"start": "2014", "end": "2013"}) == period(
        {"start": "2014", "end": "2014-01-01T00:00:00.000Z"}
    )
    assert period({}) is None


def test_a_running_period_ends_for_a_record_when_it_was_written():
    resource = {"effectivePeriod": {"start": "2013-04-02"}, "issued": "2013-04-03T10:00:00Z"}
    assert records.period_of(resource)[1] == interval("2013-04-03T10:00:00Z")[1]
    del resource["issued"]
    assert records.period_of(resource)[1] == OPEN_END


def test_what_happened_counts_before_what_was_written_down():
    resource = {"issued": "2020", "effectiveDateTime": "2013-04-02"}
    assert records.period_of(resource) == interval("2013-04-02")


def test_a_condition_lasts_until_it_abates():
    resource = {"onsetDateTime": "2013", "abatementDateTime": "2015"}
    assert records.period_of(resource) == (interval("2013")[0], interval("2015")[1])


def test_a_record_without_a_time_or_from_before_1970_is_undated():
    assert records.period_of({}) == (0, 0)
    assert records.period_of({"date": "1964-01-01"}) == (0, 0)
    assert records.period_of({"period": {"start": "1964", "end": "1970"}}) == (0, 365 * DAY - 1)


# --- makers, and the whole set ---


def test_the_maker_of_a_laboratory_result_is_found():
    assert records.makers_of(example("Observation-f001")) == ["Practitioner/f005"]
    assert records.makers_of(example("Bundle-f001"))[0] == "Organization/f001"
    assert records.makers_of(example("CoverageEligibilityResponse-E2500"))[0] == "Organization/2"


def test_all_hl7_examples_are_described_within_the_bounds_of_a_pointer():
    described = 0
    for path in EXAMPLES.glob("*/*.json"):
        description = records.describe(records.parse_resource(path.read_bytes()))
        if description is None:
            continue
        described += 1
        assert description.kind in RECORD_CLASSES
        assert description.confidentiality in CONFIDENTIALITY
        assert 0 <= description.start <= description.end
    assert described == 366


def test_the_vendored_set_is_what_its_manifest_says():
    import hashlib

    manifest = json.loads((EXAMPLES / "manifest.json").read_bytes())
    there = {
        path.relative_to(EXAMPLES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in EXAMPLES.glob("*/*.json")
    }
    assert there == manifest["files"]
    assert sum(manifest["datasets"].values()) == manifest["resources"] == len(there)


NAMES = st.sampled_from(
    ["resourceType", "subject", "patient", "reference", "meta", "security", "coding", "code",
     "system", "category", "entry", "resource", "contained", "period", "start", "end", "issued",
     "onsetPeriod", "context", "performer", "actor", "securityLabel", "confidentiality"]
)  # fmt: skip
TEXTS = st.sampled_from(["Bundle", "Observation", "Composition", "Patient/1", "2013-04", "R", ACT])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)


@given(fields=st.dictionaries(NAMES, JSON, max_size=8), kind=TEXTS)
@settings(max_examples=300)
def test_any_json_that_claims_to_be_a_resource_is_described_or_left_without_an_error(fields, kind):
    resource = records.parse_resource(json.dumps({**fields, "resourceType": kind}).encode())
    description = records.describe(resource)
    records.makers_of(resource)
    list(records.attachments_of(resource))
    if description is not None:
        assert 0 <= description.start <= description.end
        assert description.confidentiality in CONFIDENTIALITY


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"resourceType": 5}', b"\xff", b"[" * 100_000, b"{"]
)
def test_bytes_that_are_no_resource_are_refused(content):
    with pytest.raises(records.InvalidResource):
        records.parse_resource(content)


def test_a_part_whose_type_is_no_text_does_not_stop_the_reading():
    part = {"resourceType": [], "subject": {"reference": "Patient/1"}}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": part}]}

    description = records.describe(bundle)

    assert description is not None
    assert description.subject == "Patient/1"
