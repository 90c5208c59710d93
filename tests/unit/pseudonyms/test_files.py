"""National ids in one form, and a hospital's file of them made into one of pseudonyms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.client.nationalid import BadNumber, check_character, normalised, stands_in
from ledger.client.subjects import BadFile, make

DAYS = st.integers(0, 36_000).map(lambda days: date(1901, 1, 1) + timedelta(days=days))
FIRST = st.builds(
    lambda region, born, sequence: f"{region}{born:%Y%m%d}{sequence:03}",
    st.sampled_from(["110105", "610602", "810000", "650000"]),
    DAYS,
    st.integers(0, 999),
)
NUMBERS = FIRST.map(lambda first: first + check_character(first))


@given(NUMBERS)
def test_a_number_in_good_form_stays_and_any_other_writing_becomes_it(number: str) -> None:
    assert normalised(number) == number
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in number)
    assert normalised(wide) == number
    assert normalised(f" {number[:6]} {number[6:14]}-{number[14:].lower()} ") == number
    if number[6:8] == "19" and number[14:17] not in ("996", "997", "998", "999"):
        assert normalised(number[:6] + number[8:17]) == number


@given(NUMBERS, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_any_one_wrong_character_is_noticed(number: str, place: int, other: str) -> None:
    wrong = number[:place] + other + number[place + 1 :]
    if wrong != number:
        with pytest.raises(BadNumber):
            normalised(wrong)


@given(NUMBERS, st.integers(0, 15))
def test_two_neighbours_that_changed_places_are_noticed(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if wrong != number:
        with pytest.raises(BadNumber):
            normalised(wrong)


@given(st.text(max_size=40))
def test_what_is_refused_is_refused_by_a_code_that_has_nothing_of_it(text: str) -> None:
    try:
        assert len(normalised(text)) == 18
    except BadNumber as error:
        assert str(error) in {  # noqa: PT017
            "length", "characters", "region", "birth", "checksum", "centenarian"
        }  # fmt: skip


# --- Files --------------------------------------------------------------------------------------


def number_of(place: int) -> str:
    first = f"610602{date(1950, 1, 1) + timedelta(days=place):%Y%m%d}{place % 1000:03}"
    return first + check_character(first)


def fake(numbers: Sequence[str]) -> list[str]:
    return ["p-" + number.encode().hex().ljust(36, "0")[-32:] for number in numbers]


def write(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join(["reference,id", *rows]) + "\n", "utf-8")
    return path


def test_every_good_row_gets_a_pseudonym_and_every_other_a_reason(tmp_path: Path) -> None:
    good = number_of(1)
    source = write(
        tmp_path / "in.csv",
        [
            f"Patient/1,{good}", f"Patient/2,{good[:17]}Y", f"Patient/1,{number_of(2)}",
            f",{good}", "only one column", f"患者/3, {number_of(3)} ",
        ],
    )  # fmt: skip
    made = make(source, tmp_path / "out.json", fake)
    assert (made.done, sum(made.problems.values())) == (2, 4)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found == dict(zip(["Patient/1", "患者/3"], fake([good, number_of(3)]), strict=True))
    problems = (tmp_path / "out.json.problems.csv").read_text()
    assert problems.splitlines() == [
        "row,reference,problem", "2,Patient/2,characters", "3,Patient/1,repeated", "4,,reference",
        "5,,columns",
    ]  # fmt: skip
    assert not (tmp_path / "out.json.journal").exists()
    assert (tmp_path / "out.json").stat().st_mode & 0o077 == 0


@given(NUMBERS, st.text(max_size=8), st.sampled_from(["{}", "{}", "Patient/{}", "MRN-{}-2"]))
def test_a_number_is_recognised_in_a_reference_in_any_of_its_writings(
    number: str, around: str, form: str
) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in number)
    writings = [
        number, number.lower(), wide, number[:17], f"{number[:6]} {number[6:14]}-{number[14:]}",
        number[:6] + number[8:17],
    ]  # fmt: skip
    for given_, written in [(number, each) for each in writings] + [(wide, number)]:
        assert stands_in(given_, form.format(written))
    assert not stands_in(number, form.format(around))
    if number[6:8] == "19":
        assert stands_in(number[:6] + number[8:17], form.format(number))


def test_a_cell_too_short_for_an_id_is_found_in_no_reference() -> None:
    assert not stands_in("", "Patient/1")
    assert not stands_in("1", "Patient/1")


def test_a_reference_that_is_the_id_stands_in_no_file(tmp_path: Path) -> None:
    good, other = number_of(1), number_of(2)
    mistyped = good[:17] + ("1" if good[17] != "1" else "2")
    source = write(
        tmp_path / "in.csv",
        [f"Patient/{good},{good}", f"{mistyped},{mistyped}", f"Patient/2,{other}"],
    )
    made = make(source, tmp_path / "out.json", fake)
    assert (made.done, made.problems) == (1, {"reference_is_id": 2})
    assert json.loads((tmp_path / "out.json").read_text()) == {"Patient/2": fake([other])[0]}
    source.unlink()
    assert (tmp_path / "out.json.problems.csv").read_text().splitlines() == [
        "row,reference,problem", "1,,reference_is_id", "2,,reference_is_id",
    ]  # fmt: skip


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("tear", [0, 1, 7])
def test_an_interrupted_run_goes_on_where_it_stopped_and_asks_nothing_twice(
    tmp_path: Path, tear: int
) -> None:
    count = 1_000
    source = write(tmp_path / "in.csv", [f"P/{n},{number_of(n)}" for n in range(count)])
    out, asked = tmp_path / "out.json", list[str]()

    def until_interrupted(numbers: Sequence[str]) -> list[str]:
        if len(asked) >= 512:
            raise Interrupted
        asked.extend(numbers)
        return fake(numbers)

    with pytest.raises(Interrupted):
        make(source, out, until_interrupted)
    assert not out.exists()
    journal = out.with_name("out.json.journal")
    assert not any(number_of(n) in journal.read_text() for n in range(count))
    if tear:  # the last line was cut short by a crash
        journal.write_bytes(journal.read_bytes()[:-tear])
    again: list[str] = []
    made = make(source, out, lambda numbers: again.extend(numbers) or fake(numbers))
    assert (made.done, made.resumed) == (count, 512 - bool(tear))
    assert len(again) == count - 512 + bool(tear)
    assert list(json.loads(out.read_text()).values()) == fake([number_of(n) for n in range(count)])


def test_a_file_that_has_changed_since_it_began_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [f"P/{n},{number_of(n)}" for n in range(600)])

    def fail(numbers: Sequence[str]) -> list[str]:
        if "610602" + "19500101" in numbers[0]:
            return fake(numbers)
        raise Interrupted

    with pytest.raises(Interrupted):
        make(source, tmp_path / "out.json", fail)
    write(source, [f"Q/{n},{number_of(n)}" for n in range(600)])
    with pytest.raises(BadFile, match="row 1 is another one"):
        make(source, tmp_path / "out.json", fake)


@pytest.mark.parametrize(
    "content", [b"", b"id,reference\n", b"reference;id\n", b"reference,id\n\xff\xfe,1\n"]
)
def test_what_is_no_such_file_is_refused_without_showing_what_is_in_it(
    tmp_path: Path, content: bytes
) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    with pytest.raises(BadFile) as refused:
        make(source, tmp_path / "out.json", fake)
    assert "1" not in str(refused.value).partition(": ")[2].replace("line 1", "")
