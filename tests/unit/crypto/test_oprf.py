"""RFC 9497 in VOPRF mode: its vectors, another implementation, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import voprf as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.oprf import group, proof, voprf
from ledger.crypto.oprf.voprf import Evaluation

PUBLISHED = json.loads(Path("tests/data/rfc9497_voprf.json").read_text("utf-8"))
SECRET = voprf.derive_key(bytes(32), b"test")
PUBLIC = group.base(SECRET)
#: p + 1 for the field prime p = 2^255 - 19: the same field element as 1, in a form that is refused.
NON_CANONICAL = ((2**255 - 19) + 1).to_bytes(32, "little")


def unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def test_the_key_of_the_rfc_is_derived() -> None:
    secret = voprf.derive_key(
        bytes.fromhex(PUBLISHED["seed"]), bytes.fromhex(PUBLISHED["key_info"])
    )
    assert secret.hex() == PUBLISHED["sk"]
    assert group.base(secret).hex() == PUBLISHED["pk"]


@pytest.mark.parametrize("vector", PUBLISHED["vectors"])
def test_every_step_gives_what_the_rfc_gives(vector: dict[str, Any]) -> None:
    secret, public = bytes.fromhex(PUBLISHED["sk"]), bytes.fromhex(PUBLISHED["pk"])
    blinded = [
        voprf.blind(text, chosen=factor)
        for text, factor in zip(unhex(vector["input"]), unhex(vector["blind"]), strict=True)
    ]
    assert [question.element.hex() for question in blinded] == vector["blinded"]
    asked = [question.element for question in blinded]
    answer = voprf.evaluate(secret, public, asked, nonce=bytes.fromhex(vector["nonce"]))
    assert [point.hex() for point in answer.elements] == vector["evaluated"]
    assert answer.proof.hex() == vector["proof"]
    voprf.check(answer, public, asked)
    outputs = [
        voprf.finalize(question, point)
        for question, point in zip(blinded, answer.elements, strict=True)
    ]
    assert [output.hex() for output in outputs] == vector["output"]


def test_another_implementation_as_server_is_understood() -> None:
    server = oracle.ristretto.Evaluator.from_seed(bytes(32), b"test")
    assert server.public_key.serialize() == PUBLIC
    question = voprf.blind(b"who?")
    answer = server.evaluate(oracle.ristretto.BlindedInput.deserialize(question.element))
    raw = answer.serialize()
    theirs = Evaluation((raw[64:],), raw[:64])
    voprf.check(theirs, PUBLIC, [question.element])
    assert voprf.finalize(question, raw[64:]) == server.evaluate_known_input(b"who?")


def test_another_implementation_as_client_understands() -> None:
    client, blinded = oracle.ristretto.Client.blind(b"who?")
    answer = voprf.evaluate(SECRET, PUBLIC, [blinded.serialize()])
    output = oracle.ristretto.VerifiableOutput.deserialize(answer.proof + answer.elements[0])
    public = oracle.ristretto.PublicKey.deserialize(PUBLIC)
    expected = voprf.output(b"who?", group.multiply(SECRET, voprf.point_of(b"who?")))
    assert client.finalize(output, public) == expected


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4))
def test_blinding_leaves_no_trace_in_the_output(texts: list[bytes]) -> None:
    blinded = [voprf.blind(text) for text in texts]
    asked = [question.element for question in blinded]
    answer = voprf.evaluate(SECRET, PUBLIC, asked)
    voprf.check(answer, PUBLIC, asked)
    for text, question, point in zip(texts, blinded, answer.elements, strict=True):
        direct = voprf.output(text, group.multiply(SECRET, voprf.point_of(text)))
        assert voprf.finalize(question, point) == direct
        assert voprf.blind(text).element != question.element


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 3 * 32 + 2 * 64 - 1), change=st.integers(1, 255))
def test_an_answer_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    asked = [voprf.blind(b"a").element, voprf.blind(b"b").element]
    answer = voprf.evaluate(SECRET, PUBLIC, asked)
    raw = bytearray(b"".join([*answer.elements, answer.proof, *asked, PUBLIC]))
    place %= len(raw)
    raw[place] ^= change
    parts = [bytes(raw[start : start + 32]) for start in range(0, len(raw), 32)]
    changed = Evaluation((parts[0], parts[1]), parts[2] + parts[3])
    with pytest.raises((voprf.ProofFailed, group.NotOfGroup)):
        voprf.check(changed, group.element(parts[6]), [group.element(p) for p in parts[4:6]])


def test_the_proof_of_another_key_or_batch_does_not_hold() -> None:
    asked = [voprf.blind(b"a").element, voprf.blind(b"b").element]
    answer = voprf.evaluate(SECRET, PUBLIC, asked)
    other = group.random_scalar()
    with pytest.raises(voprf.ProofFailed):
        voprf.check(answer, group.base(other), asked)
    with pytest.raises(voprf.ProofFailed):
        voprf.check(answer, PUBLIC, asked[::-1])
    with pytest.raises(voprf.ProofFailed):
        voprf.check(answer, PUBLIC, asked[:1])
    with pytest.raises(voprf.ProofFailed):
        voprf.check(Evaluation((), answer.proof), PUBLIC, [])


@pytest.mark.parametrize(
    "bad", [bytes(32), NON_CANONICAL, b"\xff" * 32, b"", bytes(31), group.base(SECRET) + b"\0"]
)
def test_what_is_no_element_is_refused(bad: bytes) -> None:
    with pytest.raises(group.NotOfGroup):
        group.element(bad)
    with pytest.raises(group.NotOfGroup):
        voprf.evaluate(SECRET, PUBLIC, [bad])
    with pytest.raises(voprf.ProofFailed):
        voprf.check(Evaluation((bad,), bytes(64)), PUBLIC, [PUBLIC])


@pytest.mark.parametrize("bad", [group.ORDER.to_bytes(32, "little"), b"\xff" * 32, b"", bytes(33)])
def test_what_is_no_scalar_is_refused(bad: bytes) -> None:
    with pytest.raises(group.NotOfGroup):
        group.scalar(bad)
    assert not proof.holds(bad + bytes(32), PUBLIC, [PUBLIC], [PUBLIC])
    assert not proof.holds(bytes(32) + bad, PUBLIC, [PUBLIC], [PUBLIC])


@pytest.mark.parametrize("text", [b"", bytes(65_536)])
def test_inputs_of_no_or_too_many_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="an input has"):
        voprf.blind(text)


def test_neither_input_nor_blinding_shows_when_printed() -> None:
    question = voprf.blind(b"11010519491231002X")
    assert "11010519491231002X" not in repr(question)
    assert question.blind.hex() not in repr(question)
