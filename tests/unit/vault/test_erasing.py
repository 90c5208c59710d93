"""A record that was destroyed cannot be given out, recognised or taken in again, by anybody."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.chain import merkle
from ledger.chain.pointer import SALT_SIZE, Pointer, commitment, record_digest
from ledger.chain.tokens import LabelKey
from ledger.node.vault.connector import DirectoryConnector, RecordUnavailable
from ledger.node.vault.kept import Kept, copies_id
from ledger.node.vault.keysafe import KEYS_FILE, OVERHEAD, KeySafe
from ledger.node.vault.taking import ERASED
from ledger.node.vault.vault import Vault
from tests.unit.vault.test_vault import ONE, SUBJECTS, observation

NOW = 1_700_000_000_000
KEYS = {ONE: LabelKey(bytes(range(32)))}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "records"
    root.mkdir()
    for number in range(5):
        (root / f"{number}.json").write_bytes(observation(value=number))
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "vault"
    place.mkdir()
    return place


@pytest.fixture
def vault(home: Path, source: Path) -> Iterator[Vault]:
    vault = opened(home, source)
    yield vault
    vault.close()


def opened(home: Path, source: Path) -> Vault:
    vault = Vault.open(home / "vault.db", DirectoryConnector(source, settled=0))
    vault.take_in(SUBJECTS, "east", NOW, label_keys=KEYS)
    for batch in vault.batches():
        vault.anchored(batch.root, 5)
    return vault


def pointers(vault: Vault) -> dict[str, Pointer]:
    return {entry.source: entry.pointer for entry in vault.entries()}


def test_it_is_neither_given_out_nor_shown_and_the_others_are(vault: Vault) -> None:
    before = pointers(vault)
    gone = before["2.json"]
    assert vault.erase(gone.name(), NOW) == (gone.name(),)
    assert vault.lookup(gone.name()) is None
    assert vault.proof_of(gone.name()) is None
    shown = vault.pointers_of(ONE)
    assert {one.pointer.name() for one in shown} == {
        pointer.name() for source, pointer in before.items() if source != "2.json"
    }
    # The batch is as it was: the others still lead to the root that is on the chain.
    for one in shown:
        index, size = one.proof["index"], one.proof["size"]
        path = one.proof["path"]
        leaf = merkle.leaf_hash(one.pointer.leaf())
        assert merkle.root_from_inclusion(leaf, index, size, path) == one.proof["root"]
        entry = vault.lookup(one.pointer.name())
        assert entry is not None
        vault.retrieve(entry).close()


def test_it_is_not_taken_in_again_and_that_it_is_still_there_is_said(
    vault: Vault, source: Path
) -> None:
    gone = pointers(vault)["2.json"]
    vault.erase(gone.name(), NOW)
    for content in (None, observation(value=77)):
        if content is not None:
            (source / "2.json").write_bytes(content)
        report = vault.take_in(SUBJECTS, "east", NOW + 1, label_keys=KEYS)
        assert (report.new, report.changed) == (0, 0)
        assert [(one.id, one.reason) for one in report.problems] == [("2.json", ERASED)]
    (source / "2.json").unlink()
    assert vault.take_in(SUBJECTS, "east", NOW + 2, label_keys=KEYS).problems == []
    assert vault.batches() == []


def test_all_versions_go_together_and_a_second_time_changes_nothing(
    vault: Vault, source: Path
) -> None:
    first = pointers(vault)["3.json"]
    (source / "3.json").write_bytes(observation(value=8))
    vault.take_in(SUBJECTS, "east", NOW + 1, label_keys=KEYS)
    second = pointers(vault)["3.json"]
    names = (first.name(), second.name())
    assert vault.erase(first.name(), NOW) == names
    assert vault.lookup(second.name()) is None
    assert vault.erase(second.name(), NOW + 5) == names
    assert vault.supersessions() == []
    assert vault.erase(bytes(32), NOW) == ()


def windows(home: Path) -> set[bytes]:
    """Everything in the files that could be a salt."""
    found = set()
    for path in home.iterdir():
        raw = path.read_bytes()
        found |= {raw[at : at + SALT_SIZE] for at in range(len(raw) - SALT_SIZE + 1)}
    return found


def test_without_the_key_a_pointer_says_nothing_even_to_who_knows_the_record(
    vault: Vault, home: Path, tmp_path: Path
) -> None:
    entry = next(entry for entry in vault.entries() if entry.source == "2.json")
    pointer, content = entry.pointer, observation(value=2)
    # Who has the salts recognises it: the exact bytes, the type, and with the key the labels.
    assert record_digest(entry.salts.digest, content) == pointer.digest
    assert commitment(entry.salts.type, "http://loinc.org|15074-8") == pointer.type
    backup = tmp_path / "backup"
    with closing(sqlite3.connect(home / "vault.db")) as running:
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, backup, ignore=shutil.ignore_patterns(f"{KEYS_FILE}*"))
    vault.erase(pointer.name(), NOW)
    vault.close()
    for place in (home, backup):
        for salt in windows(place):
            assert record_digest(salt, content) != pointer.digest
            assert commitment(salt, "http://loinc.org|15074-8") != pointer.type


def test_a_backup_of_the_vault_opens_nothing_that_was_destroyed_since(
    vault: Vault, home: Path, source: Path, tmp_path: Path
) -> None:
    before = pointers(vault)
    with closing(sqlite3.connect(home / "vault.db")) as running:
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home / "vault.db", tmp_path / "copy.db")
    vault.erase(before["2.json"].name(), NOW)
    vault.close()
    shutil.copy(tmp_path / "copy.db", home / "vault.db")
    for side in home.glob("vault.db-*"):
        side.unlink()
    restored = Vault.open(home / "vault.db", DirectoryConnector(source, settled=0))
    assert restored.lookup(before["2.json"].name()) is None
    assert restored.lookup(before["1.json"].name()) is not None
    restored.close()


def test_keys_that_come_back_from_a_copy_are_destroyed_again(
    vault: Vault, home: Path, source: Path, tmp_path: Path
) -> None:
    gone = pointers(vault)["2.json"]
    with closing(sqlite3.connect(home / KEYS_FILE)) as running:
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home / KEYS_FILE, tmp_path / "copy.db")
    vault.erase(gone.name(), NOW)
    vault.close()
    for path in home.glob(f"{KEYS_FILE}*"):
        path.unlink()
    shutil.copy(tmp_path / "copy.db", home / KEYS_FILE)
    with closing(sqlite3.connect(home / KEYS_FILE)) as keys:
        assert keys.execute("SELECT count(*) FROM keys").fetchone()[0] == 5
    opened(home, source).close()
    with closing(sqlite3.connect(home / KEYS_FILE)) as keys:
        left = "SELECT count(*) FROM keys WHERE length(key) > 0"
        assert keys.execute(left).fetchone()[0] == 4


def test_the_salts_of_an_earlier_version_are_sealed_when_the_vault_is_opened(
    vault: Vault, home: Path, source: Path
) -> None:
    plain = {entry.name: entry.salts for entry in vault.entries()}
    vault.close()
    with closing(sqlite3.connect(home / "vault.db")) as old, old:
        for name, salts in plain.items():
            old.execute("UPDATE records SET salts = ? WHERE name = ?", (salts.pack(), name))
        old.execute("DROP INDEX erased")
        old.execute("ALTER TABLE records DROP COLUMN erased")
        old.execute("PRAGMA user_version = 0")
    for path in home.glob(f"{KEYS_FILE}*"):
        path.unlink()
    again = Vault.open(home / "vault.db", DirectoryConnector(source, settled=0))
    assert {entry.name: entry.salts for entry in again.entries()} == plain
    with closing(sqlite3.connect(home / "vault.db")) as now:
        stored = [bytes(row[0]) for row in now.execute("SELECT salts FROM records")]
    assert {len(box) for box in stored} == {3 * SALT_SIZE + OVERHEAD}
    again.close()
    left = b"".join(path.read_bytes() for path in home.glob("vault.db*"))
    for salts in plain.values():
        assert not any(part in left for part in (salts.digest, salts.type, salts.labels))


def test_a_vault_without_its_keys_gives_nothing_and_is_not_broken(
    vault: Vault, home: Path, source: Path
) -> None:
    names = [pointer.name() for pointer in pointers(vault).values()]
    vault.close()
    for path in home.glob(f"{KEYS_FILE}*"):
        path.unlink()
    bare = Vault.open(home / "vault.db", DirectoryConnector(source, settled=0))
    assert [bare.lookup(name) for name in names] == [None] * len(names)
    assert list(bare.entries()) == []
    bare.close()


def test_bytes_that_are_kept_of_a_record_go_with_their_key_also_in_backups(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "fhir.db")
    content, other = observation(value=1), observation(value=2)
    stamp, beside = kept.keep([("fhir:a", "1", content), ("fhir:b", "1", other)])
    with kept.open("fhir:a", stamp) as file:
        assert file.read() == content
    with closing(sqlite3.connect(tmp_path / "fhir.db")) as running:
        running.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (tmp_path / "fhir.db").read_bytes()
    for telling in (content, content[20:60], sha256(content).digest()):
        assert telling not in stored
    safe = KeySafe(tmp_path / KEYS_FILE, secrets.token_bytes)
    safe.bar([copies_id("fhir:a")])
    safe.close()
    # The rows are all there, as in a backup, and nobody reads the one.
    with pytest.raises(RecordUnavailable, match="destroyed"):
        kept.open("fhir:a", stamp)
    with kept.open("fhir:b", beside) as file:
        assert file.read() == other
    # What the server still gives of it is not kept again.
    assert kept.keep([("fhir:a", "2", content)]) == [""]
    kept.discard("fhir:a")
    with pytest.raises(RecordUnavailable):
        kept.open("fhir:a", "")
    kept.close()


def test_the_source_is_told_to_keep_nothing_of_it(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(DirectoryConnector, "discard", lambda _, source: told.append(source))
    vault.erase(pointers(vault)["2.json"].name(), NOW)
    assert told == ["2.json"]
