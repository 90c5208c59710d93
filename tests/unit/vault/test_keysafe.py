"""A secret whose key was destroyed is gone, also from copies of what was sealed."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.node.vault.keysafe import KeyGone, KeySafe, SafeUnusable


@pytest.fixture
def safe(tmp_path: Path) -> KeySafe:
    return KeySafe(tmp_path / "keys.db", secrets.token_bytes)


def test_what_was_sealed_opens_for_its_own_id_alone(safe: KeySafe) -> None:
    one, two = safe.seal([(b"a", b"first"), (b"b", b"second")])
    assert (safe.open(b"a", one), safe.open(b"b", two)) == (b"first", b"second")
    for identity, box in (
        (b"a", two),
        (b"b", one),
        (b"c", one),
        (b"a", one[:-1] + b"x"),
        (b"a", b""),
    ):
        with pytest.raises(KeyGone):
            safe.open(identity, box)
    assert safe.count() == 2


def test_a_destroyed_key_opens_nothing_and_the_others_still_do(safe: KeySafe) -> None:
    one, two = safe.seal([(b"a", b"first"), (b"b", b"second")])
    assert safe.destroy([b"a", b"unknown"]) == 1
    with pytest.raises(KeyGone):
        safe.open(b"a", one)
    assert safe.open(b"b", two) == b"second"
    assert safe.destroy([b"a"]) == 0


def test_no_byte_of_a_destroyed_key_is_left_in_the_files(tmp_path: Path) -> None:
    made: list[bytes] = []

    def entropy(size: int) -> bytes:
        made.append(secrets.token_bytes(size))
        return made[-1]

    safe = KeySafe(tmp_path / "keys.db", entropy)
    ids = [f"record {number}".encode() for number in range(600)]
    safe.seal([(identity, b"salts") for identity in ids])
    with sqlite3.connect(tmp_path / "keys.db") as check:
        check.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    there = b"".join(path.read_bytes() for path in tmp_path.glob("keys.db*"))
    assert all(key in there for key in made)
    gone, kept = made[:500], made[500:]
    assert safe.destroy(ids[:500]) == 500
    left = b"".join(path.read_bytes() for path in tmp_path.glob("keys.db*"))
    assert not any(key in left for key in gone)
    assert all(key in left for key in kept)
    safe.close()


def test_an_id_that_is_sealed_again_has_only_its_newest_secret(safe: KeySafe) -> None:
    (old,) = safe.seal([(b"a", b"old")])
    (new,) = safe.seal([(b"a", b"new")])
    assert safe.open(b"a", new) == b"new"
    with pytest.raises(KeyGone):
        safe.open(b"a", old)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=200)), max_size=8))
def test_secrets_of_any_length_come_back(tmp_path_factory: pytest.TempPathFactory, items) -> None:  # type: ignore[no-untyped-def]
    items = list(dict(items).items())
    safe = KeySafe(tmp_path_factory.mktemp("safe") / "keys.db", secrets.token_bytes)
    boxes = safe.seal(items)
    assert [safe.open(one, box) for (one, _), box in zip(items, boxes, strict=True)] == [
        secret for _, secret in items
    ]
    safe.close()


def test_the_file_is_for_its_owner_and_has_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    KeySafe(path, secrets.token_bytes).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"no database" * 100)
    with pytest.raises(SafeUnusable):
        KeySafe(path, secrets.token_bytes)
