"""Going through the ids of a prefecture, against everything that is stored, sent or on the chain.

A hospital makes pseudonyms of its patients, the nodes of all members do their part, and then an
attacker gets hold of it all: the state with every transaction's traces, the homes of all members,
the hospital's files, what went over the wire, the logs; and t-1 validators give it their shares. It
tries out ids, the patients' own among them, and finds nothing. One share more, and it finds
everybody.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from ledger.client import pseudonyms, subjects
from ledger.crypto.oprf import group, sharing, voprf
from tests.support.budget import IDS
from tests.support.contracts import NODES, START, World, key_of
from tests.support.contracts.amending import amended
from tests.support.enumeration import Attacker, Loot, hits, prefecture
from tests.support.pseudonym_net import DOMAIN, Net

REGION = "610602"
PATIENTS = list(islice(prefecture(REGION, Random(7)), 12))
SECRETS = 2


SOURCES = b"charter/sources/"


@cache
def sources() -> Loot:
    """The contracts' text, which is the same on every chain; it takes a second to take apart."""
    loot = Loot()
    for key, value in World().state.items():
        if key.startswith(SOURCES):
            loot.add(value)
    return loot


class Scene:
    """What there is after a day's work, and who can do what with it."""

    def __init__(self, net: Net, directory: Path, log: str) -> None:
        self.net = net
        self.loot = Loot(sources())
        for key, value in net.world.state.items():
            if not key.startswith(SOURCES):
                self.loot.add(key + b"\x00" + value)
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.suffix != ".csv":
                self.loot.add(path.name.encode() + b"\x00" + path.read_bytes())
        for raw in net.seen:
            self.loot.add(raw)
        self.loot.add(log.encode())
        epoch = net.board.epoch(DOMAIN)
        assert epoch is not None
        self.holders = epoch.holders
        held = {name: net.members[name].party.share(net.board, DOMAIN) for name in NODES}
        self.shares = {found[1]: found[2] for found in held.values() if found is not None}
        self.words = [net.world.chain, *(key_of(name).public for name in NODES), b"p-", b"city"]


@pytest_asyncio.fixture(loop_scope="function")
async def scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Scene]:
    net = Net(tmp_path)
    net.play()
    source = tmp_path / "patients.csv"
    rows = [f"Patient/{place},{number}" for place, number in enumerate(PATIENTS)]
    wrong = PATIENTS[0][:17] + ("1" if PATIENTS[0][17] != "1" else "2")
    source.write_text("\n".join(["reference,id", *rows, f"Patient/x,{wrong}"]) + "\n")
    deriver = net.deriver("city-1")
    await asyncio.to_thread(
        subjects.make, source, net.members["city-1"].home / "subjects.json",
        lambda numbers: deriver.patients(numbers, 1),
    )  # fmt: skip
    # The pseudonyms come to the chain with the patients' records.
    made = json.loads((net.members["city-1"].home / "subjects.json").read_text())
    for name in made.values():
        net.world.does("clerk", "registry", "enrol", id=name, institution="city",
                       roles=["patient"], keys=[])  # fmt: skip
        net.world.anchored(subject=name, size=net.world.height + 1)
    day = START // 86_400_000
    net.world.later(86_400_000)
    for name in NODES:
        counts = net.members[name].usage.of_day(day)
        net.world.does(name, "pseudonyms", "account", day=day, counts=counts)
    out, err = capsys.readouterr()
    yield Scene(net, tmp_path, out + err)


def test_whoever_tries_out_a_prefecture_finds_nothing_with_all_but_one_share(scene: Scene) -> None:
    assert scene.loot.size > 100_000
    tried = [*PATIENTS, *islice(prefecture(REGION, Random(1)), IDS)]
    some = dict(list(scene.shares.items())[:SECRETS])
    attacker = Attacker(scene.holders, some, scene.words)
    assert len(list(attacker.computed(PATIENTS[0]))) > 150
    assert hits(attacker, scene.loot, tried) == []


@pytest.mark.parametrize("colluding", [(1, 2), (1, 4), (2, 3), (3, 4)])
def test_no_two_validators_find_a_patient(scene: Scene, colluding: tuple[int, int]) -> None:
    attacker = Attacker(scene.holders, {i: scene.shares[i] for i in colluding}, scene.words)
    assert hits(attacker, scene.loot, PATIENTS[:4]) == []


def test_the_search_finds_every_patient_once_there_are_enough_shares(scene: Scene) -> None:
    """Otherwise the tests above would say nothing."""
    some = dict(list(scene.shares.items())[: scene.holders.threshold])
    key = group.ZERO
    for index, share in some.items():
        key = group.plus(key, group.times(sharing.weight(index, list(some)), share))
    for number in PATIENTS:
        text = pseudonyms.ID_TAG + number.encode()
        found = voprf.output(text, group.multiply(key, voprf.point_of(text)))
        assert scene.loot.has(found[: pseudonyms.PSEUDONYM_BYTES])
    with pytest.raises(ValueError, match="no attack"):
        Attacker(scene.holders, some)


@pytest.mark.parametrize(
    "leak",
    [
        lambda number: number.encode(),
        lambda number: sha256(number.encode()).digest(),
        lambda number: sha256(sha256(number.encode()).digest()).hexdigest().encode(),
        lambda number: base64.b64encode(sha256(number.encode()).digest()),
        lambda number: voprf.point_of(pseudonyms.ID_TAG + number.encode()),
        lambda number: b"log: " + number[:6].encode() + number[8:17].encode() + b" refused",
    ],
    ids=["plain", "hash", "hash of hash in hex", "hash in base64", "unblinded", "old form"],
)
def test_one_leak_anywhere_would_be_found(scene: Scene, leak: object) -> None:
    scene.loot.add(b"\x01" + leak(PATIENTS[3]) + b"\x02")  # type: ignore[operator]
    attacker = Attacker(scene.holders, {}, scene.words)
    assert hits(attacker, scene.loot, PATIENTS[:6]) == [PATIENTS[3]]


def test_the_share_that_is_missing_leaves_every_pseudonym_possible(scene: Scene) -> None:
    """Two of three shares fit any key at all, and so any pseudonym for any id."""
    known = dict(list(scene.shares.items())[:SECRETS])
    indexes = [*known, next(index for index in scene.shares if index not in known)]
    text = pseudonyms.ID_TAG + PATIENTS[0].encode()
    names = set()
    for guess in range(1, 6):
        key = group.of_int(guess)
        rest = key
        for index, share in known.items():
            rest = group.minus(rest, group.times(sharing.weight(index, indexes), share))
        third = group.times(rest, group.inverse(sharing.weight(indexes[-1], indexes)))
        assert group.scalar(third) == third
        names.add(voprf.output(text, group.multiply(key, voprf.point_of(text))))
    assert len(names) == 5


def test_who_tries_out_ids_by_asking_is_stopped_and_noticed(tmp_path: Path) -> None:
    net = Net(tmp_path)
    net.play()
    amended(net.world, "pseudonyms", quota=40, alarm=30)

    async def enumerate_by_asking() -> int:
        named = 0
        deriver = net.deriver("county-1")
        numbers = list(islice(prefecture(REGION, Random(2)), 60))
        for start in range(0, 60, 10):
            try:
                named += len(
                    await asyncio.to_thread(deriver.patients, numbers[start : start + 10], 1)
                )
            except pseudonyms.NotAnswered:
                break
        return named

    # Each holder counts for itself; three answer each time, so four give at most 53.
    named = asyncio.run(enumerate_by_asking())
    assert 40 <= named <= 50
    day = net.world.time // 86_400_000
    net.world.later(86_400_000)
    noticed = []
    for name in NODES:
        counts = net.members[name].usage.of_day(day)
        result = net.world.call(name, "pseudonyms", "account", day=day, counts=counts)
        noticed += [event.fields["institution"] for event in result.events]
    assert set(noticed) == {"county"}
