"""The record desk: a release is on the chain first, or nothing leaves."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import until
from sqlalchemy.exc import OperationalError

from ledger.chain.codec import encode
from ledger.chain.exchange import Shown, ask_enquiry, ask_pointers, ask_release, open_pointers
from ledger.chain.result import CallResult
from ledger.chain.streaming import open_whole
from ledger.chain.tokens import LabelKey, tokens_root
from ledger.chain.transaction import Call
from ledger.crypto.keys import SigningKey, key_id
from ledger.crypto.sealing import SealingKey
from ledger.node import desk as desk_module
from ledger.node.answers import NotPermitted, TooOften
from ledger.node.clock import now_ms
from ledger.node.desk import AnswerBroken, RecordDesk
from ledger.node.metrics import Metrics
from ledger.node.setup.home import NodeHome, load_home
from ledger.node.vault.patients import LABEL_KEYS_FILE, SUBJECTS_FILE
from tests.support.local_service import Consortium
from tests.support.release import CONTENT, SUBJECT, Scene

RECORD = "a.json"
DOCTOR = {"id": "p-doctor", "status": "active", "affiliations": []}


class Counter:
    """A desk of the East Hospital, with what it writes on the chain."""

    def __init__(self, home: NodeHome) -> None:
        self.metrics = Metrics()
        self.calls: list[Call] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[CallResult] = []
        self.error = ""
        self.failure: Exception | None = None
        self.time = 1_000_000
        self.requester = SigningKey.generate()
        self.reply = SealingKey.generate()
        self.scene = Scene(
            vault=None, source=None, pointer=None, proof={}, requester=self.requester,
            reply=self.reply,
        )  # type: ignore[arg-type] # fmt: skip
        self.desk = RecordDesk(
            home,
            self.scene.chain,
            self.scene.validators,
            clock=now_ms,
            entropy=secrets.token_bytes,
            block_time=lambda: self.time,
            whois=self.whois,
            ask=self.ask,
            officer=lambda: self.officer,
            perform=self.perform,
            metrics=self.metrics,
        )
        self.people: dict[str, dict[str, Any]] = {key_id(self.requester.public): DOCTOR}
        self.officer = SigningKey.generate()

    def whois(self, key: str) -> dict[str, Any] | None:
        return self.people.get(key)

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> CallResult:
        self.asked.append((contract, method, arguments))
        return self.answers.pop(0)

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure
        return 1, CallResult(not self.error, self.error, None, 1, ())

    async def anchored(self) -> None:
        """Let the desk take in and anchor its source once."""
        task = asyncio.create_task(self.desk.keep_anchored())
        await until(lambda: self.desk._vault.pointers_of(SUBJECT))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.calls.clear()

    def held(self) -> Shown:
        return self.desk._vault.pointers_of(SUBJECT)[0]

    def permit(self, **changes: Any) -> tuple[str, bytes]:
        """(decision id, release request) for a certified permit."""
        self.scene.pointer, self.scene.proof = self.held()[:2]
        decision, receipt = self.scene.permit(**changes)
        question = ask_release(self.requester, self.scene.chain, "east", decision, receipt)
        return decision, encode(question)

    def counted(self, name: str) -> float:
        value = self.metrics.registry.get_sample_value(f"ledger_{name}_total")
        assert value is not None
        return value


async def answered(counter: Counter, request: bytes, first: int = 0) -> bytes:
    """The whole answer to a release request."""
    return b"".join([piece async for piece in await counter.desk.release(request, first)])


@pytest.fixture
def home(consortium: Consortium, tmp_path: Path) -> NodeHome:
    """East's home with one record, in a place of its own."""
    original = load_home(consortium.home / "nodes" / "east-1")
    records = tmp_path / "vault" / "records"
    records.mkdir(parents=True)
    (records / RECORD).write_bytes(CONTENT)
    (tmp_path / "vault" / SUBJECTS_FILE).write_text(json.dumps({"Patient/1": SUBJECT}))
    return NodeHome(tmp_path, original.settings)


@pytest.fixture
def counter(home: NodeHome) -> Iterator[Counter]:
    counter = Counter(home)
    yield counter
    counter.desk.close()


async def test_a_permitted_record_is_written_down_and_handed_out(counter: Counter) -> None:
    await counter.anchored()
    decision, request = counter.permit()
    sealed = await answered(counter, request)
    pointer = counter.held().pointer
    assert open_whole(sealed, counter.reply, counter.scene.chain, decision, pointer) == CONTENT
    assert counter.calls == [
        Call("access", "release", {"request": decision, "digest": pointer.digest})
    ]
    assert counter.counted("records_released") == 1


async def test_a_release_that_was_written_down_before_is_repeated(counter: Counter) -> None:
    await counter.anchored()
    _decision, request = counter.permit()
    counter.error = "already_released: the release was written down before (access:1)"
    assert await answered(counter, request)


@pytest.mark.parametrize("failure", [TimeoutError(), TimeoutError("late"), PermissionError("full")])
async def test_nothing_leaves_that_could_not_be_written_down(
    counter: Counter, failure: Exception
) -> None:
    await counter.anchored()
    _decision, request = counter.permit()
    counter.failure = failure
    with pytest.raises(NotPermitted) as refused:
        await counter.desk.release(request)
    assert str(refused.value) == "not permitted"
    assert counter.counted("records_released") == 0
    assert counter.counted("records_withheld") == 1


async def test_nothing_leaves_when_the_chain_refuses_the_release(counter: Counter) -> None:
    await counter.anchored()
    _decision, request = counter.permit()
    counter.error = "not_permitted: the request was denied (access:1)"
    with pytest.raises(NotPermitted):
        await counter.desk.release(request)
    assert counter.counted("records_released") == 0


async def test_an_expired_permit_is_refused_by_block_time(counter: Counter) -> None:
    await counter.anchored()
    _decision, request = counter.permit()
    counter.time = counter.scene.expires - 1
    assert await answered(counter, request)
    counter.time = counter.scene.expires
    with pytest.raises(NotPermitted):
        await counter.desk.release(request)
    assert len(counter.calls) == 1


async def test_an_altered_record_is_withheld_and_counted(counter: Counter, home: NodeHome) -> None:
    await counter.anchored()
    _decision, request = counter.permit()
    path = home.path / "vault" / "records" / RECORD
    path.write_bytes(CONTENT.replace(b"5.4", b"4.5"))
    with pytest.raises(NotPermitted):
        await counter.desk.release(request)
    assert counter.counted("records_altered") == 1
    assert counter.counted("records_withheld") == 1
    assert counter.calls == []


async def test_a_subject_learns_of_its_records_and_a_stranger_does_not(counter: Counter) -> None:
    await counter.anchored()
    patient = SigningKey.generate()
    counter.people[key_id(patient.public)] = {
        "id": SUBJECT, "status": "active", "affiliations": []
    }  # fmt: skip
    reply = SealingKey.generate()
    question = ask_pointers(patient, counter.scene.chain, "east", SUBJECT, reply.public, 0)
    found, total = open_pointers(await counter.desk.pointers(encode(question)), reply, question)
    assert (found, total) == ([counter.held()], 1)
    foreign = ask_pointers(
        SigningKey.generate(), counter.scene.chain, "east", SUBJECT, reply.public, 0
    )
    with pytest.raises(NotPermitted):
        await counter.desk.pointers(encode(foreign))
    assert counter.counted("records_withheld") == 1


@pytest.mark.parametrize(
    "failure",
    [
        TimeoutError(),
        PermissionError("pool_full"),
        OSError("gone"),
        OperationalError("insert", {}, Exception("database or disk is full")),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_anchoring_that_fails_is_tried_again(
    counter: Counter, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_SECONDS", 0.01)
    counter.failure = failure
    task = asyncio.create_task(counter.desk.keep_anchored())
    await until(lambda: len(counter.calls) >= 2)
    counter.failure = None
    await until(lambda: counter.desk._vault.pointers_of(SUBJECT))
    assert not task.done()
    task.cancel()


@pytest.mark.parametrize("content", ["", "[]", '{"Patient/1": 1}', "no list at all"])
async def test_a_bad_list_of_subjects_stops_the_anchoring_and_nothing_else(
    counter: Counter, home: NodeHome, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_SECONDS", 0.01)
    path = home.path / "vault" / SUBJECTS_FILE
    good = path.read_text()
    path.write_text(content)
    task = asyncio.create_task(counter.desk.keep_anchored())
    await asyncio.sleep(0.03)
    assert not task.done()
    assert counter.calls == []
    path.write_text(good)
    await until(lambda: counter.calls)
    task.cancel()


async def test_a_hospital_without_patients_anchors_nothing(
    counter: Counter, home: NodeHome
) -> None:
    (home.path / "vault" / SUBJECTS_FILE).unlink()
    task = asyncio.create_task(counter.desk.keep_anchored())
    await asyncio.sleep(0.02)
    assert not task.done()
    assert counter.calls == []
    task.cancel()


async def test_records_of_a_patient_with_a_label_key_come_with_what_opens_their_labels(
    counter: Counter, home: NodeHome
) -> None:
    key = LabelKey.generate()
    (home.path / "vault" / LABEL_KEYS_FILE).write_text(f'{{"{SUBJECT}": "{key.secret.hex()}"}}')
    await counter.anchored()
    shown = counter.held()
    assert key.for_labels in shown.labels
    assert tokens_root(shown.labels) == shown.pointer.labels


@pytest.mark.parametrize("content", ['{"p": "zz"}', '{"p": "ab"}', "[]"])
async def test_bad_label_keys_stop_the_anchoring_and_nothing_else(
    counter: Counter, home: NodeHome, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_SECONDS", 0.01)
    path = home.path / "vault" / LABEL_KEYS_FILE
    path.write_text(content)
    task = asyncio.create_task(counter.desk.keep_anchored())
    await asyncio.sleep(0.03)
    assert not task.done()
    assert counter.calls == []
    path.unlink()
    await until(lambda: counter.calls)
    task.cancel()


# --- on its way ---------------------------------------------------------------------------------


async def test_a_record_that_is_left_early_makes_room_for_others(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_STREAMS", 1)
    await counter.anchored()
    _decision, request = counter.permit()
    never_read = await counter.desk.release(request)
    with pytest.raises(TooOften):
        await counter.desk.release(request)
    await never_read.aclose()
    half = await counter.desk.release(request)
    assert await anext(half)
    await half.aclose()
    assert await answered(counter, request)


async def test_who_is_refused_takes_no_room(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_STREAMS", 1)
    await counter.anchored()
    _decision, request = counter.permit()
    counter.failure = TimeoutError()
    with pytest.raises(NotPermitted):
        await counter.desk.release(request)
    counter.failure = None
    assert await answered(counter, request)


async def test_an_answer_breaks_off_where_the_source_does(counter: Counter, home: NodeHome) -> None:
    await counter.anchored()
    _decision, request = counter.permit()
    pieces = await counter.desk.release(request)
    (home.path / "vault" / "records" / RECORD).write_bytes(CONTENT.replace(b"5.4", b"4.5"))
    with pytest.raises(AnswerBroken):
        _ = [piece async for piece in pieces]
    assert counter.counted("records_altered") == 1


async def test_an_enquiry_is_answered_by_what_the_contracts_permit(counter: Counter) -> None:
    await counter.anchored()
    held = counter.held()
    identity, receipt = counter.scene.enquiry()
    question = ask_enquiry(
        counter.requester, counter.scene.chain, "east", SUBJECT, identity, receipt
    )
    verdicts = [
        (CallResult(True, "", {"outcome": "permit"}, 1, ()), ([held], 1)),
        (CallResult(True, "", {"outcome": "deny"}, 1, ()), ([], 0)),
        (CallResult(False, "not_affiliated: no", None, 1, ()), ([], 0)),
    ]
    for verdict, expected in verdicts:
        counter.answers = [verdict]
        answer = await counter.desk.enquired(encode(question))
        assert open_pointers(answer, counter.reply, question) == expected
    assert counter.asked[0] == (
        "access", "preview",
        {
            "pointer": held.pointer.value(), "proof": held.proof, "purpose": "TREAT",
            "institution": "west", "key": key_id(counter.requester.public), "case": "case-1",
            "labels": [],
        },
    )  # fmt: skip
