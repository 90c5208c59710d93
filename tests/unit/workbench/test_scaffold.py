"""A new contract is one at once, and takes nobody's place."""

from pathlib import Path

import pytest

from ledger.contracts.checker import check
from ledger.workbench.scaffold import BadName, create


def test_a_new_contract_is_valid_and_says_its_name_everywhere(tmp_path: Path) -> None:
    files = create("night_care", tmp_path)
    assert [file.name for file in files] == [
        "night_care.py", "test_night_care.py", "night_care.md",
    ]  # fmt: skip
    assert check(files[0].read_text()) == []
    for file in files:
        text = file.read_text()
        assert "night_care" in text
        assert "NAME" not in text


@pytest.mark.parametrize(
    "name",
    ["", "Night", "night-care", "1st", "_x", "夜间", "a" * 41, "test_care", "conftest", "consent"],
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_made(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadName):
        create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "care").mkdir()
    with pytest.raises(FileExistsError):
        create("care", tmp_path)
    assert list((tmp_path / "care").iterdir()) == []
