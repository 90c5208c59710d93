"""The commands by which contracts change by vote, on a store and on a node."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ledger.cli.main import app
from ledger.contracts.sources import library_source
from tests.support.contracts import PATIENT, pointer
from tests.support.contracts.stored import StoredWorld

OLD = library_source("recognition")
NEW = OLD.replace('permits("patient-is-checked-in"', 'permits("checked-in"')


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["contract", *arguments])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chain with two requests, and a version of recognition that holds from height 20 on."""
    path = tmp_path_factory.mktemp("chain") / "chain.db"
    world = StoredWorld(path)
    record = pointer()
    world.anchored()
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="county")
    assert world.requests("gao", record)["outcome"] == "permit"
    world.does(
        "chief", "charter", "propose", kind="change_contract",
        payload={"name": "recognition", "source": NEW}, activation=20, reason="guideline",
        words="why",
    )  # fmt: skip
    for chief in ("chief", "county-chief", "board-chief"):
        world.does(chief, "charter", "vote", proposal=1, approve=True, report="ab" * 32)
    world.reach(20)
    assert world.requests("gao", record)["rule"] == "recognition:checked-in"
    yield str(path)
    world.store.close()


def test_versions_are_listed_with_what_was_decided(store: str) -> None:
    shown = run("versions", "recognition", "--store", store)
    assert shown.exit_code == 0
    assert "by the founders" in shown.output
    assert "by proposal 1" in shown.output
    assert "from height 20: version 2" in shown.output
    listed = json.loads(run("versions", "recognition", "--store", store, "--json").output)
    assert [version["version"] for version in listed["versions"]] == [1, 2]
    assert run("versions", "nothing", "--store", store).exit_code == 1


def test_a_source_is_shown_as_it_is_on_the_chain(store: str) -> None:
    assert run("show", "recognition", "--store", store).output == NEW
    assert run("show", "recognition", "--version", "1", "--store", store).output == OLD
    assert run("show", "recognition", "--version", "3", "--store", store).exit_code == 1


def test_a_proposal_is_shown_with_its_votes(store: str) -> None:
    shown = run("proposal", "1", "--store", store)
    assert "change_contract recognition: passed" in shown.output
    assert "approve  city, on report abababababababab…" in shown.output
    found = json.loads(run("proposal", "1", "--store", store, "--json").output)
    assert found["ballot"]["approve"] == ["city", "county", "board"]
    assert run("proposal", "2", "--store", store).exit_code == 1


def test_a_contract_is_asked_at_a_height_and_as_another_version(store: str) -> None:
    request = json.dumps({"name": "recognition"})
    for height, version in ((5, 1), (19, 1), (20, 2)):
        told = run(
            "call", "charter", "in_force", "--args", request, "--height", str(height),
            "--store", store,
        )  # fmt: skip
        assert json.loads(told.output)["version"] == version
    answers = []
    facts: dict[str, Any] = {"name": "recognition", "version": 1}
    for version in ("1", "2"):
        told = run(
            "call", "charter", "source", "--args", json.dumps(facts), "--version", version,
            "--store", store,
        )  # fmt: skip
        answers.append((told.exit_code, told.output[:2]))
    assert answers[0][0] == 0
    assert answers[1][0] == 3  # charter itself has one version
    assert run("call", "charter", "nothing", "--store", store).exit_code == 3
    assert run("call", "charter", "names", "--height", "999", "--store", store).exit_code == 3


def test_the_impact_of_a_proposal_and_of_a_file(store: str, tmp_path: Path) -> None:
    told = run("impact", "--store", store, "--proposal", "1", "--json")
    assert told.exit_code == 0
    found = json.loads(told.output)
    assert (found["decisions"], found["kinds"], found["exact"]) == (1, {"other-rule": 1}, True)
    assert found["flips"][0]["link"].startswith("/v1/receipts/")
    shown = run("impact", "--store", store, "--proposal", "1")
    assert "change_contract recognition would have flipped 1 of 1 decisions" in shown.output
    assert f"report {found['report']}" in shown.output
    file = tmp_path / "recognition.py"
    file.write_text(OLD + "# again\n", encoding="utf-8")
    other = run(
        "impact", "--store", store, "--contract", "recognition", "--source", str(file), "--json"
    )
    assert json.loads(other.output)["kinds"] == {"other-rule": 1}
    file.write_text("import os\n", encoding="utf-8")
    refused = run("impact", "--store", store, "--contract", "recognition", "--source", str(file))
    assert refused.exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("impact", "--store", "x"),
        ("impact", "--store", "x", "--proposal", "1", "--contract", "a", "--source", "b"),
        ("impact", "--store", "x", "--contract", "a"),
        ("versions", "a"),
        ("show", "a", "--url", "http://127.0.0.1:1", "--store", "x"),
        ("vote", "1", "--url", "http://127.0.0.1:1"),
        ("propose", "--url", "http://127.0.0.1:1", "--name", "a", "--reason", "law"),
        ("propose", "--url", "http://127.0.0.1:1", "--name", "a", "--reason", "law", "--resume",
         "--pause", "deny"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_node_is_asked_too(node_url: str) -> None:
    assert run("show", "recognition", "--url", node_url).output == OLD
    told = run("call", "charter", "names", "--height", "0", "--url", node_url)
    assert "charter" in json.loads(told.output)
