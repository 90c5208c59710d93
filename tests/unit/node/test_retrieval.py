"""A physician finds and fetches what another hospital holds, and what the chain says of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.chain.transaction import Call
from ledger.crypto.hashing import RECORD
from ledger.node import retrieval as retrieval_module
from ledger.node.announcing import keep_announced
from ledger.node.holders import HolderFailed
from ledger.node.retrieval import ActFailed, Denied, Emergency, Found, Retrieval, Retrieved
from tests.support.exchange import URL, East, home_of, reply, retrieval_for
from tests.support.local_service import Consortium, open_replica

GLUCOSE = json.dumps(
    {"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "valueString": "5.4"}
).encode()
SCAN = b"%PDF-1.7" + bytes(range(256)) * 3_000
DOCUMENT = json.dumps(
    {
        "resourceType": "DocumentReference", "subject": {"reference": "Patient/1"},
        "content": [{"attachment": {"url": "scan.pdf"}}],
    }
).encode()  # fmt: skip
FILES = {"glucose.json": GLUCOSE, "document.json": DOCUMENT, "scan.pdf": SCAN}


@pytest.fixture
async def east(consortium: Consortium, tmp_path: Path) -> Any:
    replica = open_replica(consortium, tmp_path)
    east = East(replica, consortium.nodes, consortium.network)
    east.equip(home_of(consortium, tmp_path / "home"), consortium)
    await east.anchor(FILES, east.people["patient-pieter"].id)
    physician = east.people["south-physician"]
    east.custody[physician.id] = east.people.signing_key(physician, lambda: "")
    yield east
    east.desk.close()
    replica.store.close()


@pytest.fixture
def pieter(consortium: Consortium) -> str:
    return consortium.people["patient-pieter"].id


@pytest.fixture
def doctor(consortium: Consortium) -> str:
    return consortium.people["south-physician"].id


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval_module, "PAUSE_SECONDS", 0.0)


async def announce(east: East, url: str = URL) -> None:
    arguments = {"institution": "east", "url": url}
    _, result = await east.perform(Call("directory", "announce", arguments))
    assert result.ok, result.error


async def permit(east: East, pieter: str) -> None:
    scope = {"institutions": ["south"], "purposes": ["TREAT"]}
    result = await east.says(
        "patient-pieter", "consent", "grant", id="c", subject=pieter, scope=scope
    )
    assert result.ok, result.error


async def search(retrieval: Retrieval, doctor: str, pieter: str, **more: Any) -> Found:
    return await retrieval.search_records(doctor, "south", pieter, "TREAT", **more)


async def content(record: Retrieved) -> bytes:
    return b"".join([piece async for piece in record.pieces])


async def test_with_a_consent_records_elsewhere_are_found_and_fetched_and_receipts_written(
    east: East, doctor: str, pieter: str
) -> None:
    await announce(east)
    await permit(east, pieter)
    retrieval = retrieval_for(east)
    found = await search(retrieval, doctor, pieter)
    assert (len(found.shown), found.problems) == (3, [])
    enquiry = east.ask("enquiry", "enquiry", {"id": found.enquiry}).value
    assert (enquiry["asker"], enquiry["subject"]) == (doctor, pieter)
    fetched = {}
    for shown in found.shown:
        record = await retrieval.fetch_record(doctor, "south", shown, "TREAT")
        assert (record.media, record.size) == (shown.pointer.media, shown.pointer.size)
        fetched[record.decision] = await content(record)
    assert sorted(fetched.values()) == sorted(FILES.values())
    for decision in fetched:
        entry = east.ask("access", "decision", {"id": decision}).value
        assert entry["released"]["matches"] is True
        assert entry["received"]["matches"] is True


async def test_without_a_permit_nothing_is_found_and_nothing_says_that_there_is_something(
    east: East, doctor: str, pieter: str
) -> None:
    await announce(east)
    roel = east.people["patient-roel"].id
    retrieval = retrieval_for(east)
    for subject in (pieter, roel):
        found = await search(retrieval, doctor, subject)
        assert (found.shown, found.problems) == ([], [])


async def test_a_permit_that_ended_after_the_search_is_denied_with_its_rule(
    east: East, doctor: str, pieter: str
) -> None:
    await announce(east)
    await permit(east, pieter)
    retrieval = retrieval_for(east)
    shown = (await search(retrieval, doctor, pieter)).shown[0]
    await east.says("patient-pieter", "consent", "withdraw", id="c")
    with pytest.raises(Denied) as denied:
        await retrieval.fetch_record(doctor, "south", shown, "TREAT")
    assert denied.value.decision["rule"] == "access:nothing-permits"


async def test_the_chain_refuses_who_may_not_act_for_a_purpose(
    east: East, doctor: str, pieter: str
) -> None:
    with pytest.raises(ActFailed) as refused:
        await retrieval_for(east).search_records(doctor, "south", pieter, "HRESCH")
    assert refused.value.code == "role_not_suited"


async def test_in_an_emergency_the_glass_is_broken_for_search_and_record(
    east: East, pieter: str
) -> None:
    chief = east.people["east-physician"]
    east.custody[chief.id] = east.people.signing_key(chief, lambda: "")
    retrieval = retrieval_for(east, "east", local=True)
    why = Emergency("unconscious", bytes(32))
    found = await retrieval.search_records(chief.id, "east", pieter, "BTG", emergency=why)
    assert len(found.shown) == 3
    record = await retrieval.fetch_record(chief.id, "east", found.shown[0], "BTG", emergency=why)
    assert len(await content(record)) == record.size
    decision = east.ask("access", "decision", {"id": record.decision}).value
    assert (decision["purpose"], decision["case"]) == ("BTG", found.enquiry)


async def test_holders_that_fail_are_named_and_the_others_count(
    east: East, doctor: str, pieter: str
) -> None:
    await announce(east)
    await permit(east, pieter)
    found = await search(retrieval_for(east), doctor, pieter, holders=["east", "west", "nowhere"])
    assert len(found.shown) == 3
    assert [(problem.holder, problem.code) for problem in found.problems] == [
        ("nowhere", "no-place"), ("west", "no-place"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((403,), "refused"),
        ((429,), "too-often"),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), "bad-answer"),
        ((500,), "bad-answer"),
        ((200, b"junk"), "bad-answer"),
    ],
)
async def test_each_way_of_failing_has_a_name(
    east: East, doctor: str, pieter: str, answer: tuple[Any, ...], code: str
) -> None:
    await announce(east)
    retrieval = retrieval_for(east, change=lambda _request, _content: reply(*answer))
    found = await search(retrieval, doctor, pieter)
    assert [(problem.holder, problem.code) for problem in found.problems] == [("east", code)]
    assert found.shown == []


@pytest.mark.parametrize(
    ("url", "loopback", "code"),
    [
        ("http://10.0.0.1:9200", True, "unsafe-place"),
        ("http://127.0.0.1:8100", False, "unsafe-place"),
        ("http://169.254.169.254/latest", True, "unsafe-place"),
    ],
)
async def test_plain_http_is_for_loopback_alone(
    east: East, doctor: str, pieter: str, url: str, loopback: bool, code: str
) -> None:
    await announce(east, url)
    retrieval = retrieval_for(east)
    retrieval._holders._trusted = type(retrieval._holders._trusted)(loopback=loopback)
    found = await search(retrieval, doctor, pieter)
    assert [problem.code for problem in found.problems] == [code]


# --- on its way ---------------------------------------------------------------------------------


async def scan_of(retrieval: Retrieval, doctor: str, pieter: str) -> Retrieved:
    found = await search(retrieval, doctor, pieter)
    (shown,) = [each for each in found.shown if each.pointer.media == "application/pdf"]
    return await retrieval.fetch_record(doctor, "south", shown, "TREAT")


async def test_a_transfer_that_breaks_off_goes_on(east: East, doctor: str, pieter: str) -> None:
    await announce(east)
    await permit(east, pieter)
    firsts: list[str] = []

    def cut(request: httpx.Request, content: bytes) -> httpx.Response:
        if request.url.path != "/v1/records/release":
            return reply(200, content)
        firsts.append(request.url.params.get("first", "0"))
        return reply(200, content if len(firsts) > 2 else content[:300_000])

    record = await scan_of(retrieval_for(east, change=cut), doctor, pieter)
    assert await content(record) == SCAN
    assert firsts == ["0", "1", "2"]
    entry = east.ask("access", "decision", {"id": record.decision}).value
    assert entry["received"]["matches"] is True


@pytest.mark.parametrize("wrong", ["changed", "cut", "refused"])
async def test_what_does_not_arrive_as_it_was_anchored_gets_no_receipt(
    east: East, doctor: str, pieter: str, wrong: str
) -> None:
    await announce(east)
    await permit(east, pieter)

    def spoil(request: httpx.Request, content: bytes) -> httpx.Response:
        if request.url.path != "/v1/records/release":
            return reply(200, content)
        if wrong == "refused":
            return reply(403)
        if wrong == "cut":
            return reply(200, content[:100])
        return reply(200, content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])

    record = await scan_of(retrieval_for(east, change=spoil), doctor, pieter)
    with pytest.raises(HolderFailed):
        await content(record)
    entry = east.ask("access", "decision", {"id": record.decision}).value
    assert entry["received"] is None


async def test_only_an_officer_of_the_holder_answers_for_it(
    east: East, doctor: str, pieter: str
) -> None:
    await announce(east)
    await permit(east, pieter)
    east.desk._officer = lambda: east._keys["south-1"]
    record = await scan_of(retrieval_for(east), doctor, pieter)
    with pytest.raises(HolderFailed, match="officer"):
        await content(record)


async def test_bytes_that_are_not_the_anchored_ones_are_written_down_as_such(
    east: East, doctor: str, pieter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce(east)
    await permit(east, pieter)
    other = GLUCOSE.replace(b"5.4", b"4.5")
    retrieval = retrieval_for(east)
    found = await search(retrieval, doctor, pieter)
    (shown,) = [each for each in found.shown if each.pointer.size == len(GLUCOSE)]
    entry = east.desk._vault.lookup(shown.pointer.name())
    monkeypatch.setattr(
        "ledger.node.vault.opened.OpenedRecord.pieces", lambda _self, _start: iter([other])
    )
    record = await retrieval.fetch_record(doctor, "south", shown, "TREAT")
    with pytest.raises(HolderFailed):
        await content(record)
    received = east.ask("access", "decision", {"id": record.decision}).value["received"]
    assert received["matches"] is False
    assert received["digest"] == RECORD(entry.salts.digest + other)


# --- saying where one answers -------------------------------------------------------------------


async def test_a_node_announces_where_it_answers_once(east: East) -> None:
    for _ in range(2):
        height = east.head().height
        task = asyncio.create_task(keep_announced("east", URL, east.place, east.perform))
        while east.place("east") is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert east.place("east")["url"] == URL
    assert east.head().height == height
