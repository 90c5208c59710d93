"""Records are anchored, found again with a proof, superseded and marked."""

from hashlib import sha256
from typing import Any

import pytest

from ledger.chain import merkle
from ledger.chain.pointer import Pointer
from tests.support.contracts import World, name_of, pointer

BATCH = [pointer(size=size) for size in range(11)]


@pytest.fixture
def world() -> World:
    return World()


def proof_of(index: int, batch: list[dict[str, Any]] = BATCH) -> dict[str, Any]:
    hashes = [name_of(entry) for entry in batch]
    return {
        "root": merkle.root_of_hashes(hashes),
        "index": index,
        "size": len(batch),
        "path": list(merkle.inclusion_path(hashes, index)),
    }


def anchored_batch(world: World) -> None:
    world.does(
        "city-1", "records", "anchor_many", holder="city", root=proof_of(0)["root"],
        size=len(BATCH),
    )  # fmt: skip


def find(world: World, record: dict[str, Any], proof: dict[str, Any]) -> str:
    status: str = world.asks("records", "find", pointer=record, proof=proof)["status"]
    return status


def test_a_record_anchored_alone_is_found_under_its_name(world: World) -> None:
    record = pointer()
    name = world.does("city-1", "records", "anchor", pointer=record)
    assert name == Pointer(**record).name()
    assert find(world, record, {}) == "anchored"


@pytest.mark.parametrize("index", range(len(BATCH)))
def test_every_record_of_a_batch_is_found_with_its_proof(world: World, index: int) -> None:
    anchored_batch(world)
    assert find(world, BATCH[index], proof_of(index)) == "anchored"


def test_a_batch_says_nothing_about_its_records(world: World) -> None:
    anchored_batch(world)
    assert world.entry(f"records/batches/city/{proof_of(0)['root'].hex()}") == {
        "size": len(BATCH), "height": world.height, "time": world.time,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4},
        {"index": -1},
        {"index": 11},
        {"size": 12},
        {"size": 0},
        {"path": []},
        {"path": [bytes(32)] * 4},
        {"root": bytes(32)},
    ],
)
def test_a_forged_proof_finds_nothing(world: World, change: dict[str, Any]) -> None:
    anchored_batch(world)
    assert find(world, BATCH[3], {**proof_of(3), **change}) == "unknown"


def test_a_changed_pointer_finds_nothing(world: World) -> None:
    anchored_batch(world)
    assert find(world, {**BATCH[3], "confidentiality": "V"}, proof_of(3)) == "unknown"
    assert find(world, BATCH[3], {}) == "unknown"


def test_a_batch_of_another_holder_finds_nothing(world: World) -> None:
    """A holder can anchor whatever tree it likes, but only under its own name."""
    world.does(
        "county-1", "records", "anchor_many", holder="county", root=proof_of(0)["root"],
        size=len(BATCH),
    )  # fmt: skip
    assert find(world, BATCH[3], proof_of(3)) == "unknown"


def test_only_the_holders_officers_anchor_and_mark(world: World) -> None:
    root = sha256(b"root").digest()
    batch = {"holder": "city", "root": root, "size": 1}
    assert world.refuses("county-1", "records", "anchor_many", **batch) == "not_affiliated"
    assert world.refuses("he", "records", "anchor_many", **batch) == "role_missing"
    assert world.refuses("county-1", "records", "anchor", pointer=pointer()) == "not_affiliated"
    mark = {"holder": "city", "name": root, "reason": "other"}
    assert world.refuses("county-1", "records", "mark_error", **mark) == "not_affiliated"


def test_nobody_marks_the_record_of_another_holder(world: World) -> None:
    record = world.anchored()
    world.does(
        "county-1", "records", "mark_error", holder="county", name=name_of(record), reason="other"
    )
    assert find(world, record, {}) == "anchored"


def test_marks_say_what_became_of_a_record(world: World) -> None:
    record = world.anchored()
    newer = name_of(pointer(size=77))
    world.does("city-1", "records", "supersede", holder="city", old=name_of(record), new=newer)
    found = world.asks("records", "find", pointer=record, proof={})
    assert (found["status"], found["by"]) == ("superseded", newer)
    world.does(
        "city-1", "records", "mark_error", holder="city", name=name_of(record),
        reason="wrong-patient",
    )  # fmt: skip
    assert find(world, record, {}) == "entered-in-error"
    assert world.refuses(
        "city-1", "records", "supersede", holder="city", old=name_of(record), new=newer
    ) == "already_in_error"  # fmt: skip


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("anchor_many", {"holder": "city", "root": b"short", "size": 1}, "bad_hash"),
        ("anchor_many", {"holder": "city", "root": bytes(32), "size": 0}, "bad_size"),
        ("anchor_many", {"holder": "city", "root": bytes(32), "size": 1 << 40}, "bad_size"),
        (
            "mark_error",
            {"holder": "city", "name": bytes(32), "reason": "embarrassing"},
            "unknown_reason",
        ),
        ("mark_error", {"holder": "city", "name": b"", "reason": "other"}, "bad_hash"),
        ("supersede", {"holder": "city", "old": bytes(32), "new": bytes(32)}, "bad_hash"),
        ("anchor", {"pointer": pointer() | {"kind": "diary"}}, "bad_pointer"),
        ("anchor", {"pointer": pointer() | {"extra": 1}}, "bad_pointer"),
        ("anchor", {"pointer": pointer() | {"digest": b"short"}}, "bad_pointer"),
        ("anchor", {"pointer": pointer() | {"end": 0}}, "bad_pointer"),
        ("anchor", {"pointer": pointer() | {"subject": "Zhang Wuji"}}, "bad_pointer"),
        ("anchor", {"pointer": pointer() | {"media": "x" * 129}}, "bad_pointer"),
    ],
)
def test_what_is_malformed_is_not_anchored(
    world: World, method: str, arguments: dict[str, Any], code: str
) -> None:
    assert world.refuses("city-1", "records", method, **arguments) == code


def test_the_same_is_anchored_once(world: World) -> None:
    anchored_batch(world)
    assert world.refuses(
        "city-1", "records", "anchor_many", holder="city", root=proof_of(0)["root"], size=11
    ) == "already_anchored"  # fmt: skip
    record = world.anchored()
    assert world.refuses("city-1", "records", "anchor", pointer=record) == "already_anchored"
