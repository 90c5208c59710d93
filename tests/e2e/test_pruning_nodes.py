"""A member that keeps only the newest blocks, among others that keep all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import consortium as consortium_module
import httpx
import pytest
from consortium import Consortium, command, config, until

from ledger.client.verify import check_receipt
from ledger.node.setup.home import load_home

KEPT = 20
WINDOW = 16


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Consortium]:
    monkeypatch.setattr(consortium_module, "WINDOW", WINDOW)
    settings = config(observer=False, validity_window=WINDOW)
    with Consortium(tmp_path / "pruned", settings) as network:
        yield network


def keep(network: Consortium, node: str, blocks: int) -> None:
    """Have a node keep so many blocks from its next start on."""
    file = network.node_home(node) / "node.toml"
    text = file.read_text()
    limits = f"keep_blocks = {blocks}\narchive_blocks = 5\n"
    file.write_text(text.replace("[store]\n", "[store]\n" + limits))


def archived_block(network: Consortium, node: str) -> dict[str, object] | None:
    """What a node says when it is asked for block 1, once it has that no more."""
    answer = httpx.get(f"{network.founding.urls[node]}/v1/blocks/1", trust_env=False)
    return dict(answer.json()) if answer.status_code == 410 else None


def test_a_member_hands_old_blocks_over_and_goes_on_voting(network: Consortium) -> None:
    pruned, other = network.validators[0], network.validators[1]
    keep(network, pruned, KEPT)
    network.start()
    first = network.anchor(pruned)[0]
    receipt = network.client(pruned).receipt(first)
    while network.height(pruned) < KEPT + 12:
        network.anchor(pruned)

    problem = until(lambda: archived_block(network, pruned), "an archive file")
    file = load_home(network.node_home(pruned)).archive / str(problem["file"])
    genesis = str(network.home / "genesis.json")
    assert command("archive", "verify", str(file), "--genesis", genesis).returncode == 0
    made = command("archive", "receipt", str(file.parent), "--transaction", first.hex())
    assert json.loads(made.stdout)["transaction"] == first.hex()
    check_receipt(receipt, network.trust)

    # It still takes part, also after a restart, and the others have every block.
    network.stop(pruned)
    network.start(pruned)
    network.anchor(pruned, 3)
    network.agreement()
    assert network.block(other, 1)["header"]["height"] == 1

    audited = command(
        "audit", "verify", "--genesis", genesis, "--store", str(network.store(pruned)),
        "--archives", str(file.parent), "--json",
    )  # fmt: skip
    report = json.loads(audited.stdout)
    assert report["verified"], report


def test_a_member_that_would_keep_too_little_does_not_start(network: Consortium) -> None:
    node = network.validators[0]
    keep(network, node, WINDOW - 1)
    ended = command("node", "run", "--home", str(network.node_home(node)))
    assert ended.returncode == 3
    assert "keep_blocks = 15 is below the validity window of this chain, 16 heights" in ended.stderr
