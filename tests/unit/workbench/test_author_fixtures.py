"""An author's test session, from a new contract to a report of its lines."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.workbench.scaffold import create


def session(home: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and output of ``health-ledger contract test`` in a directory."""
    done = subprocess.run(
        [sys.executable, "-m", "ledger.cli.main", "contract", "test", *arguments],
        cwd=home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create("care", tmp_path)
    return tmp_path


def change(home: Path, old: str, new: str) -> None:
    file = home / "care" / "care.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_new_contract_passes_its_test_which_runs_every_line(home: Path) -> None:
    code, output = session(home, "care", "--cover-min", "100")
    assert code == 0, output
    assert "7 passed" in output
    assert "care         20       0  100%" in output


def test_a_wrong_rule_is_shown_with_its_line_and_what_it_relied_on(home: Path) -> None:
    change(home, 'permits("opened-by-patient"', 'permits("opened"')
    code, output = session(home, "care", "-k", "physician_sees")
    assert code == 1
    assert "expected permit by care:opened-by-patient" in output
    assert '>   59 |     return permits("opened", until=grant["until"])' in output


def test_a_failed_call_is_shown_with_the_line_where_it_ended(home: Path) -> None:
    change(home, '"bad_time", "1 to', '"too_long", "1 to')
    code, output = session(home, "care", "-k", "bad_wishes")
    assert code == 1
    assert "expected the refusal bad_time, found too_long: 1 to 30 days (care:30)" in output
    assert '>   30 |     require(0 < days and days <= LONGEST_DAYS, "too_long"' in output


def test_a_source_that_is_no_contract_is_named_with_line_and_code(home: Path) -> None:
    change(home, "LONGEST_DAYS = 30", "LONGEST_DAYS = {30}")
    code, output = session(home, "care", "-k", "cheap")
    assert code == 1
    assert "care.py:10:16: E013" in output


def test_too_few_lines_are_a_failure_under_plain_pytest_too(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "cheap", "--contract-cover-min=50"],
        cwd=home / "care", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout
    assert "less than the 50% that are asked for" in done.stdout


def test_a_directory_without_tests_is_said_to_have_none(tmp_path: Path) -> None:
    code, output = session(tmp_path)
    assert code == 3
    assert "there are no tests" in output
