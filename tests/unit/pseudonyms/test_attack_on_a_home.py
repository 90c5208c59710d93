"""Going through the ids of a prefecture, against a hospital's node that was stolen whole.

The hospital's records say who its patients are, and whoever has them needs no attack. They are left
out of what is searched: the files of its own directory, and the bytes that are kept of a FHIR
server's records once their keys are applied (sealed, as they stand in the file, they are searched).
Everything that the node makes of them is searched to the last byte: no store must say more of
a patient than her pseudonym, and nothing in it may answer a guess.
"""

from __future__ import annotations

import base64
import hmac
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from tests.support.budget import IDS
from tests.support.contracts import NODES
from tests.support.enumeration import prefecture
from tests.support.lived_in import Hospital
from tests.support.local_service import Consortium
from tests.support.pseudonym_net import DOMAIN, Net
from tests.support.stolen import Search, Thief, cells_of, files_of, words_of

REGION = "610602"
PATIENTS = list(islice(prefecture(REGION, Random(11)), 4))
#: One of 8 of the ids that the cheaper search goes through: there are more keys to try here.
TRIED = [*PATIENTS, *islice(prefecture(REGION, Random(12)), IDS // 8)]

#: Every store that a node has of patients; one that is missing would be searched in vain.
STORES = {
    "vault.db", "keys.db", "fhir.db", "subjects.json", "label-keys.json", "ledger.db",
    "reading.db", "consents.db", "events.db", "read-marks.db", "notifications.db", "webhooks.db",
}  # fmt: skip
#: Those that have not even pseudonyms: keys and copies, places on the chain, prints of terms.
NAMELESS = {"keys.db", "fhir.db", "notifications.db", "events.db"}

#: Tables that have rows by then.
FILLED = {
    "vault.db": ["records", "batches", "openings", "passes", "handed"],
    "fhir.db": ["contents", "cursors"],
    "keys.db": ["keys"],
    "webhooks.db": ["subscriptions", "dead"],
    "notifications.db": ["subscriptions"],
    "read-marks.db": ["marks"],
}


class Theft:
    """The files of the home, and a thief who has all that a thief can have."""

    def __init__(self, hospital: Hospital, net: Net, log: str) -> None:
        self.hospital = hospital
        self.log = log
        self.files = files_of(hospital.home.path, without=[hospital.home.records])
        epoch = net.board.epoch(DOMAIN)
        assert epoch is not None
        held = [net.members[name].party.share(net.board, DOMAIN) for name in NODES]
        shares = {found[1]: found[2] for found in held if found is not None}
        some = dict(list(shares.items())[: epoch.holders.threshold - 1])
        secrets = [path for path in self.files if path.name != "ledger.db"]
        self.words = [hospital.east.chain, b"east", *words_of(secrets)]
        self.thief = Thief(epoch.holders, some, self.words)


@pytest_asyncio.fixture(loop_scope="function")
async def theft(
    consortium: Consortium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Theft]:
    net = Net(tmp_path / "net")
    net.play()
    hospital = Hospital(consortium, tmp_path, PATIENTS)
    await hospital.live(net)
    yield Theft(hospital, net, "".join(capsys.readouterr()))
    hospital.close()


LEAKS: list[Callable[[str, bytes], bytes]] = [
    lambda number, _key: number.encode(),
    lambda number, _key: sha256(number.encode()).hexdigest()[:16].encode(),
    lambda number, _key: sha256(b"Patient/" + number.encode()).digest(),
    lambda number, key: b"x" + base64.b64encode(hmac.digest(key, number.encode(), "sha256")),
    lambda number, key: sha256(key + number.encode()).digest(),
    lambda number, key: hmac.digest(key, b"stamp\x00" + number.encode(), "sha256"),
]


async def test_a_stolen_node_says_of_nobody_who_it_is(theft: Theft) -> None:
    names = {path.name for path in theft.files}
    assert names >= STORES
    assert any("signin" in path.parts for path in theft.files)
    assert theft.hospital.handed >= 4
    # A reference that is the id got no pseudonym.
    found = json.loads((theft.hospital.vault / "subjects.json").read_text())
    assert sorted(found) == [f"Patient/{place}" for place in range(len(PATIENTS))]
    # The records do say it, and the stores that name patients have their pseudonyms.
    records = b"".join(path.read_bytes() for path in files_of(theft.hospital.home.records))
    assert all(number.encode() in records for number in PATIENTS)
    for name in STORES:
        (path,) = (each for each in theft.files if each.name == name)
        if name in NAMELESS:
            assert len(list(cells_of(path))) > 1, name
            continue
        wal = path.with_name(name + "-wal")
        content = path.read_bytes() + (wal.read_bytes() if wal.exists() else b"")
        assert any(each.encode() in content for each in theft.hospital.names.values()), name
    for name, tables in FILLED.items():
        (path,) = (each for each in theft.files if each.name == name)
        with closing(sqlite3.connect(path)) as database:
            for table in tables:
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table
    search = Search(theft.thief, TRIED)
    assert len(theft.words) > 30
    assert search.through_files(theft.files) == {}
    assert search.through(theft.log.encode()) == set()

    # It would have found any of these, in a database beside the others.
    (keys,) = (path for path in theft.files if path.name == "keys.db")
    key = next(cell for cell in cells_of(keys) if len(cell) == 32)
    search = Search(theft.thief, PATIENTS)
    planted = theft.hospital.home.path / "planted.db"
    for leak in LEAKS:
        planted.unlink(missing_ok=True)
        with sqlite3.connect(planted) as database:
            database.execute("CREATE TABLE t (a, b)")
            padding = "z" * 5_000
            database.execute("INSERT INTO t VALUES (?, ?)", (padding, leak(PATIENTS[2], key)))
        database.close()
        assert PATIENTS[2] in search.through_files([planted])["planted.db"]
