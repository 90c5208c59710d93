import json
import stat
from pathlib import Path

import pytest

import ledger
from ledger.chain import merkle
from ledger.chain.pointer import commitment
from ledger.chain.tokens import LabelKey, tokens_root
from ledger.node.vault.attachments import audit_attachments
from ledger.node.vault.connector import DirectoryConnector, RecordUnavailable
from ledger.node.vault.opened import RecordAltered
from ledger.node.vault.tables import VaultUnusable
from ledger.node.vault.vault import Vault

SUBJECTS = {"Patient/1": "p-" + "1" * 32, "Patient/2": "p-" + "2" * 32}
ONE, TWO = SUBJECTS.values()
EXAMPLES = Path(ledger.__file__).parent / "data" / "hl7-r4-examples"


def observation(patient="1", value=5.4, **more):
    return json.dumps(
        {"resourceType": "Observation", "subject": {"reference": f"Patient/{patient}"},
         "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                   "code": "laboratory"}]}],
         "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
         "effectiveDateTime": "2013-04-02", "valueQuantity": {"value": value}, **more}
    ).encode()  # fmt: skip


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "records"
    root.mkdir()
    (root / "a.json").write_bytes(observation())
    (root / "b.json").write_bytes(observation(value=6.1))
    (root / "c.json").write_bytes(observation(patient="2"))
    return root


@pytest.fixture
def vault(tmp_path, source):
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(source))
    yield vault
    vault.close()


def content(vault, entry):
    with vault.retrieve(entry) as record:
        return b"".join(record.pieces())


def take(vault):
    return vault.take_in(SUBJECTS, "east", now=1_700_000_000_000)


def anchor(vault, height=5, size=1000):
    batches = vault.batches(size)
    for batch in batches:
        vault.anchored(batch.root, height)
    return batches


def test_every_record_of_a_known_patient_gets_a_pointer(vault):
    report = take(vault)
    assert (report.new, report.changed, report.unchanged, report.problems) == (3, 0, 0, [])
    entry = next(entry for entry in vault.entries() if entry.source == "a.json")
    pointer = entry.pointer
    assert (pointer.holder, pointer.subject, pointer.kind) == ("east", ONE, "laboratory")
    assert (pointer.start, pointer.end) == (1_364_860_800_000, 1_364_947_199_999)
    assert pointer.size == len(observation())
    assert pointer.type == commitment(entry.salts.type, "http://loinc.org|15074-8")
    assert pointer.labels == commitment(entry.salts.labels, "")
    assert vault.lookup(pointer.name()) == entry


def test_nothing_in_a_pointer_is_the_same_for_two_equal_records(vault, source):
    (source / "d.json").write_bytes(observation())
    take(vault)
    first, second = (
        entry.pointer for entry in vault.entries() if entry.source in ("a.json", "d.json")
    )
    assert first.digest != second.digest
    assert first.type != second.type
    assert first.labels != second.labels


def test_taking_in_twice_anchors_nothing_twice(vault):
    take(vault)
    first = vault.batches()
    assert first == vault.batches()
    assert [batch.size for batch in first] == [3]
    vault.anchored(first[0].root, 7)
    again = take(vault)
    assert (again.new, again.changed, again.unchanged) == (0, 0, 3)
    assert vault.batches() == []
    vault.anchored(first[0].root, 9)
    entry = next(vault.entries())
    assert entry.height == 7


def test_a_vault_that_was_closed_goes_on_where_it_was(vault, tmp_path, source):
    take(vault)
    waiting = vault.batches(2)
    vault.close()
    again = Vault.open(tmp_path / "vault.db", DirectoryConnector(source))
    assert again.batches(2) == waiting
    assert again.take_in(SUBJECTS, "east", now=0).unchanged == 3
    again.close()


def test_a_pass_that_was_broken_off_is_completed_by_the_next(vault, monkeypatch):
    monkeypatch.setattr("ledger.node.vault.intake.CHUNK", 1)

    class Stopped(Exception):
        pass

    def stop_at_second(report):
        if report.seen == 2:
            raise Stopped

    with pytest.raises(Stopped):
        vault.take_in(SUBJECTS, "east", now=0, progress=stop_at_second)
    assert vault.count() == 2
    report = take(vault)
    assert (report.new, report.unchanged) == (1, 2)


def test_each_pointer_of_a_subject_comes_with_a_proof_under_its_anchored_root(vault):
    take(vault)
    assert vault.pointers_of(ONE) == []
    batches = {batch.root: batch.size for batch in anchor(vault, size=2)}
    found = vault.pointers_of(ONE)
    assert len(found) == 2
    for pointer, proof, _labels in found:
        assert pointer.subject == ONE
        assert batches[proof["root"]] == proof["size"]
        root = merkle.root_from_inclusion(
            pointer.name(), proof["index"], proof["size"], tuple(proof["path"])
        )
        assert root == proof["root"]
        assert vault.proof_of(pointer.name()) == proof
    assert len(vault.pointers_of(TWO)) == 1
    assert vault.pointers_of("p-" + "9" * 32) == []


def test_a_changed_record_gets_a_pointer_that_replaces_the_old_one(vault, source):
    take(vault)
    anchor(vault)
    old = next(entry for entry in vault.entries() if entry.source == "a.json")
    (source / "a.json").write_bytes(observation(value=5.5))
    report = take(vault)
    assert (report.new, report.changed, report.unchanged) == (0, 1, 2)
    new = next(entry for entry in vault.entries() if entry.source == "a.json")
    assert new.pointer.replaces == old.name
    assert vault.supersessions() == []
    anchor(vault, height=9)
    assert [each[1:] for each in vault.supersessions()] == [(old.name, new.name)]
    vault.announced(old.name)
    assert vault.supersessions() == []
    assert new.pointer in [pointer for pointer, *_ in vault.pointers_of(ONE)]
    assert old.pointer not in [pointer for pointer, *_ in vault.pointers_of(ONE)]
    with pytest.raises(RecordUnavailable):
        content(vault, vault.lookup(old.name))


def test_a_record_that_was_changed_twice_is_superseded_step_by_step(vault, source):
    take(vault)
    for value in (7, 8):
        (source / "a.json").write_bytes(observation(value=value))
        take(vault)
    anchor(vault)
    pairs = [each[1:] for each in vault.supersessions()]
    assert len(pairs) == 2
    assert pairs[0][1] == pairs[1][0]


def test_an_altered_file_is_noticed_and_not_served(vault, source):
    take(vault)
    entry = next(entry for entry in vault.entries() if entry.source == "a.json")
    assert content(vault, entry) == observation()
    assert vault.verify() == []
    (source / "a.json").write_bytes(observation(value=5.5))
    with pytest.raises(RecordAltered):
        content(vault, entry)
    (finding,) = vault.verify()
    assert (finding.name, finding.what) == (entry.name, "altered")


def test_a_file_that_is_gone_is_a_finding_and_counted_as_missing(vault, source):
    take(vault)
    (source / "a.json").unlink()
    (finding,) = vault.verify()
    assert finding.what == "missing"
    assert take(vault).missing == 1


def test_bad_files_are_reported_and_the_others_taken_in(vault, source):
    (source / "broken.json").write_bytes(b'{"resourceType": "Obs')
    (source / "list.json").write_bytes(b"[]")
    (source / "deep.json").write_bytes(b"[" * 100_000)
    (source / "stray.json").write_bytes(observation(patient="77"))
    (source / "org.json").write_bytes(b'{"resourceType": "Organization"}')
    report = take(vault)
    assert report.new == 3
    assert {problem.id for problem in report.problems} == {"broken.json", "list.json", "deep.json"}
    assert (report.no_subject, report.no_record) == (1, 1)
    assert report.seen == 8


def test_a_scan_belongs_to_the_patient_of_the_document_that_names_it(vault, source):
    (source / "scan.pdf").write_bytes(b"%PDF-1.7 scan")
    (source / "stray.pdf").write_bytes(b"%PDF-1.7 stray")
    (source / "scan-about.json").write_bytes(
        json.dumps(
            {"resourceType": "DocumentReference", "subject": {"reference": "Patient/2"},
             "type": {"coding": [{"system": "http://loinc.org", "code": "11526-1"}]},
             "content": [{"attachment": {"contentType": "application/pdf", "url": "scan.pdf"}}]}
        ).encode()
    )  # fmt: skip
    report = take(vault)
    assert [problem.id for problem in report.problems] == ["stray.pdf"]
    entry = next(entry for entry in vault.entries() if entry.source == "scan.pdf")
    assert (entry.pointer.subject, entry.pointer.kind) == (TWO, "pathology")
    assert entry.pointer.media == "application/pdf"
    assert content(vault, entry) == b"%PDF-1.7 scan"


def test_progress_is_told_as_records_are_seen(vault):
    seen = []
    vault.take_in(SUBJECTS, "east", now=0, progress=lambda report: seen.append(report.seen))
    assert seen == [3, 3]


def test_only_the_owner_can_read_the_vault_file(vault, tmp_path):
    take(vault)
    for path in tmp_path.glob("vault.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_vault_is_refused(tmp_path, source):
    (tmp_path / "other.db").write_bytes(b"not a database" * 100)
    with pytest.raises(VaultUnusable):
        Vault.open(tmp_path / "other.db", DirectoryConnector(source))


def test_an_unknown_name_is_nobodys_record(vault):
    assert vault.lookup(bytes(32)) is None
    assert vault.proof_of(bytes(32)) is None
    assert vault.batches() == []


def test_no_hash_in_the_hl7_examples_verifies():
    audits = [
        audit_attachments(DirectoryConnector(path)) for path in EXAMPLES.iterdir() if path.is_dir()
    ]
    assert sum(audit.hashes for audit in audits) == 5
    assert sum(audit.verified for audit in audits) == 0
    assert sum(audit.unverifiable for audit in audits) == 1
    assert sum(len(audit.junk) for audit in audits) == 4


def test_a_good_attachment_hash_verifies(source):
    (source / "note.json").write_bytes(
        json.dumps(
            {"resourceType": "DocumentReference", "content": [{"attachment": {
                "contentType": "text/plain", "data": "SGVsbG8=",
                "hash": "9/+ei3uy4Jtwk1pdeF4MxdnQq/A="}}]}
        ).encode()
    )  # fmt: skip
    audit = audit_attachments(DirectoryConnector(source))
    assert (audit.hashes, audit.verified, audit.junk) == (1, 1, [])


def test_the_examples_of_a_hospital_are_taken_in_for_its_patients(tmp_path):
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(EXAMPLES / "burgers"))
    report = vault.take_in({"Patient/f001": ONE}, "east", now=0)
    assert report.problems == []
    assert report.new == 22
    kinds = [entry.pointer.kind for entry in vault.entries()]
    assert kinds.count("laboratory") == 7
    vault.close()


KEY = LabelKey(b"k" * 32)
PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


def test_labels_become_tokens_under_the_key_of_the_patient(vault, source):
    (source / "a.json").write_bytes(observation(meta={"security": [PSY]}))
    vault.take_in(SUBJECTS, "east", now=0, label_keys={ONE: KEY})
    anchor(vault)
    shown = {item.pointer.size: item for item in vault.pointers_of(ONE)}
    psychiatric, plain = shown[max(shown)], shown[min(shown)]
    assert psychiatric.pointer.confidentiality == "R"
    assert {KEY.label("PSY"), KEY.label("SPI")} <= set(psychiatric.labels)
    assert not {KEY.label("PSY"), KEY.label("SPI")} & set(plain.labels)
    for item in shown.values():
        assert {
            KEY.code("http://loinc.org", "15074-8"),
            KEY.code("http://hl7.org/fhir/resource-types", "Observation"),
        } <= set(item.labels)
        assert tokens_root(item.labels) == item.pointer.labels
    (closed,) = vault.pointers_of(TWO)
    assert closed.labels == ()


def test_a_label_key_that_comes_later_gives_new_pointers_once(vault):
    take(vault)
    anchor(vault)
    first = vault.take_in(SUBJECTS, "east", now=0, label_keys={ONE: KEY})
    assert (first.changed, first.unchanged) == (2, 1)
    anchor(vault)
    assert len(vault.supersessions()) == 2
    again = vault.take_in(SUBJECTS, "east", now=0, label_keys={ONE: KEY})
    assert (again.new, again.changed, again.unchanged) == (0, 0, 3)
    assert all(item.labels for item in vault.pointers_of(ONE))
