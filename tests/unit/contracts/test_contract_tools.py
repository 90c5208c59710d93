"""Ordinary Python tools on contract files, and what `contract check` says of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ledger
from ledger.contracts.checker import check
from ledger.contracts.compiler import InvalidContract
from ledger.contracts.sources import LIBRARY, library_source
from ledger.contracts.summary import VerdictSummary, summarise

ROOT = Path(ledger.__file__).parents[1]
#: What the guide tells authors to run.
FLAGS = ["--strict", "--allow-any-generics", "--no-warn-return-any"]
#: For contracts that say by ``require`` that something is not None.
LENIENT = "--no-strict-optional"

SAMPLE = '''"""Doses are given on a ward. More."""

from ledger.contracts.prelude import (
    Codes, Map, Record, age, changed, date, days, decimal, emit, export, init, now, permits, query,
    require, silent,
)


class Unit(Codes):
    MILLIGRAM = "mg"
    MICROGRAM = "ug"


class Dose(Record):
    amount: decimal
    unit: str
    until: int = days(1)
    note: str | None = None


LIMIT = decimal("7.50")
doses = Map("doses")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def give(subject: str, dose: Dose, birth: int) -> Dose:
    """Note a dose, halved for children."""
    require(dose.unit in Unit, "unknown_unit")
    if age(birth, now()) < 14:
        dose = changed(dose, amount=dose.amount.divided(2, 2, "half-even"))
    require(dose.amount <= LIMIT and dose.until < date(2030, 1, 1), "too_much", f"{dose.amount}")
    doses[subject] = dose
    emit("given", subject=subject)
    return dose


@query
def decide(request: dict) -> dict:
    """Permit while a dose is noted."""
    stored = doses.get(request["subject"])
    if stored is None:
        return silent("no-dose")
    dose = Dose.read(stored)
    rule = "dose" if dose.unit == Unit.MILLIGRAM else "small-dose"
    return permits(rule, until=dose.until)


@query
def total(subjects: list[str]) -> str:
    """Of all that are noted."""
    found = [Dose.read(doses[subject]) for subject in subjects if subject in doses]
    return str(sum([dose.amount for dose in found]) + len([unit for unit in Unit if unit != ""]))
'''
#: What an author mistypes, and the code by which mypy refuses it.
PLANTED = {
    "dose.unit == Unit.MILLIGRAM": ("dose.units == Unit.MILLIGRAM", "attr-defined"),
    'else "small-dose"': ("else 5", "arg-type"),
    "Unit.MILLIGRAM else": ("Unit.GRAM else", "attr-defined"),
    "dose.amount <= LIMIT": ('dose.amount <= "7"', "operator"),
    'divided(2, 2, "half-even")': ('divided(2, 2, "halfeven")', "arg-type"),
    "    doses[subject] = dose": ("    doses[1.5] = dose", "index"),
    "age(birth, now())": ("age(subject, now())", "arg-type"),
    "    return dose\n": ("    return dose.amount\n", "return-value"),
    "dose.until < date": ("dose.note < date", "operator"),
    'LIMIT = decimal("7.50")': ("LIMIT = decimal(7.5)", "arg-type"),
    '    emit("given", subject=subject)': ("    dose.until = 5", "misc"),
    "    dose = Dose.read(stored)": ('    dose = Dose(amount="1", unit="mg")', "arg-type"),
    "    rule = ": ('    dose = Dose(unit="mg")\n    rule = ', "call-arg"),
}


def mypy(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    files = sorted(folder.glob("*.py"))
    command = [sys.executable, "-m", "mypy", *FLAGS, *flags, "--no-error-summary", "--config-file="]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache" / "contracts")]
    return subprocess.run(
        [*command, *cache, *map(str, files)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_type_checker_accepts_the_library(tmp_path: Path) -> None:
    for name in LIBRARY:
        (tmp_path / f"library_{name}.py").write_text(library_source(name), "utf-8")
    ran = mypy(tmp_path, LENIENT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_type_checker_accepts_a_sample(tmp_path: Path) -> None:
    assert (ROOT / "ledger" / "py.typed").is_file()
    assert check(SAMPLE) == []
    (tmp_path / "sample.py").write_text(SAMPLE, "utf-8")
    ran = mypy(tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_type_checker_finds_what_an_author_mistypes(tmp_path: Path) -> None:
    for number, (right, (wrong, _)) in enumerate(PLANTED.items()):
        assert SAMPLE.count(right) == 1, right
        (tmp_path / f"planted{number:02}.py").write_text(SAMPLE.replace(right, wrong), "utf-8")
    ran = mypy(tmp_path)
    for number, (_, code) in enumerate(PLANTED.values()):
        lines = [line for line in ran.stdout.splitlines() if f"planted{number:02}.py" in line]
        assert any(line.endswith(f"[{code}]") for line in lines), (number, lines)


def test_a_summary_says_what_a_contract_offers_and_with_which_verdicts_it_answers() -> None:
    found = summarise(SAMPLE)
    assert found.summary == "Doses are given on a ward. More."
    assert [method.signature for method in found.methods] == [
        "found() -> None",
        "give(subject: str, dose: Dose, birth: int) -> Dose",
        "decide(request: dict) -> dict",
        "total(subjects: list[str]) -> str",
    ]
    assert [method.kind for method in found.methods] == ["init", "export", "query", "query"]
    assert found.methods[1].summary == "Note a dose, halved for children."
    assert found.verbs == {"permits": ["(computed)"], "silent": ["no-dose"]}
    assert found.verdicts[0] == VerdictSummary("silent", "no-dose", 47)
    assert (found.records, found.codes, found.state) == (("Dose",), ("Unit",), ("Map doses",))
    assert (found.calls, found.emits) == ((), ("given",))


def test_a_summary_puts_first_what_prevails_over_patients() -> None:
    source = (
        "from ledger.contracts.prelude import call, forbids, obliges, permits, query\n"
        "@query\ndef decide(request: dict) -> dict:\n"
        '    if call("law", "applies"):\n        return obliges("law")\n'
        '    return permits("b") if request["a"] else forbids("a")\n'
        "@query\ndef other(permits: int) -> int:\n    return permits\n"
    )
    found = summarise(source)
    assert list(found.verbs.items()) == [
        ("forbids", ["a"]),
        ("obliges", ["law"]),
        ("permits", ["b"]),
    ]
    assert found.calls == ("law.applies",)
    with pytest.raises(InvalidContract):
        summarise("x = 1.5")


@pytest.mark.parametrize("name", LIBRARY)
def test_contracts_of_the_library_that_decide_have_verdicts(name: str) -> None:
    found = summarise(library_source(name))
    if any(method.name == "decide" for method in found.methods):
        assert set(found.verbs) - {"silent"}, name
