"""What the chain says of a record's labels, and what nobody can learn from it."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.pointer import commitment
from ledger.chain.tokens import LIST_SIZE, ROOM, TOKEN_SIZE, LabelKey, tokens_root
from ledger.fhir.labels import HANDLING, SENSITIVITY, sensitivity_lineage

KEY = LabelKey(sha256(b"one patient").digest())
OTHER = LabelKey(sha256(b"another patient").digest())
SALT = b"s" * 16
GLUCOSE = ("http://loinc.org", "2339-0")

labels = st.sets(st.sampled_from(sorted(SENSITIVITY)), max_size=4).map(
    lambda codes: {above for code in codes for above in sensitivity_lineage(code)}
)
salts = st.binary(min_size=16, max_size=16)


@given(labels=labels, salt=salts)
def test_every_list_has_the_same_length_and_no_order_to_read(labels: set[str], salt: bytes) -> None:
    tokens = KEY.opening(labels, [GLUCOSE], salt)
    assert len(set(tokens)) == LIST_SIZE
    assert list(tokens) == sorted(tokens)
    assert {len(token) for token in tokens} == {TOKEN_SIZE}


@given(labels=labels, salt=salts)
def test_what_a_record_bears_is_in_its_list_and_nothing_else_is(
    labels: set[str], salt: bytes
) -> None:
    tokens = KEY.opening(labels, [GLUCOSE], salt)
    assert {code for code in SENSITIVITY if KEY.label(code) in tokens} == labels
    assert KEY.code(*GLUCOSE) in tokens
    assert KEY.code("http://loinc.org", "2345-7") not in tokens
    assert {KEY.for_labels, KEY.for_codes} <= set(tokens)


def test_a_narrower_label_brings_the_wider_ones() -> None:
    assert sensitivity_lineage("OPIOIDUD") == ("OPIOIDUD", "SUD", "SPI")
    assert sensitivity_lineage("PSY") == ("PSY", "SPI")
    assert sensitivity_lineage("HIV") == ("HIV",)


def test_whoever_has_the_chain_alone_cannot_test_a_guess() -> None:
    """The chain has tokens, roots and pointers. Every guess at a label is hashed in every way that
    needs no key, with everything that the chain shows as the salt, and none of them hits."""
    shown = set(KEY.opening({"PSY", "SPI"}, [GLUCOSE], SALT))
    root = tokens_root(shown)
    public = [b"", root, b"health-ledger/label-token\x00", *shown, b"p-" + b"1" * 32]
    guesses = [
        text.encode()
        for code in sorted(SENSITIVITY | HANDLING)
        for text in (code, f"label\x00{code}", f"http://terminology.hl7.org/CodeSystem/v3-ActCode|{code}")
    ]  # fmt: skip
    tried = 0
    for salt in public:
        for guess in guesses:
            for made in (
                sha256(salt + guess).digest(),
                sha256(guess + salt).digest(),
                commitment(salt, guess.decode()),
            ):
                tried += 1
                assert made[:TOKEN_SIZE] not in shown
                assert made != root
    for weak in (
        bytes(32),
        b"\xff" * 32,
        *(sha256(b"%d" % number).digest() for number in range(500)),
    ):
        tried += 1
        assert not shown & {LabelKey(weak).label(code) for code in SENSITIVITY}
    assert tried > 3_000


def test_the_tokens_of_two_patients_never_match() -> None:
    mine = {KEY.label(code) for code in SENSITIVITY} | {KEY.code(*GLUCOSE)}
    theirs = {OTHER.label(code) for code in SENSITIVITY} | {OTHER.code(*GLUCOSE)}
    assert not mine & theirs
    assert not set(KEY.opening(["PSY"], [GLUCOSE], SALT)) & set(
        OTHER.opening(["PSY"], [GLUCOSE], SALT)
    )


@given(left=salts, right=salts)
def test_two_records_with_the_same_labels_have_different_roots(left: bytes, right: bytes) -> None:
    roots = [tokens_root(KEY.opening(["HIV"], [GLUCOSE], salt)) for salt in (left, right)]
    assert (roots[0] == roots[1]) == (left == right)


def test_how_many_tokens_two_records_share_does_not_say_how_many_labels_they_share() -> None:
    """Plain records share as much as some sensitive ones, because their decoys are of one pool."""

    def shared(labels: list[str], number: int) -> int:
        first, second = (
            KEY.opening(labels, [], sha256(b"%d %d" % (number, side)).digest()[:16])
            for side in (0, 1)
        )
        return len(set(first) & set(second))

    plain = {shared([], number) for number in range(200)}
    sensitive = {shared(["PSY", "SPI"], number) for number in range(200)}
    assert len(plain & sensitive) >= 5


def test_codes_that_have_no_room_are_left_out_and_the_list_says_so() -> None:
    many = [("http://loinc.org", str(number)) for number in range(ROOM + 1)]
    full, over = KEY.opening(["HIV"], many[: ROOM - 1], SALT), KEY.opening(["HIV"], many, SALT)
    assert KEY.for_codes in full
    assert KEY.for_codes not in over
    assert not set(over) & {KEY.code(*code) for code in many}
    assert {KEY.for_labels, KEY.label("HIV")} <= set(over)
    assert len(over) == LIST_SIZE


def test_more_labels_than_have_room_close_the_record() -> None:
    assert KEY.opening([f"L{number}" for number in range(ROOM + 1)], [], SALT) == ()


def test_a_key_has_32_bytes_and_is_not_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        LabelKey(b"short")
    assert KEY.secret.hex() not in repr(KEY)
    assert LabelKey.generate().secret != LabelKey.generate().secret
