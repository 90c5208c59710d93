"""The published vectors: what a second implementation is held against, and this one as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.codec import decode, encode
from ledger.chain.evaluation import Question, is_signed, read_question, read_reply
from ledger.crypto.oprf import ceremony
from tests.support.pseudonym_vectors import NODES, TERMS, party_key, read_transcript, vectors

FILE = Path("tests/data/pseudonym_vectors.json")


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def test_everything_published_is_computed_again(published: dict[str, Any]) -> None:
    assert vectors(read_transcript(published["ceremony"])) == published


def test_every_member_opens_its_share_of_every_dealing(published: dict[str, Any]) -> None:
    said = read_transcript(published["ceremony"])
    for dealer in NODES:
        for member in NODES:
            share = ceremony.opened(TERMS, member, party_key(member), dealer, said.dealings[dealer])
            assert share is not None
    assert not ceremony.complaints(TERMS, "n1", party_key("n1"), said.dealings)


def test_the_question_and_the_reply_are_read(published: dict[str, Any]) -> None:
    raw = bytes.fromhex(published["question"]["bytes"])
    question = read_question(raw)
    assert is_signed(question)
    assert encode(decode(raw, Question, limit=len(raw))) == raw
    assert question.digest().hex() == published["question"]["digest"]
    assert read_reply(bytes.fromhex(published["reply"])).question == question.digest()
