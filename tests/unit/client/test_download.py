"""A record fetched piece by piece, over connections that break and to holders that are busy."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from ledger.chain.exchange import Mismatch, decode_release_request, is_signed
from ledger.chain.pointer import record_digest
from ledger.chain.receipt import build_receipt
from ledger.chain.streaming import CHUNK, seal_stream
from ledger.client import download as download_module
from ledger.client.download import Permitted, download, download_async
from ledger.client.http import AsyncClient, Client, NodeRefused, NodeUnreachable
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealingKey
from tests.unit.client.test_client_records import DECISION, SALT, pointer_to

SCAN = bytes(range(256)) * (3 * CHUNK // 256) + b"the end"
OFFICER = SigningKey(bytes(32))


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body whose connection breaks after so many bytes; never where it is None."""

    def __init__(self, content: bytes, after: int | None = None) -> None:
        self._content = content
        self._after = after

    def __iter__(self) -> Iterator[bytes]:
        yield self._content[: self._after]
        if self._after is not None:
            raise httpx.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Holder:
    """Answers release requests; each of ``troubles`` spoils one."""

    def __init__(self, pointer: Any, reply: SealingKey, content: bytes = SCAN) -> None:
        self.pointer, self.reply, self.content = pointer, reply, content
        self.firsts: list[int] = []
        self.troubles: list[Callable[[bytes], httpx.Response]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        asked = decode_release_request(request.read())
        assert is_signed(asked)
        first = int(request.url.params.get("first", "0"))
        self.firsts.append(first)
        whole = b"".join(
            seal_stream(
                asked.chain, asked.decision, self.reply.public, self.pointer, SALT, OFFICER,
                [self.content[first * CHUNK :]], first=first,
            )
        )  # fmt: skip
        if self.troubles:
            return self.troubles.pop(0)(whole)
        return httpx.Response(200, stream=Broken(whole))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
async def record(service: Any, consent: Any, patient: Any, pseudonym: str) -> Permitted:
    transaction = consent()
    await service.submit([transaction.raw])
    await service.commit()
    receipt = build_receipt(service._store, transaction.id)
    assert receipt is not None
    pointer = pointer_to(SCAN, pseudonym)
    return Permitted(patient, service.chain, DECISION, receipt, SealingKey.generate(), pointer)


@pytest.fixture
def holder(record: Permitted) -> Holder:
    return Holder(record.pointer, record.reply)


async def fetched(holder: Holder, record: Permitted, *, is_async: bool) -> bytes:
    out = io.BytesIO()
    transport = httpx.MockTransport(holder.answer)
    if is_async:
        async with AsyncClient("http://localhost", transport=transport) as client:
            await download_async(client, record, out)
    else:
        with Client("http://localhost", transport=transport) as client:
            download(client, record, out)
    return out.getvalue()


def breaks(after: int) -> Callable[[bytes], httpx.Response]:
    return lambda whole: httpx.Response(200, stream=Broken(whole, after))


def refuses(status: int) -> Callable[[bytes], httpx.Response]:
    body = b'{"code": "no", "detail": ""}'
    return lambda _whole: httpx.Response(status, stream=Broken(body))


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_record_arrives_whole_however_often_the_connection_breaks(
    holder: Holder, record: Permitted, is_async: bool
) -> None:
    holder.troubles = [
        breaks(10), breaks(CHUNK + 2_000), refuses(429), breaks(CHUNK + 2_000), refuses(503),
        lambda whole: httpx.Response(200, stream=Broken(whole[:-10])),
    ]  # fmt: skip
    assert await fetched(holder, record, is_async=is_async) == SCAN
    assert holder.firsts == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_holder_that_never_gets_further_is_given_up(
    holder: Holder, record: Permitted, is_async: bool
) -> None:
    holder.troubles = [breaks(10)] * 100
    with pytest.raises(NodeUnreachable):
        await fetched(holder, record, is_async=is_async)
    assert len(holder.firsts) == download_module.ATTEMPTS


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_refusal_is_final(holder: Holder, record: Permitted, is_async: bool) -> None:
    holder.troubles = [refuses(403)]
    with pytest.raises(NodeRefused):
        await fetched(holder, record, is_async=is_async)
    assert holder.firsts == [0]


async def test_other_bytes_and_other_officers_are_noticed(
    holder: Holder, record: Permitted
) -> None:
    holder.content = b"x" + SCAN[1:]
    with pytest.raises(Mismatch) as caught:
        await fetched(holder, record, is_async=False)
    assert caught.value.digest == record_digest(SALT, holder.content)
    with pytest.raises(Mismatch, match="officer"):
        await fetched(holder, record._replace(officer=lambda _: False), is_async=False)
