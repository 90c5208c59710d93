"""Durations, and the dates of block time."""

from __future__ import annotations

import pytest

from ledger.contracts import prelude
from ledger.contracts.checker import check
from ledger.contracts.compiler import compile_contract
from tests.support.language import COMPUTE, IMPORT, Bench, error_of, run, value_of

DAY = 86_400_000


def result_of(expression: str) -> object:
    """What both give: the ledger, and plain Python with the prelude."""
    value = value_of(expression, top=COMPUTE)
    assert eval(expression, vars(prelude)) == value
    return value


def test_durations_are_milliseconds() -> None:
    assert result_of("days(2)") == 2 * DAY
    assert result_of("hours(-1)") == -3_600_000
    assert result_of("minutes(90)") == 5_400_000
    assert error_of("return days(200_000_000_000)", top=COMPUTE) == "overflow"
    assert error_of("return hours('1')", top=COMPUTE) == "type_error"
    assert error_of("return minutes(True)", top=COMPUTE) == "type_error"


def test_a_day_begins_at_midnight_in_china() -> None:
    assert result_of("date(1970, 1, 1)") == -8 * 3_600_000
    assert result_of("date(1970, 1, 1, 0)") == 0
    assert result_of("date(2026, 2, 28)") == 1_772_208_000_000
    assert result_of("date(year=2026, month=3, day=1, offset=hours(-5))") == 1_772_341_200_000
    assert result_of("day_of(date(2026, 3, 1) - 1)") == 28
    assert result_of("day_of(date(2026, 3, 1))") == 1
    assert result_of("[year_of(0), month_of(0), day_of(0)]") == [1970, 1, 1]
    assert result_of("[year_of(0, hours(-1)), day_of(0, hours(-1))]") == [1969, 31]


@pytest.mark.parametrize(
    ("birth", "at", "years"),
    [
        ("2010, 5, 6", "2024, 5, 5", 13),
        ("2010, 5, 6", "2024, 5, 6", 14),
        ("2008, 2, 29", "2026, 2, 28", 17),
        ("2008, 2, 29", "2026, 3, 1", 18),
        ("2008, 2, 29", "2024, 2, 29", 16),
        ("2020, 1, 1", "2020, 1, 1", 0),
        ("2020, 1, 1", "2019, 12, 31", -1),
    ],
)
def test_a_year_of_age_is_full_when_the_birthday_begins(birth: str, at: str, years: int) -> None:
    assert result_of(f"age(date({birth}), date({at}))") == years
    assert result_of(f"age(date({birth}) + hours(23), date({at}))") == years


def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month() -> None:
    assert result_of("add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)") is True
    assert result_of("add_months(date(2024, 1, 31), 1) == date(2024, 2, 29)") is True
    assert result_of("add_months(date(2026, 3, 31), -1) == date(2026, 2, 28)") is True
    assert result_of("add_months(date(2026, 12, 5) + 7, 14) == date(2028, 2, 5) + 7") is True
    assert result_of("add_months(date(2024, 2, 29), 12) == date(2025, 2, 28)") is True


@pytest.mark.parametrize(
    "expression",
    [
        "date(2026, 2, 29)", "date(2026, 13, 1)", "date(2026, 0, 1)", "date(2026, 4, 31)",
        "date(0, 1, 1)", "date(10_000, 1, 1)", "date(2026, 1, 0)", "date(2026, 1, 1, hours(15))",
        "year_of(9_000_000_000_000_000_000)", "add_months(0, 1_000_000)",
        "add_months(0, -9_000_000_000_000_000_000)", "age(-9_000_000_000_000_000_000, 0)",
        "month_of(0, hours(-15))",
    ],
)  # fmt: skip
def test_what_is_not_in_the_calendar_is_a_value_error(expression: str) -> None:
    assert error_of(f"return {expression}", top=COMPUTE) == "value_error"
    with pytest.raises(ValueError, match=r"outside|does not have|more than"):
        eval(expression, vars(prelude))


def test_a_constant_can_be_a_duration_or_a_date() -> None:
    source = (
        f"{COMPUTE}VISIT: int = days(1)\nSTART = date(2026, 1, 1)\nTERMS = {{'a': [hours(2)]}}\n"
        "@query\ndef ask(wait: int = minutes(5)) -> list:\n"
        "    return [VISIT, START, TERMS['a'][0], wait]\n"
    )
    asked = Bench(c=source).query("ask")
    assert asked.value == [DAY, 1_767_196_800_000, 7_200_000, 300_000], asked.error


@pytest.mark.parametrize(
    "constant",
    ["days(DAY)", "days('1')", "days(1, 2)", "days(count=1)", "date(2026, 2, 30)", "days(2 ** 70)",
     "days(200_000_000_000)", "date()", "[now()]", "days(days(1))"],
)  # fmt: skip
def test_a_constant_is_made_of_plain_numbers(constant: str) -> None:
    source = f"{IMPORT}{COMPUTE}X = {constant}\n@query\ndef ask() -> int:\n    return 1\n"
    assert {problem.code for problem in check(source)} == {"E013"}


def test_a_duration_needs_its_import() -> None:
    source = IMPORT + "X = days(1)\n@query\ndef ask() -> int:\n    return 1\n"
    assert [problem.code for problem in check(source)] == ["E013"]


def test_dates_cost_what_the_page_says() -> None:
    assert compile_contract(f"{IMPORT}{COMPUTE}@query\ndef f() -> int:\n    return days(1)\n")
    plain = run("return days(1) == 0", top=COMPUTE).gas
    assert run("return date(2026, 1, 1) == 0", top=COMPUTE).gas == plain + 2 + 10
    assert run("return age(0, 1) == 0", top=COMPUTE).gas == plain + 1 + 20
