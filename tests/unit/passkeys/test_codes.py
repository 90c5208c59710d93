"""Codes of clinics: good for one patient, for a while, for a few tries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.api.passkeys.challenges import MAX_OPEN, Challenges
from ledger.api.passkeys.codes import ALPHABET, TRIES, Codes, CodesUnusable, written

HERS = "p-" + "a" * 32
ANOTHERS = "p-" + "b" * 32


class Time:
    now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signin" / "codes.json"


def test_a_code_fits_its_patient_alone_also_after_a_restart(path, time) -> None:
    code = Codes(path, time).give(HERS, 2_000)
    again = Codes(path, time)
    assert not again.fits(ANOTHERS, code)
    assert again.fits(HERS, code)
    assert again.fits(HERS, code)  # it is used by what it leads to
    again.used(HERS)
    assert not Codes(path, time).fits(HERS, code)


def test_the_file_does_not_tell_the_code(path, time) -> None:
    code = Codes(path, time).give(HERS, 2_000)
    assert written(code) not in path.read_text().upper()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_code_ends(path, time) -> None:
    codes = Codes(path, time)
    code = codes.give(HERS, 2_000)
    time.now = 2_000
    assert not codes.fits(HERS, code)


def test_guesses_are_counted_over_restarts(path, time) -> None:
    code = Codes(path, time).give(HERS, 2_000)
    for _ in range(TRIES - 1):
        assert not Codes(path, time).fits(HERS, "AAAAA-AAAAA")
    assert Codes(path, time).fits(HERS, code)
    assert not Codes(path, time).fits(HERS, "AAAAA-AAAAA")
    assert not Codes(path, time).fits(HERS, code)


def test_a_new_code_voids_the_old_one(path, time) -> None:
    codes = Codes(path, time)
    old, new = codes.give(HERS, 2_000), codes.give(HERS, 2_000)
    assert codes.fits(HERS, new)
    assert not codes.fits(HERS, old)


@settings(max_examples=25)
@given(st.text(max_size=80))
def test_a_code_is_read_as_people_type_it(text: str) -> None:
    assert written(f" {text[:30]} ") == written(text[:30])
    assert written("abcde 23-456") == "ABCDE23456"
    assert set("01ILO") & set(ALPHABET) == set()


def test_a_file_that_cannot_be_read_is_told_of(path, time) -> None:
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(CodesUnusable, match=r"codes\.json"):
        Codes(path, time)


def test_challenges_do_not_pile_up() -> None:
    challenges = Challenges(lambda: 0.0)
    first = challenges.new("sign-in")
    last = [challenges.new("sign-in") for _ in range(MAX_OPEN)][-1]
    assert not challenges.take("sign-in", first)
    assert not challenges.take("register", last)
    assert challenges.take("sign-in", last)
    assert not challenges.take("sign-in", last)
