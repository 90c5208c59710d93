"""Marks of logs that nodes keep beside the chain."""

import pytest

from tests.support.contracts import PATIENT, World

HASH = bytes(range(32))


@pytest.fixture
def world() -> World:
    return World()


def mark(entries: int, **changes: object) -> dict[str, object]:
    return {"log": "sign-in", "entries": entries, "hash": HASH, **changes}


def test_a_node_marks_how_far_its_log_has_come(world: World) -> None:
    world.does("city-1", "journals", "mark", **mark(7))
    world.does("city-1", "journals", "mark", **mark(9, hash=HASH[::-1]))
    world.does("county-1", "journals", "mark", **mark(1))
    found = world.asks("journals", "marks_of", node="city-1", log="sign-in")
    assert [(one["entries"], one["hash"]) for one in found] == [(7, HASH), (9, HASH[::-1])]
    assert world.asks("journals", "marks_of", node="county-1", log="sign-in")[0]["entries"] == 1
    assert world.asks("journals", "marks_of", node="city-2", log="sign-in") == []


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("he", {}, "role_missing"),
        ("clerk", {}, "role_missing"),
        (PATIENT, {}, "role_missing"),
        ("stranger", {}, "unknown_key"),
        ("city-1", {"entries": 7}, "not_further"),
        ("city-1", {"entries": 6}, "not_further"),
        ("city-1", {"entries": 0}, "not_further"),
        ("city-1", {"log": "else"}, "unknown_log"),
        ("city-1", {"hash": b""}, "bad_hash"),
        ("city-1", {"hash": bytes(33)}, "bad_hash"),
    ],
)
def test_a_mark_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, object], code: str
) -> None:
    world.does("city-1", "journals", "mark", **mark(7))
    assert world.refuses(signer, "journals", "mark", **{**mark(8), **change}) == code


def test_the_newest_state_has_the_marks_of_a_month(world: World) -> None:
    for entries in range(1, 36):
        world.does("city-1", "journals", "mark", **mark(entries))
    found = world.asks("journals", "marks_of", node="city-1", log="sign-in")
    assert [one["entries"] for one in found] == list(range(6, 36))
