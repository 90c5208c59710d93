"""A contract is proposed, measured, voted on and changed on running nodes, by commands alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from consortium import Consortium, command, config, until

from ledger.contracts.sources import library_source


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    settings = config(observer=False)
    with Consortium(tmp_path_factory.mktemp("contracts"), settings) as consortium:
        consortium.start()
        yield consortium


def signed(network: Consortium, name: str, *arguments: str) -> Any:
    """A command that signs as a governor and must succeed; what it printed."""
    url, home = network.founding.urls["south-1"], str(network.home)
    done = command(
        "contract", *arguments, "--url", url, "--home", home, "--as", f"{name}-governor", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def asked(network: Consortium, *arguments: str) -> str:
    done = command("contract", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reached(network: Consortium, node: str, height: int) -> bool:
    return network.height(node) >= height


def test_a_contract_changes_on_every_node_at_its_height(
    network: Consortium, tmp_path: Path
) -> None:
    file = tmp_path / "recognition.py"
    source = library_source("recognition") + "# As of the second order.\n"
    file.write_text(source, encoding="utf-8")
    proposed = signed(
        network, "east", "propose", str(file), "--name", "recognition", "--reason", "guideline",
        "--words", "the second order", "--activation", "+12",
    )  # fmt: skip
    number = str(proposed["calls"][0]["value"])

    # Two members measure it on stores that their nodes write to, and come to one report.
    reports = {
        json.loads(
            asked(
                network, "impact", "--store", str(network.store(node)), "--proposal", number,
                "--json",
            )
        )["report"]
        for node in ("east-1", "west-1")
    }  # fmt: skip
    (report,) = reports
    for name in ("east", "south", "west"):
        voted = signed(network, name, "vote", number, "--approve", "--report", report)
    assert voted["calls"][0]["value"] == "passed"
    shown = json.loads(
        asked(network, "proposal", number, "--url", network.founding.urls["west-1"], "--json")
    )
    assert set(shown["ballot"]["reports"].values()) == {report}

    height = shown["activation"]
    while network.height("south-1") < height:
        network.anchor("south-1")
    for node in network.nodes:
        until(partial(reached, network, node, height), f"height {height} on {node}")
        text = asked(network, "show", "recognition", "--url", network.founding.urls[node])
        assert text == source
        for at, version in ((height - 1, 1), (height, 2)):
            told = asked(
                network, "call", "charter", "in_force", "--args", '{"name": "recognition"}',
                "--height", str(at), "--url", network.founding.urls[node],
            )  # fmt: skip
            assert json.loads(told)["version"] == version

    # In an emergency: back, with the block after the vote.
    back = signed(
        network, "west", "propose", "--name", "recognition", "--rollback", "1", "--activation",
        "0", "--reason", "error", "--words", "it was the wrong order",
    )["calls"][0]["value"]  # fmt: skip
    for name in ("east", "south", "north"):
        voted = signed(network, name, "vote", str(back), "--approve")
    assert voted["calls"][0]["value"] == "passed"
    network.anchor("south-1")
    assert network.height("south-1") > voted["height"]
    listed = asked(
        network, "versions", "recognition", "--url", network.founding.urls["south-1"], "--json"
    )
    assert [entry["version"] for entry in json.loads(listed)["schedule"]] == [2, 1]
    for node in network.nodes:
        assert network.audit(node)["verified"]
