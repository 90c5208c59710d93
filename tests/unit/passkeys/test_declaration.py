"""What she is about to sign is said whole, and alike by the node and by her own page."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.codec import encode
from ledger.chain.transaction import Body, Call, Envelope, decode_transaction, verify_signatures
from ledger.crypto import hashing
from ledger.decisions import declaration
from ledger.decisions.words import CLASSES, PURPOSES
from tests.support import pagewords
from tests.support.authenticator import Authenticator
from tests.support.javascript import program

HER = "p-" + "a" * 32
HERS = Authenticator("hers")


def body_of(*calls: Call) -> Body:
    return Body(bytes(32), b"n", 1, 100, True, calls, (HERS.public,))


def grant(scope: Any, **more: Any) -> Call:
    return Call("consent", "grant", {"id": "c-1", "subject": HER, "scope": scope, **more})


def only(call: Call) -> declaration.Said:
    (said,) = declaration.said(body_of(call))
    return said


def test_a_permit_is_said_with_all_its_limits() -> None:
    said = only(
        grant(
            {
                "purposes": ["TREAT", "HRESCH"], "institutions": ["east"], "kinds": ["imaging"],
                "confidentiality": "R", "end": 1_800_000_000_000,
            }
        )
    )  # fmt: skip
    assert said.whole
    assert said.en == (
        "You permit east to see ordinary and restricted records (imaging result) for treatment and "
        "research, until 15 January 2027, 16:00."
    )
    assert "2027年1月15日16:00" in said.zh


@pytest.mark.parametrize(
    "call",
    [
        grant({"purposes": ["TREAT"], "roles": ["physician"]}),
        grant({"purposes": ["TREAT"], "start": 1_800_000_000_000}),
        grant({"purposes": "TREAT"}),
        grant({"purposes": [1]}),
        grant({"purposes": ["TREAT"], "end": 5}),
        grant({"purposes": ["TREAT"], "confidentiality": "X"}),
        grant({"purposes": ["TREAT"]}, form=b"f" * 32),
        grant([]),
        Call("consent", "deny", {"id": "c", "subject": HER, "scope": {"confidentiality": "R"}}),
        Call("consent", "withdraw", {"id": "c", "form": b""}),
        Call("consent", "withdraw", {"id": ""}),
        Call("consent", "adopt", {"id": "c", "subject": HER}),
        Call("registry", "revoke", {"id": HER, "reason": "left"}),
        Call("delegation", "empower", {"subject": HER}),
        Call("registry", "add_key", {"key": b"\x02"}),
        Call("consent", "grant", {"subject": 7}),
        Call("constructor", "toString", {}),
    ],
)
def test_what_cannot_be_said_whole_is_said_to_be_so(call: Call) -> None:
    said = only(call)
    assert not said.whole
    assert f"{call.contract}.{call.method}" in said.en
    assert "Do not sign" in said.en


CODES = st.sampled_from(
    ["TREAT", "HRESCH", "east", "constructor", "imaging", "未知", "{who}", "$&"]
)
SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "purposes": st.lists(st.sampled_from(sorted(PURPOSES)) | CODES, max_size=3),
        "institutions": st.lists(CODES, max_size=3),
        "kinds": st.lists(st.sampled_from(sorted(CLASSES)) | CODES, max_size=3),
        "confidentiality": st.sampled_from(["N", "R", "V", "X", "toString"]),
        "end": st.integers(0, 2**62) | st.integers(10**12, 10**13),
        "roles": st.just(["physician"]),
    },
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CALLS = st.one_of(
    st.builds(grant, SCOPES),
    st.builds(
        lambda scope: Call("consent", "deny", {"id": "c", "subject": HER, "scope": scope}), SCOPES
    ),
    st.builds(lambda text: Call("consent", "withdraw", {"id": text}), TEXT),
    st.builds(lambda text: Call("registry", "add_key", {"key": text}), TEXT),
    st.builds(
        lambda values: Call("consent", "grant", values),
        st.dictionaries(
            TEXT, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT, max_size=4
        ),
    ),
)


POINTERS = st.fixed_dictionaries(
    {},
    optional={
        "holder": TEXT | st.just("east"),
        "kind": st.sampled_from(sorted(CLASSES)) | CODES,
        "digest": st.binary(min_size=32, max_size=32) | st.binary(max_size=3),
        "subject": st.just(HER) | st.integers(0, 3),
        "size": st.integers(0, 9),
    },
)
ABOUT_RECORDS = st.one_of(
    st.builds(
        lambda pointer, more: Call("erasure", "ask", {"pointer": pointer, "proof": {}, **more}),
        POINTERS | st.just([]),
        st.sampled_from([{}, {}, {"form": b"f"}]),
    ),
    st.builds(
        lambda pointer, reason, statement: Call(
            "corrections", "dispute",
            {"pointer": pointer, "proof": {}, "reason": reason, "statement": statement},
        ),
        POINTERS,
        st.sampled_from(["outdated", "other", "toString", "because"]),
        st.binary(min_size=32, max_size=32) | st.binary(max_size=2),
    ),
    st.builds(lambda text: Call("erasure", "take_back", {"erasure": text}), TEXT),
    st.builds(lambda text: Call("corrections", "withdraw", {"dispute": text}), TEXT),
)  # fmt: skip
CALLS = CALLS | ABOUT_RECORDS
RECORD = {"holder": "east", "kind": "imaging", "digest": bytes(31) + b"\x5c", "subject": HER}


def test_what_becomes_of_a_record_is_said_with_the_record() -> None:
    said = only(Call("erasure", "ask", {"pointer": RECORD, "proof": {}}))
    assert said.whole
    assert said.subject == HER
    assert "You ask east to destroy its record (imaging result) ending in 0000005c" in said.en
    assert "in an emergency it is closed too" in said.en
    said = only(
        Call(
            "corrections", "dispute",
            {"pointer": RECORD, "proof": {}, "reason": "outdated", "statement": bytes(32)},
        )
    )  # fmt: skip
    assert said.whole
    assert "it is out of date" in said.en
    for call in (
        Call("erasure", "ask", {"pointer": RECORD, "proof": {}, "form": b"x"}),
        Call("erasure", "ask", {"pointer": {**RECORD, "digest": b""}, "proof": {}}),
    ):
        assert not only(call).whole


class Reader:
    """The page's own code, running in Node.js."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            program("declaration.mjs"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **asked: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


@pytest.fixture(scope="module")
def reader():
    found = Reader()
    yield found
    found.close()


@settings(max_examples=80, deadline=None)
@given(calls=st.lists(CALLS, min_size=1, max_size=3))
def test_the_page_reads_the_same_from_the_bytes(reader: Reader, calls: list[Call]) -> None:
    body = encode(body_of(*calls))
    answer = reader.ask(body=body.hex())
    assert answer["id"] == hashing.TRANSACTION(body).hex()
    expected = [said._asdict() for said in declaration.said(body_of(*calls))]
    for said, mine in zip(answer["said"], expected, strict=True):
        # A subject that is no text is said differently, and is never whole.
        assert said["whole"] == mine["whole"]
        assert (said["en"], said["zh"]) == (mine["en"], mine["zh"])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_page_refuses_bytes_that_are_no_body(reader: Reader, data: st.DataObject) -> None:
    good = encode(body_of(grant({"purposes": ["TREAT"]})))
    cut = data.draw(st.integers(0, len(good) - 1))
    assert "refused" in reader.ask(body=good[:cut].hex())
    assert "refused" in reader.ask(body=(good + b"\x00").hex())


def test_the_page_refuses_a_key_that_comes_twice(reader: Reader) -> None:
    good = encode(body_of(Call("consent", "withdraw", {"id": "mine", "ix": "c"})))
    twice = good.replace(b"\xa2ix", b"\xa2id")
    assert twice != good
    assert "twice" in reader.ask(body=twice.hex())["refused"]


def test_the_page_makes_the_envelope_that_the_chain_reads(reader: Reader) -> None:
    body = encode(body_of(grant({"purposes": ["TREAT"], "institutions": ["x" * 60] * 5})))
    for number in range(20):
        assertion = HERS.assertion(
            hashing.TRANSACTION(body), data=HERS.authenticator_data(counter=number)
        )
        response = {
            "authenticatorData": assertion.authenticator_data.hex(),
            "clientDataJSON": assertion.client_data.hex(),
            "signature": assertion.der.hex(),
        }
        raw = bytes.fromhex(reader.ask(body=body.hex(), response=response)["envelope"])
        assert raw == encode(Envelope(body, (assertion.wire,)))
        assert verify_signatures(decode_transaction(raw))


def test_the_words_of_the_page_are_those_of_the_node() -> None:
    assert pagewords.PLACE.read_text(encoding="utf-8") == pagewords.text()
