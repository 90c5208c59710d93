"""A node takes time, chance and links from its surroundings, and from nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ledger.node
from ledger.chain.codec import Malformed
from ledger.node.net import frames
from ledger.node.reception import Reception
from ledger.node.surroundings import REAL

ROOT = Path(ledger.node.__file__).parent
#: What may ask the machine: the transport, the clock and the default surroundings, what founds
#: networks, and what runs node processes. And what a simulated node does not have: records,
#: webhooks, and the indexes for people's questions.
ALLOWED = {
    "net", "clock.py", "surroundings.py", "setup", "fleet.py",
    "vault", "desk.py", "anchoring.py", "webhooks", "reading/index.py", "consentindex.py",
}  # fmt: skip
WORLD = {"time", "random", "secrets", "datetime", "uuid"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_part_of_a_node_asks_the_machine_for_time_or_chance(path: Path) -> None:
    place = path.relative_to(ROOT)
    if not {place.parts[0], place.as_posix()} & ALLOWED:
        assert not WORLD & set(imports(path))


def test_the_real_surroundings_know_the_time_and_give_fresh_bytes() -> None:
    assert REAL.clock() > 1_700_000_000_000
    assert REAL.entropy(16) != REAL.entropy(16)
    assert len(REAL.entropy(16)) == 16


def test_a_frame_goes_to_the_handler_of_its_kind_and_others_are_passed_over() -> None:
    heard: list[tuple[str, int]] = []
    reception = Reception()
    reception.on(frames.Ping, lambda peer, frame: heard.append((peer, frame.height)))
    reception.receive("a", frames.Ping(7, 1_000))
    reception.receive("a", frames.Pong(8, 1_000))
    assert heard == [("a", 7)]


def test_what_a_handler_finds_malformed_reaches_the_connection() -> None:
    def refuse(_peer: str, _frame: frames.Ping) -> None:
        raise Malformed("nonsense")

    reception = Reception()
    reception.on(frames.Ping, refuse)
    with pytest.raises(Malformed):
        reception.receive("a", frames.Ping(7, 1_000))
