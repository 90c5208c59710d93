"""The one decoder of everything that comes from outside."""

import msgspec
import pytest

from ledger.chain.codec import Malformed, decode, decode_value
from ledger.chain.genesis import Genesis, GenesisContract, decode_genesis
from ledger.chain.transaction import decode_transaction
from tests.support.chain import key_of

HOSTILE = [
    {1: 2},
    {b"x": 1},
    {None: 1},
    {True: 1},
    [{"a": {1.5: 1}}],
    msgspec.msgpack.Ext(5, b"x"),
    1.5,
    2**64 - 1,
]


def named(value: object) -> str:
    """A name that is the same in every process, which an address is not."""
    return "an extension" if isinstance(value, msgspec.msgpack.Ext) else repr(value)


@pytest.mark.parametrize("value", HOSTILE, ids=named)
def test_a_value_without_a_canonical_form_is_malformed(value):
    raw = msgspec.msgpack.encode(value)
    with pytest.raises(Malformed):
        decode_value(raw, limit=1_000)


@pytest.mark.parametrize("value", HOSTILE, ids=named)
def test_a_transaction_whose_arguments_hold_such_a_value_is_malformed(value):
    """A peer could otherwise end the thread that reads its frames."""
    call = ["records", "anchor", {"x": value}]
    body = [bytes(32), b"1", 0, 1, False, [call], [key_of("alice").public]]
    raw = msgspec.msgpack.encode([msgspec.msgpack.encode(body), [bytes(64)]])
    with pytest.raises(Malformed):
        decode_transaction(raw)


def test_a_map_with_a_list_as_key_is_malformed():
    with pytest.raises(Malformed):
        decode(b"\x81\x91\x01\x02", object, limit=100)


def test_a_genesis_with_a_number_beyond_64_bits_is_malformed():
    contracts = (GenesisContract("governance", "", {}),)
    raw = msgspec.json.encode(Genesis(1, "n", 5, contracts))
    assert decode_genesis(raw).created == 5
    with pytest.raises(Malformed):
        decode_genesis(raw.replace(b"5", b"%d" % 2**70))
