import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.sealing import KEY_SIZE, OVERHEAD, SealError, SealingKey, seal

KEY = SealingKey(bytes(range(32)))
OTHER = SealingKey(bytes(range(1, 33)))

# RFC 7748 section 6.1 asks to refuse an all-zero shared secret; these points produce one.
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


@given(plaintext=st.binary(max_size=2000), info=st.binary(max_size=200))
def test_what_is_sealed_opens_with_the_key_and_the_same_purpose(plaintext, info):
    sealed = seal(KEY.public, plaintext, info)
    assert len(sealed) == len(plaintext) + OVERHEAD
    assert KEY.open(sealed, info) == plaintext


@given(plaintext=st.binary(max_size=200), info=st.binary(max_size=50), other=st.binary(max_size=50))
def test_another_key_or_another_purpose_does_not_open_it(plaintext, info, other):
    sealed = seal(KEY.public, plaintext, info)
    with pytest.raises(SealError):
        OTHER.open(sealed, info)
    if other != info:
        with pytest.raises(SealError):
            KEY.open(sealed, other)


@given(plaintext=st.binary(min_size=1, max_size=100), data=st.data())
@settings(max_examples=60)
def test_one_changed_bit_anywhere_does_not_open(plaintext, data):
    sealed = bytearray(seal(KEY.public, plaintext, b"purpose"))
    # RFC 7748 ignores the top bit of a coordinate, but HPKE binds all of it in its context.
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError):
        KEY.open(bytes(sealed), b"purpose")


@given(sealed=st.binary(max_size=300))
def test_arbitrary_bytes_do_not_open_and_raise_nothing_else(sealed):
    with pytest.raises(SealError):
        KEY.open(sealed, b"")


def test_two_sealings_of_the_same_text_differ():
    assert seal(KEY.public, b"same", b"") != seal(KEY.public, b"same", b"")


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_small_order_public_key_is_refused(public):
    with pytest.raises(SealError):
        seal(public, b"text", b"")


@pytest.mark.parametrize("length", [0, KEY_SIZE - 1, KEY_SIZE + 1])
def test_keys_of_another_length_are_refused(length):
    with pytest.raises(SealError):
        seal(bytes(length), b"text", b"")
    with pytest.raises(SealError):
        SealingKey(bytes(length))


def test_the_secret_half_is_not_in_the_repr():
    assert KEY.secret.hex() not in repr(KEY)
    assert SealingKey(KEY.secret).public == KEY.public


def test_the_rfc_9180_suite_is_the_stated_one():
    # Opening with the library's own suite objects pins the algorithm identifiers.
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    sealed = seal(KEY.public, b"text", b"purpose")
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    private = X25519PrivateKey.from_private_bytes(KEY.secret)
    assert suite.decrypt(sealed, private, b"purpose") == b"text"
