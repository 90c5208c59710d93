"""The frames that nodes exchange."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from ledger.chain import limits
from ledger.chain.codec import encode
from ledger.node.net import frames
from ledger.node.net.frames import (
    Blocks,
    CertifiedBlock,
    Consensus,
    Frame,
    FrameError,
    FrameReader,
    GetBlocks,
    Hello,
    NewHead,
    Ping,
    Pong,
    Transactions,
    decode_frame,
    encode_frame,
)

CHAIN = bytes(range(32))
EXAMPLES: list[Frame] = [
    Hello(1, CHAIN, "city-1", 7),
    Consensus(b"signed"),
    Transactions((b"one", b"two")),
    GetBlocks(3, 64),
    Blocks(3, (CertifiedBlock(b"block", b"certificate"),)),
    Blocks(9, ()),
    NewHead(8, CHAIN),
    Ping(8, 1_000),
    Pong(9, 1_000),
]


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_frame_comes_back_as_it_was_sent(frame: Frame):
    (payload,) = FrameReader().feed(encode_frame(frame))
    assert decode_frame(payload) == frame


def test_the_wire_form_is_length_kind_and_canonical_record():
    assert encode_frame(Ping(300, 1_000)).hex() == "00000008" + "07" + "92cd012ccd03e8"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"\x00\x90", "unknown_kind"),
        (b"\xff\x90", "unknown_kind"),
        (b"\x09", "malformed"),
        (b"\x09\xc1", "malformed"),
        (b"\x09\x91\xcd\x00\x05", "malformed"),  # 5 written in two bytes
        (b"\x09\x91\x05\x00", "malformed"),  # trailing byte
        (b"\x09\x91\xff", "malformed"),  # height -1
        (b"\x09\x91\xcf" + bytes([0x80]) + bytes(7), "malformed"),  # height 2**63
        (b"\x09\x92\x05\x05", "malformed"),  # a field too many
        (b"\x01" + encode((1, b"short", "city-1", 7)), "malformed"),
        (b"\x01" + encode((1, CHAIN, "", 7)), "malformed"),
        (b"\x01" + encode((1, CHAIN, "x" * 65, 7)), "malformed"),
        (b"\x03" + encode(((),)), "malformed"),
        (b"\x04" + encode((0, 0)), "malformed"),
        (b"\x04" + encode((0, frames.MAX_BLOCKS + 1)), "malformed"),
        (b"\x09" + b"\x00" * 65, "oversized"),
        (b"\x01" + b"\x00" * frames.MAX_HELLO_BYTES, "oversized"),
    ],
)
def test_a_payload_that_no_correct_peer_sends_is_refused_with_its_reason(payload, reason):
    with pytest.raises(FrameError) as caught:
        decode_frame(payload)
    assert caught.value.reason == reason


def test_an_array_that_claims_too_many_envelopes_is_refused_before_it_is_built():
    claimed = b"\x03\x91\xdd" + struct.pack(">I", 2**31)
    with pytest.raises(FrameError, match="32768"):
        decode_frame(claimed)


def test_a_length_above_the_limit_is_refused_from_the_header_alone():
    reader = FrameReader()
    with pytest.raises(FrameError) as caught:
        reader.feed(struct.pack(">I", limits.MAX_FRAME_BYTES + 1))
    assert caught.value.reason == "oversized"
    assert reader.buffered == 0


def test_a_length_of_zero_is_refused():
    with pytest.raises(FrameError) as caught:
        FrameReader().feed(bytes(4))
    assert caught.value.reason == "empty"


def test_a_reader_that_lost_the_stream_never_trusts_it_again():
    reader = FrameReader()
    with pytest.raises(FrameError):
        reader.feed(bytes(4))
    with pytest.raises(FrameError):
        reader.feed(encode_frame(Ping(1, 1_000)))


def test_the_first_frame_has_its_own_limit():
    hello, long = encode_frame(Hello(1, CHAIN, "city-1", 0)), encode_frame(Consensus(bytes(5000)))
    with pytest.raises(FrameError):
        FrameReader(first_limit=frames.MAX_HELLO_BYTES).feed(long)
    assert len(FrameReader(first_limit=frames.MAX_HELLO_BYTES).feed(hello + long)) == 2


@pytest.mark.parametrize(
    "frame",
    [
        Transactions((bytes(frames.MAX_GOSSIP_BYTES),)),
        Transactions((b"",) * (frames.MAX_GOSSIP_TRANSACTIONS + 1)),
        Transactions(()),
        Blocks(1, (CertifiedBlock(b"", b""),) * (frames.MAX_BLOCKS + 1)),
    ],
    ids=["too long", "too many", "none", "too many blocks"],
)
def test_a_sender_cannot_make_a_frame_that_the_receiver_would_refuse(frame):
    with pytest.raises(ValueError, match=r"at most|in one frame"):
        encode_frame(frame)


def test_the_protocol_text_lists_every_kind_with_its_limit():
    text = (Path(__file__).parents[3] / "docs/protocol/wire.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|.*\| ([\d,]+) \|$", text, re.MULTILINE)
    assert rows == [
        (str(number), record.__name__, f"{limit:,}")
        for number, (record, limit) in frames.KINDS.items()
    ]
