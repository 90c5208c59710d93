"""The shipped consortia are complete, and their table in the documentation is theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.cli.main import app
from ledger.scenario.catalogue import PAPERS, consortia, folder, scenario_of, table

ENTRIES = list(consortia())
TABLE = Path(__file__).parents[3] / "docs" / "consortia.md"


def test_the_table_in_the_documentation_is_made_from_the_files() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert text.endswith("\n\n" + table(iter(ENTRIES)))
    told = CliRunner().invoke(app, ["consortia", "--markdown"])
    assert told.stdout == table(iter(ENTRIES))


def test_the_command_lists_them_all() -> None:
    told = json.loads(CliRunner().invoke(app, ["consortia", "--json"]).stdout)["consortia"]
    assert [row["name"] for row in told] == [entry.name for entry in ENTRIES]
    assert all(row["validators"] >= 4 and row["steps"] >= 1 for row in told)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_consortium_names_its_source_and_goes_by_the_name_of_its_file(entry) -> None:
    assert entry.config.network.name == entry.name
    assert entry.scenario.source
    assert set(entry.scenario.source) <= set(PAPERS)
    assert scenario_of(entry.path) == folder() / f"{entry.name}.scenario"
    validating = [node.institution for node in entry.config.nodes() if node.role == "validator"]
    assert len(set(validating)) == len(validating) >= 4
