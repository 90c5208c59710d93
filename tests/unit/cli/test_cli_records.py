"""``health-ledger records`` on the home of a node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ledger.cli.main import app
from ledger.node.setup.home import load_home
from ledger.node.vault.passes import claim_vault
from ledger.node.vault.patients import SUBJECTS_FILE
from tests.support.local_service import Consortium, LocalService

SUBJECT = "p-" + "1" * 32


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["records", *arguments])


def told(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.fixture
def home(consortium: Consortium, tmp_path: Path) -> Path:
    """A copy of East's home with three records, one of them unreadable."""
    home = tmp_path / "home"
    shutil.copytree(consortium.home / "nodes" / "east-1", home)
    records = load_home(home).records
    for name, text in (
        ("a.json", '{"resourceType": "Observation", "subject": {"reference": "Patient/1"}}'),
        ("b.json", '{"resourceType": "Condition", "subject": {"reference": "Patient/1"}}'),
        ("bad.json", "{"),
    ):
        (records / name).write_text(text)
    (home / "vault" / SUBJECTS_FILE).write_text(json.dumps({"Patient/1": SUBJECT}))
    return home


def test_records_are_anchored_through_a_running_node_once(
    home: Path, node_url: str, service: LocalService
) -> None:
    result = run("anchor", "--home", str(home), "--url", node_url, "--json")
    assert result.exit_code == 0, result.output
    first = told(result)
    assert (first["new"], first["unreadable"]) == (2, 1)
    assert [each["id"] for each in first["problems"]] == ["bad.json"]
    assert first["standing"]["anchored"] == 2
    again = told(run("anchor", "--home", str(home), "--url", node_url, "--json"))
    assert (again["new"], again["unchanged"]) == (0, 2)
    status = told(run("status", "--home", str(home), "--json"))
    assert (status["current"], status["anchored"], status["waiting"]) == (2, 2, 0)
    assert status["newest"]["counts"]["unchanged"] == 2
    assert "anchored" in run("status", "--home", str(home)).stdout


def test_a_vault_that_is_worked_on_is_left_alone(home: Path) -> None:
    with claim_vault(home / "vault"):
        result = run("anchor", "--home", str(home), "--url", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "another process" in result.stderr


def test_verifying_finds_what_was_altered(home: Path, node_url: str) -> None:
    run("anchor", "--home", str(home), "--url", node_url)
    assert run("verify", "--home", str(home)).exit_code == 0
    path = load_home(home).records / "a.json"
    path.write_text(path.read_text().replace("Patient/1", "Patient/2"))
    result = run("verify", "--home", str(home), "--json")
    assert result.exit_code == 1
    assert [(each["source"], each["what"]) for each in told(result)["findings"]] == [
        ("a.json", "altered")
    ]


def test_a_chain_without_decisions_fits(home: Path, consortium: Consortium) -> None:
    store = f"sqlite:///{consortium.founded}"
    result = run("reconcile", "--store", store, "--json")
    assert result.exit_code == 0, result.output
    assert told(result)["decisions"] == 0
    assert run("reconcile").exit_code == 2
    assert run("reconcile", "--home", str(home), "--store", store).exit_code == 2
    assert "0 decisions" in run("reconcile", "--store", store).stdout


def test_a_home_without_a_vault_is_told_apart(home: Path) -> None:
    shutil.rmtree(home / "vault")
    result = run("status", "--home", str(home))
    assert result.exit_code == 3
    assert "keeps no records" in result.stderr
