import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.codec import Malformed
from ledger.chain.transaction import decode_transaction, verify_signatures
from ledger.client.builder import Account, build, call
from ledger.crypto.keys import SigningKey

CHAIN = b"\x07" * 32
ANNA, BO = (Account(SigningKey(bytes([n]) * 32)) for n in (1, 2))

arguments = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.integers(-(2**63), 2**63 - 1) | st.text(max_size=10) | st.binary(max_size=10),
    max_size=4,
)


@given(arguments, st.integers(0, 10**9), st.integers(0, 10**6))
def test_what_is_built_reads_back_as_it_was_meant(given_arguments, height, window):
    built = build(CHAIN, height, window, [call("c", "m", **given_arguments)], [ANNA, BO])
    read = decode_transaction(built.raw)
    assert verify_signatures(read)
    assert read.body.calls[0].arguments == given_arguments
    assert (read.body.valid_from, read.body.valid_until) == (height, height + window)
    assert read.body.signers == (ANNA.public, BO.public)


def test_the_same_call_twice_makes_two_transactions():
    first, second = (build(CHAIN, 1, 10, [call("c", "m")], [ANNA]) for _ in range(2))
    assert first.id != second.id


def test_arguments_may_be_called_contract_and_method():
    assert call("c", "m", contract=1, method=2).arguments == {"contract": 1, "method": 2}


@pytest.mark.parametrize(
    ("calls", "signers"),
    [([], [ANNA]), ([call("c", "m")], []), ([call("c", "m")], [ANNA, ANNA]),
     ([call("c", "m", a=1.5)], [ANNA]), ([call("", "m")], [ANNA])],
)  # fmt: skip
def test_what_cannot_be_well_formed_is_refused(calls, signers):
    with pytest.raises(Malformed):
        build(CHAIN, 1, 10, calls, signers)


def test_an_account_shows_no_secret():
    assert ANNA.key.seed.hex() not in repr(ANNA)
    assert ANNA.id in repr(ANNA)
