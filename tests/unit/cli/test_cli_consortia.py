"""``health-ledger consortia``: listing and playing, and what it says when a day goes otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.cli.main import app

CONFIGS = Path(__file__).parents[3] / "network-configs"
DAY = """
# In the morning.
record scan of ghalip at bachu-1 kind=imaging
dr-jingan-1 at jingan-1 asks for scan for TREAT -> deny access:nothing-permits
ghalip permits purposes=[TREAT] institutions=[jingan-1] as c-1
dr-jingan-1 at jingan-1 asks for scan for TREAT -> permit consent:patient-permits
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(CONFIGS / "jingan-bachu.toml", tmp_path)
    tell(tmp_path, DAY)
    return tmp_path


def tell(folder: Path, day: str) -> None:
    head = "title A day\ntitle_zh 一天\nsource 001\nshows a permit\ntrap none\n"
    (folder / "jingan-bachu.scenario").write_text(head + day, encoding="utf-8")


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["consortia", "--folder", str(folder), *words])
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_of_ones_own_is_listed(folder: Path) -> None:
    code, out, _err = run(folder, "--json")
    assert code == 0
    (row,) = json.loads(out)["consortia"]
    assert (row["name"], row["title"], row["members"], row["steps"]) == (
        "jingan-bachu", "A day", 12, 4,
    )  # fmt: skip
    code, out, _err = run(folder)
    assert code == 0
    assert "jingan-bachu" in out


def test_a_day_is_told_while_it_is_played(folder: Path) -> None:
    code, out, err = run(folder, "--play", "jingan-bachu")
    assert code == 0, err
    assert "In the morning." in out
    assert "      permit consent:patient-permits\n" in out


def test_a_day_in_numbers_for_programs(folder: Path) -> None:
    code, out, _err = run(folder, "--play", "jingan-bachu", "--json")
    assert code == 0
    assert json.loads(out) == {
        "name": "jingan-bachu", "steps": 4, "permits": {"consent:patient-permits": 1},
        "denies": {"access:nothing-permits": 1}, "refusals": {},
    }  # fmt: skip


def test_what_goes_otherwise_is_an_answer_of_no(folder: Path) -> None:
    tell(folder, DAY.replace("-> permit consent:patient-permits", "-> deny consent:patient-denies"))
    code, _out, err = run(folder, "--play", "jingan-bachu")
    assert code == 1
    assert "line 11" in err
    assert "permit consent:patient-permits" in " ".join(err.split())


@pytest.mark.parametrize(
    ("day", "what"),
    [
        ("\nnobody at jingan-1 asks for scan for TREAT -> deny a:b\n", "no person 'nobody'"),
        ("\nghalip jumps\n", "nobody can 'jumps'"),
        ("", "no step in it"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_a_failure(folder: Path, day: str, what: str) -> None:
    tell(folder, day)
    code, _out, err = run(folder, "--play", "jingan-bachu")
    assert code == 3
    assert what in " ".join(err.split())


def test_an_unknown_consortium_is_a_failure(folder: Path) -> None:
    code, _out, err = run(folder, "--play", "atlantis")
    assert code == 3
    assert "atlantis" in err
