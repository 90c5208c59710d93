"""Whatever bytes a peer sends: a message that encodes to the same bytes, or `Malformed`."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.codec import Malformed
from ledger.consensus.messages import Message, decode_message, encode_message
from tests.support.puppets import Puppets

PUPPETS = Puppets()
BLOCK = PUPPETS.block()
CHANGES = [PUPPETS.change(node, prepared=PUPPETS.certificate(BLOCK)) for node in ("n0", "n1")]
MESSAGES: list[Message] = [
    PUPPETS.propose(BLOCK),
    PUPPETS.prepare("n1", BLOCK),
    PUPPETS.commit("n1", BLOCK),
    PUPPETS.change("n1", prepared=PUPPETS.certificate(BLOCK), block=BLOCK),
    PUPPETS.new_view(BLOCK, "n2", [*CHANGES, PUPPETS.change("n3")]),
]


def check(raw: bytes) -> Message | None:
    try:
        message = decode_message(raw)
    except Malformed:
        return None
    assert encode_message(message) == raw
    return message


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    check(raw)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_damaged_message_is_another_message_or_malformed(
    message: Message, data: st.DataObject
) -> None:
    raw = bytearray(encode_message(message))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert check(bytes(raw)) != message


@given(st.lists(st.tuples(st.sampled_from(MESSAGES), st.integers(0, 2**32)), max_size=12))
def test_no_message_a_decoder_lets_through_breaks_the_core(
    damaged: list[tuple[Message, int]],
) -> None:
    puppets = Puppets()
    puppets.begin()
    for message, where in damaged:
        raw = bytearray(encode_message(message))
        raw[where % len(raw)] ^= 1 + where % 255
        received = check(bytes(raw))
        for each in (received, message):
            if each is not None:
                puppets.give(each)
