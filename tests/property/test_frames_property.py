"""However the network cuts the stream, the same frames come out."""

from __future__ import annotations

import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import limits
from ledger.node.net.frames import (
    Blocks,
    CertifiedBlock,
    Chunk,
    Consensus,
    Frame,
    FrameError,
    FrameReader,
    GetBlocks,
    GetChunk,
    GetManifest,
    GetOutcome,
    GetTrail,
    Hello,
    Manifest,
    NewHead,
    Outcome,
    Ping,
    Pong,
    Trail,
    Transactions,
    decode_frame,
    encode_frame,
)

heights = st.integers(0, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32)
raws = st.binary(max_size=600)
any_frame: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Hello, heights, digests, st.text("abc-", min_size=1, max_size=64), heights),
    st.builds(Consensus, raws),
    st.builds(Transactions, st.lists(raws, min_size=1, max_size=5).map(tuple)),
    st.builds(GetBlocks, heights, st.integers(1, 256)),
    st.builds(GetManifest, heights, heights),
    st.builds(Manifest, heights, heights, raws),
    st.builds(GetChunk, heights, st.binary(max_size=64)),
    st.builds(Chunk, heights, st.binary(max_size=64), raws),
    st.builds(GetTrail, heights, st.integers(1, 64)),
    st.builds(Trail, heights, raws),
    st.builds(
        Blocks,
        heights,
        st.lists(st.builds(CertifiedBlock, raws, raws), max_size=3).map(tuple),
        heights,
    ),
    st.builds(NewHead, heights, digests),
    st.builds(Ping, heights, heights),
    st.builds(Pong, heights, heights),
    st.builds(GetOutcome, digests),
    st.builds(
        Outcome,
        digests,
        st.lists(raws, max_size=3).map(tuple),
        st.lists(st.tuples(raws, st.none() | raws), max_size=3).map(tuple),
    ),
)


@st.composite
def chunked(draw, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(st.data(), st.lists(any_frame, max_size=8))
def test_any_chunking_gives_the_same_frames(data, sent):
    reader, received = FrameReader(), []
    for chunk in data.draw(chunked(b"".join(map(encode_frame, sent)))):
        received += [decode_frame(payload) for payload in reader.feed(chunk)]
    assert received == sent
    assert reader.buffered == 0


@given(st.lists(any_frame, max_size=4))
def test_one_byte_at_a_time_gives_the_same_frames(sent):
    reader, received = FrameReader(), []
    for byte in b"".join(map(encode_frame, sent)):
        received += [decode_frame(payload) for payload in reader.feed(bytes([byte]))]
    assert received == sent


@given(st.data(), st.lists(any_frame, max_size=4), st.sampled_from([0, 2**25 + 1, 2**32 - 1]))
def test_an_illegal_length_is_found_whatever_the_chunking(data, sent, length):
    stream = b"".join(map(encode_frame, sent)) + struct.pack(">I", length) + b"more"
    chunks, reader = data.draw(chunked(stream)), FrameReader()
    with pytest.raises(FrameError):
        deque(map(reader.feed, chunks), maxlen=0)


@given(st.binary(max_size=200))
def test_arbitrary_payloads_are_either_a_frame_or_a_frame_error(payload):
    try:
        frame = decode_frame(payload)
    except FrameError:
        return
    assert encode_frame(frame)[4:] == payload


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_arbitrary_streams_never_hold_more_than_one_frame(chunks):
    reader = FrameReader(limit=64)
    for chunk in chunks:
        try:
            reader.feed(chunk)
        except FrameError:
            return
        assert reader.buffered <= 4 + 64


class Counted(bytearray):
    """A buffer that counts what is copied into it and out of it."""

    copied = 0

    def __iadd__(self, data):
        self.copied += len(data)
        return super().__iadd__(data)

    def __bytes__(self):
        self.copied += len(self)
        return bytes(memoryview(self))


def test_each_byte_of_a_long_frame_in_small_pieces_is_copied_a_few_times_only():
    stream = encode_frame(Consensus(bytes(limits.MIB)))
    reader = FrameReader()
    reader._partial = buffer = Counted()
    payloads = [
        payload
        for start in range(0, len(stream), 256)
        for payload in reader.feed(stream[start : start + 256])
    ]
    assert len(payloads) == 1
    assert len(stream) <= buffer.copied <= 3 * len(stream)
