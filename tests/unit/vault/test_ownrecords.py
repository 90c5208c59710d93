"""What a holder can open of its own pointers, and what it does not give away."""

from __future__ import annotations

import json

import pytest

from ledger.chain.pointer import record_digest
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.ownrecords import OwnRecords
from ledger.node.vault.vault import Vault

SUBJECT = "p-" + "1" * 32
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
CONTENT = json.dumps(
    {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "meta": {"security": [LABEL]},
        "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
    }
).encode()


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "records"
    root.mkdir()
    (root / "a.json").write_bytes(CONTENT)
    return root


@pytest.fixture
def vault(tmp_path, source):
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(source))
    vault.take_in({"Patient/1": SUBJECT}, "east", now=1_700_000_000_000)
    yield vault
    vault.close()


@pytest.fixture
def own(vault):
    for batch in vault.batches():
        vault.anchored(batch.root, 5)
    return OwnRecords(vault)


def name_of(own):
    (shown,) = own.of(SUBJECT)
    return shown.pointer.name()


def test_the_holder_opens_type_labels_and_salt_of_its_own_record(own):
    name = name_of(own)
    opening = own.opening(name)
    assert opening.type == "http://loinc.org|15074-8"
    assert opening.labels == ("PSY",)
    assert record_digest(opening.salt, CONTENT) == own.record(name).pointer.digest
    assert own.unchanged(name) == CONTENT


def test_what_the_source_no_longer_gives_is_not_opened_by_guesswork(own, source):
    name = name_of(own)
    (source / "a.json").write_bytes(CONTENT.replace(b"PSY", b"HIV"))
    assert own.opening(name)[:2] == ("", ())
    assert own.unchanged(name) is None
    (source / "a.json").unlink()
    assert own.opening(name)[:2] == ("", ())


def test_there_is_nothing_of_a_record_that_is_not_here_or_not_anchored(vault):
    loose = next(vault.entries()).pointer.name()
    own = OwnRecords(vault)
    assert own.record(loose) is None
    for name in (b"\0" * 32, b""):
        assert own.record(name) is own.opening(name) is own.unchanged(name) is None


def test_a_record_that_was_replaced_still_has_its_pointer(own, vault, source):
    name = name_of(own)
    (source / "a.json").write_bytes(CONTENT.replace(b"15074-8", b"2339-0"))
    vault.take_in({"Patient/1": SUBJECT}, "east", now=1_700_000_000_001)
    assert own.record(name).pointer.name() == name


def test_a_study_is_not_read_into_memory_to_say_what_it_is(own, monkeypatch):
    monkeypatch.setattr("ledger.node.vault.ownrecords.MAX_READ", len(CONTENT) - 1)
    assert own.opening(name_of(own)).type == ""
