"""A record on its way: chunks that open one by one, go on where they broke off, and end as one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.exchange import Mismatch
from ledger.chain.pointer import Pointer, record_digest
from ledger.chain.streaming import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    MIN_CHUNK,
    RecordOpener,
    ReleaseHeader,
    header_digest,
    open_whole,
    seal_stream,
)
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealError, SealingKey

CHAIN, DECISION, SALT = b"\x05" * 32, "d-0", b"s" * 16
REPLY = SealingKey(b"\x07" * 32)
OFFICER = SigningKey(b"\x08" * 32)
CHUNK = MIN_CHUNK


def pointer_to(content: bytes, **changes: object) -> Pointer:
    fields = {
        "holder": "east", "subject": "p-" + "1" * 32, "kind": "imaging",
        "digest": record_digest(SALT, content), "size": len(content), "media": "application/dicom",
        "start": 0, "end": 0, "confidentiality": "N", "type": bytes(32), "labels": bytes(32),
        "replaces": b"", **changes,
    }  # fmt: skip
    return Pointer(**fields)  # type: ignore[arg-type]


def answer(content: bytes, first: int = 0, pointer: Pointer | None = None) -> list[bytes]:
    """The header, then one sealed chunk each."""
    return list(
        seal_stream(
            CHAIN, DECISION, REPLY.public, pointer or pointer_to(content), SALT, OFFICER,
            in_pieces(content[first * CHUNK :], 700), first=first, chunk=CHUNK,
        )
    )  # fmt: skip


def in_pieces(content: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


def opener(content: bytes, **changes: object) -> RecordOpener:
    return RecordOpener(REPLY, CHAIN, DECISION, pointer_to(content, **changes))


def opened(reader: RecordOpener, raw: bytes) -> bytes:
    return b"".join(reader.feed(raw))


def read_through(reader: RecordOpener, raw: bytes, found: bytearray) -> None:
    for piece in in_pieces(raw, 100):
        found += opened(reader, piece)
    reader.finish()


@given(
    st.binary(max_size=5 * CHUNK) | st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1]).map(bytes),
    st.integers(1, 3 * CHUNK),
)
def test_whatever_the_length_and_the_pieces_the_bytes_arrive(content: bytes, size: int) -> None:
    pieces = answer(content)
    assert len(pieces) == 1 + max(1, -(-len(content) // CHUNK))
    reader, found = opener(content), bytearray()
    for piece in in_pieces(b"".join(pieces), size):
        found += opened(reader, piece)
    reader.finish()
    assert bytes(found) == content


@given(st.binary(min_size=1, max_size=4 * CHUNK), st.data())
def test_a_transfer_goes_on_wherever_it_broke_off(content: bytes, data: st.DataObject) -> None:
    reader, found = opener(content), b""
    for _ in range(5):
        whole = b"".join(answer(content, reader.next))
        found += opened(reader, whole[: data.draw(st.integers(0, len(whole) - 1))])
        if reader.complete:
            break
        with pytest.raises(Malformed):
            reader.finish()
        reader.resume()
    if not reader.complete:
        found += opened(reader, b"".join(answer(content, reader.next)))
    reader.finish()
    assert found == content


@given(st.binary(min_size=2 * CHUNK, max_size=4 * CHUNK), st.data())
def test_no_changed_byte_is_ever_given_out(content: bytes, data: st.DataObject) -> None:
    raw = bytearray(b"".join(answer(content)))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    found = bytearray()
    with pytest.raises((SealError, Mismatch, Malformed)):
        read_through(opener(content), bytes(raw), found)
    assert content.startswith(bytes(found))
    assert bytes(found) != content


def test_chunks_in_another_order_left_out_or_repeated_are_noticed() -> None:
    content = bytes(range(256)) * 16
    header, *chunks = answer(content)
    assert len(chunks) == 4
    for wrong in (
        [chunks[1], chunks[0], *chunks[2:]],
        [chunks[0], chunks[0], *chunks[2:]],
        [chunks[0], *chunks[2:], chunks[3]],
    ):
        with pytest.raises(SealError):
            opened(opener(content), header + b"".join(wrong))
    with pytest.raises(Malformed):
        opened(opener(content), header + b"".join([*chunks, b"x"]))
    cut = opener(content)
    assert opened(cut, header + b"".join(chunks[:-1])) == content[: 3 * CHUNK]
    with pytest.raises(Malformed, match="cut short"):
        cut.finish()


def test_a_cut_record_does_not_pass_for_a_shorter_one() -> None:
    content = bytes(3 * CHUNK)
    header, *chunks = answer(content)
    with pytest.raises(Mismatch):
        opened(opener(content[: 2 * CHUNK], digest=bytes(32)), header + b"".join(chunks[:2]))


def test_chunks_of_two_answers_do_not_mix() -> None:
    content = bytes(2 * CHUNK)
    (header, first, _), (_, _, other) = answer(content), answer(content)
    reader = opener(content)
    assert opened(reader, header + first) == content[:CHUNK]
    with pytest.raises(SealError):
        opened(reader, other)


def test_an_answer_opens_for_its_own_key_chain_decision_and_record_only() -> None:
    raw, pointer = b"".join(answer(b"scan")), pointer_to(b"scan")
    assert open_whole(raw, REPLY, CHAIN, DECISION, pointer) == b"scan"
    with pytest.raises(SealError):
        open_whole(raw, SealingKey.generate(), CHAIN, DECISION, pointer)
    with pytest.raises(Mismatch):
        open_whole(raw, REPLY, bytes(32), DECISION, pointer)
    with pytest.raises(Mismatch):
        open_whole(raw, REPLY, CHAIN, "d-1", pointer)
    with pytest.raises(Mismatch):
        open_whole(raw, REPLY, CHAIN, DECISION, pointer_to(b"scan", kind="note"))


def test_bytes_that_are_not_those_of_the_pointer_are_noticed_with_their_digest() -> None:
    pointer = pointer_to(b"scan")
    with pytest.raises(Mismatch) as caught:
        open_whole(b"".join(answer(b"spam", pointer=pointer)), REPLY, CHAIN, DECISION, pointer)
    assert caught.value.digest == record_digest(SALT, b"spam")


def test_nobody_else_answers_in_the_name_of_the_holder() -> None:
    content = bytes(2 * CHUNK)
    asked: list[bytes] = []

    def is_officer(key: bytes) -> bool:
        asked.append(key)
        return False

    reader = RecordOpener(REPLY, CHAIN, DECISION, pointer_to(content), is_officer)
    with pytest.raises(Mismatch, match="officer"):
        opened(reader, b"".join(answer(content)))
    assert asked == [OFFICER.public]


@pytest.mark.parametrize(
    "change",
    [
        {"chunk": CHUNK * 2}, {"first": 1}, {"media": "text/html"}, {"size": 2}, {"sealed": b"x"},
        {"officer": SigningKey(b"\x09" * 32).public}, {"decision": "d-2"}, {"name": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_header_that_was_changed_is_refused(change: dict[str, object]) -> None:
    content = bytes(CHUNK)
    header, *chunks = answer(content)
    fields = decode(header[LENGTH_BYTES:], ReleaseHeader, limit=MAX_HEADER_BYTES)
    values = {name: getattr(fields, name) for name in fields.__struct_fields__}
    changed = encode(ReleaseHeader(**{**values, **change}))
    with pytest.raises((Mismatch, SealError, Malformed)):
        opened(opener(content), len(changed).to_bytes(4, "big") + changed + b"".join(chunks))


@pytest.mark.parametrize("chunk", [0, -1, MIN_CHUNK - 1, 2**20 + 1, 2**62])
def test_chunks_of_absurd_sizes_are_refused_before_anything_is_kept(chunk: int) -> None:
    unsigned = ReleaseHeader(
        DECISION, pointer_to(b"").name(), "application/dicom", 0, chunk, 0, OFFICER.public, b"", b""
    )
    signature = OFFICER.sign(header_digest(CHAIN, unsigned))
    values = {name: getattr(unsigned, name) for name in unsigned.__struct_fields__}
    header = encode(ReleaseHeader(**{**values, "signature": signature}))
    with pytest.raises(Malformed):
        opened(opener(b""), len(header).to_bytes(4, "big") + header)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc0", b"junk" * 2000])
def test_bytes_that_are_no_answer_are_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        opened(opener(b""), raw)


def test_a_resumed_answer_of_another_record_or_place_is_refused() -> None:
    content = bytes(3 * CHUNK)
    header, first, *_ = answer(content)
    reader = opener(content)
    opened(reader, header + first)
    reader.resume()
    with pytest.raises(Mismatch, match="where it was asked"):
        opened(reader, b"".join(answer(content, 2)))
    reader.resume()
    other = list(
        seal_stream(
            CHAIN, DECISION, REPLY.public, pointer_to(content), b"t" * 16, OFFICER,
            [content[CHUNK:]], first=1, chunk=CHUNK,
        )
    )  # fmt: skip
    with pytest.raises(Mismatch, match="another record"):
        opened(reader, b"".join(other))


@pytest.mark.parametrize("given", [b"", b"short", bytes(4 * CHUNK)])
def test_a_holder_does_not_finish_a_record_of_another_length(given: bytes) -> None:
    pointer = pointer_to(bytes(3 * CHUNK))
    pieces = seal_stream(
        CHAIN, DECISION, REPLY.public, pointer, SALT, OFFICER, [given], chunk=CHUNK
    )
    sent: list[bytes] = []
    with pytest.raises(ValueError, match="length"):
        sent.extend(pieces)


@pytest.mark.parametrize("reply", [bytes(32), b"short"])
def test_an_unusable_reply_key_is_found_before_anything_goes_out(reply: bytes) -> None:
    with pytest.raises(SealError):
        seal_stream(CHAIN, DECISION, reply, pointer_to(b""), SALT, OFFICER, [])
