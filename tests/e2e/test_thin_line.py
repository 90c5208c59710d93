"""A village centre joins over a line of 1 Mbit/s with 200 ms each way, while the others go on."""

from __future__ import annotations

import re
from pathlib import Path

from consortium import Consortium, config, until

from tests.support.lab.line import Shape
from tests.support.thinlines import ThinLines

OBSERVER = "centre-1"
GAP = 5
#: A follower keeps two connections; they share the megabit.
SHAPE = Shape(delay=0.2, rate=125_000 / 2)


def connect_by(lines: ThinLines, network: Consortium, node: str) -> None:
    """Let a node reach every other one only through a line."""
    settings = network.node_home(node) / "node.toml"

    def through(match: re.Match[str]) -> str:
        return f'"127.0.0.1:{lines.lay(int(match.group(1)))}"'

    text = settings.read_text()
    head, peers = text.split("[peers]")
    peers = re.sub(r'"127\.0\.0\.1:(\d+)"', through, peers)
    settings.write_text(f"{head}[peers]{peers}\n[sync]\nsnapshot_after = {GAP}\n")


def test_a_centre_on_a_thin_line_joins_and_keeps_up(tmp_path: Path) -> None:
    parameters = {"validity_window": 600, "empty_block_interval": 2_000}
    with (
        Consortium(tmp_path, config(observer=True, **parameters)) as network,
        ThinLines(SHAPE) as lines,
    ):
        network.start(*network.validators)
        connect_by(lines, network, OBSERVER)
        for _ in range(GAP + 3):
            network.anchor("east-1", 40)
        network.fleet.start([OBSERVER])
        adopted = {"event": "snapshot_adopted"}
        until(
            lambda: (
                network.anchor("east-1")
                and any(adopted.items() <= line.items() for line in network.log(OBSERVER))
            ),
            "a snapshot over the thin line",
            seconds=120,
        )
        assert lines.carried > 50_000
        until(lambda: network.height(OBSERVER) >= network.height("east-1"), "the others' height")
        network.anchor("east-1", 3)
        network.agreement()
        # The line is slow, and nobody takes that for silence or for a lie.
        shunned = {"event": "sync_peer_shunned"}
        assert [line for line in network.log(OBSERVER) if shunned.items() <= line.items()] == []
