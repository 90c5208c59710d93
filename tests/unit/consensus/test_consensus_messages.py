"""The one decoder of what peers send."""

import pytest
from msgspec.structs import replace

from ledger.chain import limits
from ledger.chain.codec import Malformed, encode
from ledger.consensus.messages import (
    MAX_HEIGHT,
    MAX_VIEW,
    Message,
    decode_message,
    encode_message,
    statement,
    without_block,
)
from ledger.consensus.statements import (
    Claim,
    Endorsement,
    PreparedCertificate,
    claim_of,
    pre_prepare_statement,
    prepare_statement,
    view_change_statement,
)
from tests.support.puppets import Puppets

PUPPETS = Puppets()
BLOCK = PUPPETS.block()
CERTIFICATE = PUPPETS.certificate(BLOCK)
CHANGE = PUPPETS.change("n1", prepared=CERTIFICATE)
NEW_VIEW = PUPPETS.new_view(BLOCK, "n2", [CHANGE, PUPPETS.change("n2"), PUPPETS.change("n3")])
GOOD: dict[str, Message] = {
    "pre-prepare": PUPPETS.propose(BLOCK),
    "prepare": PUPPETS.prepare("n1", BLOCK),
    "commit": PUPPETS.commit("n1", BLOCK),
    "view-change": replace(CHANGE, block=BLOCK),
    "new-view": NEW_VIEW,
}


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD)
def test_a_message_reads_back_as_itself(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD)
def test_a_truncated_or_padded_message_is_malformed(message: Message) -> None:
    raw = encode_message(message)
    for wrong in (b"", raw[:-1], raw[: len(raw) // 2], raw + b"\x00", b"\xc1" + raw):
        with pytest.raises(Malformed):
            decode_message(wrong)


PREPARE = PUPPETS.prepare("n1", BLOCK)
BAD: dict[str, Message] = {
    "height 0": replace(PREPARE, height=0),
    "height too large": replace(PREPARE, height=MAX_HEIGHT + 1),
    "negative view": replace(PREPARE, view=-1),
    "view too large": replace(PREPARE, view=MAX_VIEW + 1),
    "short digest": replace(PREPARE, digest=bytes(31)),
    "no node": replace(PREPARE, node=""),
    "long node": replace(PREPARE, node="n" * 65),
    "long signature": replace(PREPARE, signature=bytes(129)),
    "proposal without block": without_block(PUPPETS.propose(BLOCK)),
    "change to view 0": replace(PUPPETS.change("n1"), view=0),
    "block nobody prepared": PUPPETS.change("n1", block=BLOCK),
    "prepared in the new view": PUPPETS.change("n1", prepared=replace(CERTIFICATE, view=1)),
    "unsorted": PUPPETS.change(
        "n1", prepared=replace(CERTIFICATE, endorsements=CERTIFICATE.endorsements[::-1])
    ),
    "twice": PUPPETS.change(
        "n1", prepared=replace(CERTIFICATE, endorsements=CERTIFICATE.endorsements[:1] * 3)
    ),
    "too many": PUPPETS.change(
        "n1",
        prepared=PreparedCertificate(
            0, bytes(32), tuple(Endorsement(f"n{n:03}", b"") for n in range(101))
        ),
    ),
    "new view 0": replace(NEW_VIEW, pre_prepare=PUPPETS.propose(BLOCK)),
    "claim of the new view": replace(
        NEW_VIEW,
        departures=(
            replace(NEW_VIEW.departures[0], claim=Claim(1, bytes(32), bytes(32))),
            *NEW_VIEW.departures[1:],
        ),
    ),
    "claim without a hash": replace(
        NEW_VIEW,
        departures=(
            replace(NEW_VIEW.departures[0], claim=Claim(0, bytes(32), b"")),
            *NEW_VIEW.departures[1:],
        ),
    ),
    "proof of the new view": replace(NEW_VIEW, prepared=replace(CERTIFICATE, view=1)),
    "unsorted departures": replace(NEW_VIEW, departures=NEW_VIEW.departures[::-1]),
    "bad header": replace(
        PUPPETS.propose(BLOCK),
        block=replace(BLOCK, header=replace(BLOCK.header, state_root=b"")),
    ),
    "too many transactions": replace(
        PUPPETS.propose(BLOCK),
        block=replace(BLOCK, transactions=(b"",) * (limits.MAX_BLOCK_TRANSACTIONS + 1)),
    ),
    "block too long": replace(
        PUPPETS.propose(BLOCK),
        block=replace(BLOCK, transactions=(bytes(limits.MAX_BLOCK_BYTES + 1),)),
    ),
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
def test_a_message_out_of_bounds_is_malformed(message: Message) -> None:
    with pytest.raises(Malformed):
        decode_message(encode_message(message))


def test_a_kind_that_does_not_exist_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode_message(encode(["gossip", 1, 0, bytes(32), "n1", bytes(64)]))


def test_statements_are_different_for_every_kind_chain_height_view_and_subject() -> None:
    chain, other, digest = bytes(32), b"\x01" * 32, bytes(32)
    statements = [
        pre_prepare_statement(chain, 1, 0, digest),
        prepare_statement(chain, 1, 0, digest),
        prepare_statement(other, 1, 0, digest),
        prepare_statement(chain, 2, 0, digest),
        prepare_statement(chain, 1, 1, digest),
        prepare_statement(chain, 1, 0, other),
        statement(chain, PUPPETS.commit("n1", BLOCK)),
        view_change_statement(chain, 1, 1, None),
        view_change_statement(chain, 1, 1, claim_of(CERTIFICATE)),
    ]
    assert len(set(statements)) == len(statements)
