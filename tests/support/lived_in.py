"""A hospital's node after a while of work, with all that it stores: to be stolen from.

Patients whose ids stand all over their records got their pseudonyms from the holders. The records
came from files and from a FHIR server, were anchored, asked for, handed out and destroyed; staff
and patients signed in, were told, read and listed.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.api.principal import Kind, Principal
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.client import subjects
from ledger.client.builder import Account, build, call
from ledger.crypto.keys import SigningKey
from ledger.node.anchoring import anchor
from ledger.node.answers import Cursor
from ledger.node.clock import now_ms
from ledger.node.consentindex import ConsentIndex
from ledger.node.events import EventFeed
from ledger.node.listening.postings import open_postings
from ledger.node.notifications.inbox import NoticeList
from ledger.node.notifications.marks import ReadMarks
from ledger.node.notifications.notifier import Notifier
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.fhirhttp import FhirHttp
from ledger.node.vault.fhirserver import FhirServerConnector
from ledger.node.vault.kept import Kept
from ledger.node.vault.patients import LABEL_KEYS_FILE, SUBJECTS_FILE
from ledger.node.vault.sources import KEPT_FILE, Sources
from ledger.node.webhooks.book import Book, Filters
from ledger.node.webhooks.courier import TAKEN, Fate, Outcome
from ledger.node.webhooks.dispatch import REFUSALS, Dispatcher
from tests.support.exchange import East, home_of, retrieval_for
from tests.support.fhirserver import BASE, FhirServer
from tests.support.local_service import Consortium, open_replica
from tests.support.pseudonym_net import Net
from tests.support.signin import make_signin

HOOK = "https://hooks.example.org/ledger"


def resource_about(number: str, place: int) -> dict[str, Any]:
    """What a hospital writes: the patient's id in every corner where ids are put."""
    told = base64.b64encode(f"Patient {number} was seen.".encode()).decode()
    return {
        "subject": {
            "reference": f"Patient/{place}",
            "identifier": {"system": "urn:oid:2.16.156.10011.1.3", "value": number},
            "display": number,
        },
        "identifier": [{"value": sha256(number.encode()).hexdigest()}],
        "contained": [{"resourceType": "Patient", "id": "1", "identifier": [{"value": number}]}],
        "text": {"status": "generated", "div": f"<div>{number}</div>"},
        "note": [{"text": f"id {number}, {number[:6]}{number[8:17]}"}],
        "extension": [{"url": "x", "valueAttachment": {"contentType": "text/plain", "data": told}}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    }


class Hospital:
    """East, with real files everywhere, in a directory of its own."""

    def __init__(self, consortium: Consortium, directory: Path, numbers: Sequence[str]) -> None:
        self.directory = directory
        self.numbers = numbers
        self.home = home_of(consortium, directory / "home")
        self.replica = open_replica(consortium, self.home.path)
        self.east = East(self.replica, consortium.nodes, consortium.network)
        self.east.equip(self.home, consortium)
        self.consortium = consortium
        self.doctor = consortium.people["south-physician"].id
        self.names: dict[str, str] = {}
        self.handed = 0
        self.keys = [SigningKey.generate() for _ in numbers]

    @property
    def vault(self) -> Path:
        return self.home.path / "vault"

    async def live(self, net: Net) -> None:
        """All of it, one after the other."""
        await self._name(net)
        await self._enrol()
        self._open_lists()
        await self._anchor()
        await self._share()
        await self._destroy()
        await self._sign_in()
        await self._tell()

    async def _name(self, net: Net) -> None:
        rows = [f"Patient/{place},{number}" for place, number in enumerate(self.numbers)]
        wrong = self.numbers[0][:17] + ("1" if self.numbers[0][17] != "1" else "2")
        rows += [f"Patient/wrong,{wrong}", f"Patient/{self.numbers[1]},{self.numbers[1]}"]
        source = self.directory / "patients.csv"
        source.write_text("\n".join(["reference,id", *rows]) + "\n")
        deriver = net.deriver("city-1")
        made = await asyncio.to_thread(
            subjects.make, source, self.vault / SUBJECTS_FILE,
            lambda numbers: deriver.patients(numbers, 1),
        )  # fmt: skip
        source.unlink()
        assert made.done == len(self.numbers)
        self.names = json.loads((self.vault / SUBJECTS_FILE).read_text())
        keys = {name: LabelKey.generate().secret.hex() for name in self.names.values()}
        (self.vault / LABEL_KEYS_FILE).write_text(json.dumps(keys))

    async def _does(
        self, signing: Sequence[SigningKey], contract: str, method: str, **args: Any
    ) -> None:
        east = self.east
        told = [call(contract, method, **args)]
        signers = [Account(key) for key in signing]
        made = build(east.chain, east.head().height, 100, told, signers)
        await east.submit([made.raw])
        await east.commit()
        outcome = east.outcome(made.id)
        assert outcome is not None
        assert outcome[2].calls[0].ok, outcome[2].calls[0].error

    async def _enrol(self) -> None:
        registrar = self.consortium.account("east-governor").key
        for name, key in zip(self.names.values(), self.keys, strict=True):
            await self._does(
                [registrar, key], "registry", "enrol", id=name, institution="east",
                roles=["patient"], keys=[Account(key).id],
            )  # fmt: skip

    def _open_lists(self) -> None:
        east, path = self.east, self.home.path
        self.postings = open_postings(path / "events.db", east.chain)
        self.feed = EventFeed(east._store, self.postings)
        east.feed = self.feed
        east.keep_lists(path / "reading.db")
        self.consents = ConsentIndex(east._store, path / "consents.db")
        self.gateway = _Gateway()
        self.notifier = Notifier(
            east.chain, "east", self.feed, path / "notifications.db", self.gateway,
            east._store.value, clock=now_ms,
        )  # fmt: skip
        self.notices = NoticeList(self.feed, east._store, ReadMarks(path / "read-marks.db"))

    async def _anchor(self) -> None:
        server = FhirServer()
        for place, number in enumerate(self.numbers):
            about = resource_about(number, place)
            (self.home.records / f"{place}.json").write_text(
                json.dumps({"resourceType": "Observation", **about})
            )
            about.pop("subject")
            server.put("Condition", f"c{place}", f"Patient/{place}", **about)
        # What cannot be taken in is written down too: without what is in it.
        number = self.numbers[0]
        (self.home.records / "broken.json").write_text(f'{{"resourceType": "{number}')
        (self.home.records / "scan.pdf").write_bytes(b"%PDF " + number.encode())
        server.put("Condition", "other", f"Patient/{number}0")
        server.put("Condition", f"!{number}")
        self.server = FhirServerConnector(
            FhirHttp(BASE, transport=server.transport()), Kept(self.vault / KEPT_FILE),
            types=("Condition",), clock=now_ms,
        )  # fmt: skip
        sources = Sources(DirectoryConnector(self.home.records), self.server)
        self.east.desk._vault._connector = sources
        for _ in range(2):
            report = await anchor(
                self.east.desk._vault, "east", self.names, now_ms(), self.east.perform,
                self.east.desk._label_keys(),
            )  # fmt: skip
            server.put("Condition", "c1", "Patient/1", note=[{"text": self.numbers[1]}])
        assert report.unreadable > 0
        assert report.unchanged + report.changed == 2 * len(self.numbers)

    async def _share(self) -> None:
        east = self.east
        east.custody[self.doctor] = east.people.signing_key(
            east.people["south-physician"], lambda: ""
        )
        url = {"institution": "east", "url": "http://127.0.0.1:8100"}
        _, result = await east.perform(Call("directory", "announce", url))
        assert result.ok, result.error
        retrieval = retrieval_for(east)
        scope = {"institutions": ["south"], "purposes": ["TREAT"]}
        for name, key in list(zip(self.names.values(), self.keys, strict=True))[:2]:
            await self._does([key], "consent", "grant", id=f"c-{name}", subject=name, scope=scope)
            found = await retrieval.search_records(self.doctor, "south", name, "TREAT")
            for shown in found.shown:
                record = await retrieval.fetch_record(self.doctor, "south", shown, "TREAT")
                content = b"".join([piece async for piece in record.pieces])
                # What is handed out says who it is; nothing that is kept of it does.
                assert any(number.encode() in content for number in self.numbers)
                self.handed += 1
        assert self.consents.catch_up(60)

    async def _destroy(self) -> None:
        vault = self.east.desk._vault
        (shown, *_) = vault.pointers_of(self.names["Patient/2"])
        assert vault.erase(shown.pointer.name(), now_ms())

    async def _sign_in(self) -> None:
        self.signin = make_signin(self.east, self.home.path)
        for name in self.names.values():
            who = Principal(Kind.PATIENT, name, "", (), ("patient/*.rs",), "", "passkey")
            opened = self.signin.establish(who, address="192.0.2.7")
            self.signin.note("audit-read", opened.principal, path=f"/v1/{name}", what="accesses")

    async def _tell(self) -> None:
        path, feed = self.home.path, self.feed
        while feed.index(self.postings):
            pass
        name = self.names["Patient/0"]
        found = await self.notices.page(name, None, 10)
        assert found.notices
        first = found.notices[0][0].event.cursor
        self.notices.mark(name, [first], None)
        self.book = Book(path / "webhooks.db")
        hook = self.book.add(
            HOOK, Filters(subject=(name,)), now=now_ms(), cursor=str(Cursor(0, 0, 0)),
            owner=name,
        )  # fmt: skip
        events = _Gateway(*[Outcome(Fate.REFUSED, "answered 400")] * REFUSALS)
        dispatcher = Dispatcher(
            feed, self.book, events.post, clock=events.clock, give_up_s=10.0**9, sleep=events.sleep
        )
        jobs = [asyncio.ensure_future(job) for job in (self.notifier.run(), dispatcher.run())]
        await asyncio.sleep(0)
        await self._does([self.keys[0]], "consent", "withdraw", id=f"c-{name}")
        async with asyncio.timeout(10):
            while events.count < REFUSALS + 2 or not self.gateway.count:
                await asyncio.sleep(0.005)
        for job in jobs:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job
        await self.notifier.close()
        assert self.book.dead(hook.id)
        assert self.consents.catch_up(60)

    def close(self) -> None:
        self.signin.close()
        self.book.close()
        self.notices.close()
        self.consents.close()
        self.feed.close()
        self.east.desk.close()
        self.replica.store.close()


class _Gateway:
    """Takes everything, after what it is told to answer first."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.count = 0
        self.now = now_ms()

    def clock(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Time passes only by waiting."""
        self.now += int(seconds * 1000) + 1
        await asyncio.sleep(0)

    async def send(self, _message: object) -> Outcome:
        self.count += 1
        return self.answers.pop(0) if self.answers else TAKEN

    async def post(self, _subscription: object, event: object) -> Outcome:
        return await self.send(event)

    async def close(self) -> None:
        """Nothing is open."""
