"""The checker notices what it is there for: every kind of violation, planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.support.lab.checker import Block, check
from tests.support.lab.history import Operation

NODES = ("node-1", "node-2", "node-3")


def block(height: int, *transactions: str, fork: str = "") -> Block:
    parent = f"b{height - 1}" if height else ""
    return Block(height, f"b{height}{fork}", parent, transactions)


CHAIN = [block(0), block(1, "t1", "t2"), block(2, "t3"), block(3), block(4, "t4", "t5")]


def write(number: int, key: str, value: str, place: tuple[int, int], answer: str) -> Operation:
    """One that was invoked at second ``number`` and acknowledged half a second later."""
    return Operation(
        "write", 1, "node-1", key, value, float(number), number + 0.5, "ok", f"t{number}",
        *place, answer,
    )  # fmt: skip


def read(at: float, node: str, height: int, answer: str) -> Operation:
    return Operation("read", 1, node, "r1", "", at, at + 0.1, "ok", "", height, -1, answer)


def token(number: int, outcome: str, place: tuple[int, int] = (-1, -1)) -> Operation:
    return Operation(
        "add", 2, "node-2", f"k{number}", f"k{number}", float(number), number + 0.5,
        outcome, f"t{number}", *place, 1 if outcome == "ok" else "",  # type: ignore[arg-type]
    )  # fmt: skip


def good() -> tuple[list[Operation], dict[str, list[Block]]]:
    """A run in which nothing is wrong; of one write and one token nobody heard the outcome."""
    operations = [
        write(1, "r1", "a", (1, 0), ""),
        token(2, "ok", (1, 1)),
        write(3, "r1", "b", (2, 0), "a"),
        replace(
            write(4, "r1", "c", (4, 0), "b"), outcome="unknown", height=-1, index=-1, answer=""
        ),
        token(5, "ok", (4, 1)),
        token(6, "unknown"),
        replace(token(7, "refused"), why="expired: too late"),
        read(2.1, "node-1", 1, "a"),
        read(3.6, "node-1", 2, "b"),
        read(3.7, "node-3", 1, "a"),
        read(6.0, "node-1", 4, "c"),
    ]
    return operations, {node: list(CHAIN) for node in NODES}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert check(*good()) == []


Chains = dict[str, list[Block]]
Plant = Callable[[list[Operation], Chains], object]


def _everywhere(chains: Chains, height: int, *transactions: str) -> None:
    for chain in chains.values():
        chain[height] = replace(chain[height], transactions=transactions)


def _change(operations: list[Operation], place: int, **fields: object) -> None:
    operations[place] = replace(operations[place], **fields)  # type: ignore[arg-type]


PLANTED: Sequence[tuple[str, Plant]] = [
    ("two histories", lambda o, c: c["node-2"].__setitem__(3, block(3, fork="x"))),
    ("a broken chain", lambda o, c: c["node-2"].__setitem__(3, block(3, fork="x"))),
    ("a chain that is shorter", lambda o, c: c["node-3"].pop()),
    ("a gap", lambda o, c: c["node-1"].pop(2)),
    ("a transaction twice", lambda o, c: _everywhere(c, 3, "t1")),
    ("a token was added twice", lambda o, c: _everywhere(c, 3, "t2")),
    ("an acknowledged write is missing", lambda o, c: _everywhere(c, 2)),
    ("an acknowledged write is missing", lambda o, c: c["node-2"].__setitem__(2, block(2))),
    ("a write stands elsewhere", lambda o, c: _everywhere(c, 1, "t2", "t1")),
    ("a write stands elsewhere", lambda o, c: _change(o, 0, height=2)),
    ("a refused write took effect", lambda o, c: _everywhere(c, 3, "t7")),
    ("a write that nobody sent", lambda o, c: _everywhere(c, 3, "t99")),
    ("acknowledged first, ordered later", lambda o, c: _change(o, 4, invoked=0.1, completed=0.2)),
    ("a wrong answer", lambda o, c: _change(o, 2, answer="")),
    ("a wrong answer", lambda o, c: _change(o, 1, answer=2)),
    ("a wrong read", lambda o, c: _change(o, 8, answer="a")),
    ("a wrong read", lambda o, c: _change(o, 10, answer="b")),
    (
        "a node went back",
        lambda o, c: _change(o, 8, height=1, answer="a", invoked=5.6, completed=5.7),
    ),
    ("a node went back", lambda o, c: o.append(read(7.0, "node-1", 3, "b"))),
]


@pytest.mark.parametrize(
    ("rule", "plant"), PLANTED, ids=[f"{n}-{r}" for n, (r, _) in enumerate(PLANTED)]
)
def test_a_planted_violation_is_found(rule: str, plant: Plant) -> None:
    operations, chains = good()
    plant(operations, chains)
    assert rule in {violation.rule for violation in check(operations, chains)}


def test_a_write_whose_outcome_nobody_heard_may_be_there_or_not() -> None:
    operations, chains = good()
    _everywhere(chains, 4, "t4", "t5", "t6")
    assert check(operations, chains) == []
    operations, chains = good()
    _everywhere(chains, 4, "t5")
    _change(operations, 4, index=0)
    operations.pop()
    assert check(operations, chains) == []
