"""Private keys on disk: sealed or explicitly not, never half written."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import keyfile
from ledger.crypto.keyfile import (
    InsecureKeyWarning,
    KeyFileError,
    NoPassphrase,
    PassphraseSource,
    WrongPassphrase,
    load_key,
    load_secret,
    save_key,
    save_secret,
    write_private,
)
from ledger.crypto.keys import SigningKey


def passphrase() -> str:
    return "宝塔 river 7"


def never() -> str:
    raise AssertionError("an insecure file needs no passphrase")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing at the smallest cost; one test below uses the real one."""
    monkeypatch.setattr(keyfile, "PASSES", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8192)


def sealed(path: Path) -> SigningKey:
    key = SigningKey.generate()
    save_key(path, key, passphrase=passphrase())
    return key


def changed(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    for name, value in values.items():
        if name in content.get("sealed", {}):
            content["sealed"][name] = value
        else:
            content[name] = value
    path.write_text(json.dumps(content))


def test_a_sealed_key_comes_back_with_its_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    key = sealed(path)
    assert load_key(path, passphrase).seed == key.seed
    assert key.seed.hex() not in path.read_text()


def test_the_real_cost_of_sealing_is_64_mebibytes_and_three_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    path = tmp_path / "a.key"
    key = sealed(path)
    written = json.loads(path.read_text())["sealed"]
    assert (written["kdf"], written["passes"], written["memory"]) == ("argon2id", 3, 64 * 2**20)
    assert load_key(path, passphrase).seed == key.seed


def test_an_insecure_key_is_written_only_on_request(tmp_path: Path) -> None:
    key = SigningKey.generate()
    path = tmp_path / "a.key"
    with pytest.raises(ValueError, match="explicitly insecure"):
        save_key(path, key, passphrase=None)
    with pytest.raises(ValueError, match="explicitly insecure"):
        save_key(path, key, passphrase="x", insecure=True)
    assert not path.exists()
    save_key(path, key, passphrase=None, insecure=True)
    assert json.loads(path.read_text())["insecure"] is True
    assert load_key(path, never).seed == key.seed


def test_only_the_owner_can_read_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text("old")
    path.chmod(0o644)
    sealed(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.key"]


def test_an_insecure_file_that_others_can_read_gives_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    save_key(path, SigningKey.generate(), passphrase=None, insecure=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_key(path, never)
    path.chmod(0o640)
    with pytest.warns(InsecureKeyWarning, match="chmod 600"):
        load_key(path, never)


def test_a_wrong_passphrase_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    sealed(path)
    with pytest.raises(WrongPassphrase, match=r"a\.key"):
        load_key(path, lambda: "guess")


def test_a_changed_public_key_or_box_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    sealed(path)
    changed(path, public=SigningKey.generate().public.hex())
    with pytest.raises(WrongPassphrase):
        load_key(path, passphrase)
    sealed(path)
    changed(path, box="00" * 48)
    with pytest.raises(WrongPassphrase):
        load_key(path, passphrase)


def test_an_insecure_file_with_another_public_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    save_key(path, SigningKey.generate(), passphrase=None, insecure=True)
    changed(path, public=SigningKey.generate().public.hex())
    with pytest.raises(KeyFileError, match="not that of its secret"):
        load_key(path, never)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "health-ledger-key-9"}, "this software reads"),
        ({"algorithm": "rsa"}, "a key for 'rsa'"),
        ({"kdf": "scrypt"}, "unknown here"),
        ({"cipher": "aes"}, "unknown here"),
        ({"passes": 10_000}, "out of bounds"),
        ({"memory": 2**40}, "out of bounds"),
        ({"salt": "00"}, "out of bounds"),
        ({"nonce": ""}, "out of bounds"),
        ({"box": "xyz"}, "not hex"),
        ({"insecure": True}, "either sealed, or insecure"),
        ({"secret": "00"}, "either sealed, or insecure"),
        ({"extra": 1}, "not a key file"),
        ({"public": 7}, "not a key file"),
    ],
)
def test_a_malformed_file_is_refused_before_any_passphrase_is_asked(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.key"
    sealed(path)
    changed(path, **values)
    with pytest.raises(KeyFileError, match=message):
        load_key(path, never)


def test_a_file_that_is_missing_or_huge_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        load_key(tmp_path / "none.key", never)
    with pytest.raises(KeyFileError, match="cannot read"):
        load_key(tmp_path, never)
    path = tmp_path / "a.key"
    path.write_bytes(b"[" * 20_000)
    with pytest.raises(KeyFileError, match="too large"):
        load_key(path, never)
    save_secret(path, "ecdsa-p256", b"p", b"s", passphrase=None, insecure=True)
    with pytest.raises(KeyFileError, match="where 'ed25519-sha256' is needed"):
        load_key(path, never)


def test_a_seed_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    save_secret(path, "ed25519-sha256", b"p", b"s", passphrase=None, insecure=True)
    with pytest.raises(KeyFileError, match="32 bytes"):
        load_key(path, never)


@settings(max_examples=60)
@given(place=st.integers(0, 600), byte=st.integers(0, 255), sealing=st.booleans())
def test_any_changed_byte_gives_the_same_key_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, sealing: bool
) -> None:
    path = tmp_path_factory.mktemp("keys") / "a.key"
    key = SigningKey(bytes(32))
    save_key(path, key, passphrase=passphrase() if sealing else None, insecure=not sealing)
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] = byte
    path.write_bytes(raw)
    with contextlib.suppress(KeyFileError):
        assert load_key(path, passphrase).seed == key.seed


@settings(max_examples=30)
@given(
    secret=st.binary(max_size=200),
    public=st.binary(max_size=60),
    words=st.text(min_size=1, max_size=20),
)
def test_any_secret_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, secret: bytes, public: bytes, words: str
) -> None:
    path = tmp_path_factory.mktemp("keys") / "a.key"
    save_secret(path, "test", public, secret, passphrase=words)
    assert load_secret(path, "test", lambda: words) == (public, secret)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.key"
    write_private(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.key"]


def test_the_passphrase_comes_from_variable_then_file_then_prompt(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from file\nsecond line\n")
    both = {"HEALTH_LEDGER_PASSPHRASE": "from variable", "HEALTH_LEDGER_PASSPHRASE_FILE": str(file)}
    only_file = {"HEALTH_LEDGER_PASSPHRASE_FILE": str(file)}
    assert PassphraseSource(never, both)() == "from variable"
    assert PassphraseSource(never, only_file)() == "from file"
    assert PassphraseSource(lambda: "typed", {})() == "typed"


def test_the_prompt_is_shown_once() -> None:
    asked = []

    def ask() -> str:
        asked.append(1)
        return "typed"

    source = PassphraseSource(ask, {})
    assert source() == source() == "typed"
    assert len(asked) == 1


@pytest.mark.parametrize(
    "environment",
    [{}, {"HEALTH_LEDGER_PASSPHRASE": ""}, {"HEALTH_LEDGER_PASSPHRASE_FILE": "/nowhere/at/all"}],
)
def test_without_a_passphrase_there_is_a_typed_error(environment: dict[str, str]) -> None:
    with pytest.raises(NoPassphrase):
        PassphraseSource(None, environment)()
