"""What every client of the ledger has to accept and refuse, in one file for all languages.

python -m tests.support.client_vectors      writes tests/data/client_vectors.json anew
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from nacl import bindings

from ledger.chain import merkle
from ledger.chain.codec import encode
from ledger.chain.disclosures import Entry, disclosure_file, log_key, prove_page
from ledger.chain.receipt import build_receipt, dump_receipt
from ledger.chain.receipt import handovers as handovers_to
from ledger.chain.statement import Statement, statement_file
from ledger.chain.statetree import StateTree
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.chain.values import to_json
from ledger.client.verify import trust_file
from ledger.crypto import suites
from ledger.crypto.keys import SigningKey
from ledger.crypto.passkey import ORDER as P256_ORDER
from ledger.node.events import events_of
from ledger.node.listening.wire import event_json
from ledger.node.webhooks.signing import signed_headers
from tests.support.authenticator import Authenticator, client_data
from tests.support.chain import HandmadeChain, key_of

FILE = Path(__file__).parents[1] / "data" / "client_vectors.json"
NOW = 1_767_225_600
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1,
    2**53, 2**63 - 1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63),
    "", "x" * 31, "x" * 32, "x" * 256, "é漢𐀀", b"", b"\x00" * 255, b"\xff" * 256,
    [], [1, [2, [3]]], list(range(16)), {}, {"b": 1, "a": 2, "": 3, "\uffff": 4, "\U00010000": 5},
    {"__proto__": 1, "constructor": {"x": None}}, {"k" + str(n): n for n in range(16)},
]  # fmt: skip

#: Hex of bytes that are not canonical, or hold what no value can.
ODD = [
    "", "c1", "cc05", "cd0005", "ce00000005", "cf0000000000000005", "d005", "d1ff80", "d900",
    "da0000", "db00000000", "c500010a", "c60000000100", "dc0000", "dd00000000", "de0000",
    "df00000000", "ca00000000", "cb0000000000000000", "d40100", "c70101ff", "82a16101a16102",
    "82a16201a16101", "810102", "81a161", "92", "0000", "a1ff", "a3eda080", "dd7fffffff",
    "df7fffffff", "c6ffffffff", "91" * 64 + "c0",
]  # fmt: skip


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def ed25519_cases() -> list[dict[str, Any]]:
    """Good signatures, broken ones, and the points about which libraries disagree."""
    key = SigningKey(bytes(range(32)))
    message = b"what is signed"
    good = key.sign(message)
    s = int.from_bytes(good[32:], "little")
    small = [
        bytes(32),  # y = 0, order 4
        (1).to_bytes(32, "little"),
        (PRIME - 1).to_bytes(32, "little"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ]
    odd = [
        (PRIME).to_bytes(32, "little"),
        (PRIME + 1).to_bytes(32, "little"),
        b"\x02" + bytes(31),
        b"\xff" * 32,
    ]
    triples = [
        (key.public[1:], message, good),
        (key.public[1:], message + b"!", good),
        (key.public[1:], message, good[:32] + (s + ORDER).to_bytes(32, "little")),
        (key.public[1:], message, good[:-1]),
        (key.public[1:], message, good + b"\x00"),
        (key.public[1:], b"", key.sign(b"")),
        (SigningKey(bytes(32)).public[1:], message, good),
    ]
    for point in small:
        # With the neutral element for R and s = 0, a small key verifies anything it is let to.
        triples += [(point, message, point + bytes(32)), (point, message, small[1] + bytes(32))]
        triples += [(key.public[1:], message, point + good[32:])]
    triples += [(point, message, good) for point in odd]
    triples += [(key.public[1:], message, point + good[32:]) for point in odd]
    # A key with a part of small order, which verifies with the cofactor and not without.
    mixed = bindings.crypto_core_ed25519_add(key.public[1:], small[3])
    triples += [(mixed, bytes([n]), key.sign(bytes([n]))) for n in range(8)]
    return [
        {
            "key": "01" + public.hex(),
            "message": text.hex(),
            "signature": signature.hex(),
            "good": suites.verify(b"\x01" + public, text, signature),
        }
        for public, text, signature in triples
    ]


def passkey_cases() -> list[dict[str, Any]]:
    """Assertions of one passkey: good, and wrong in one thing each."""
    device = Authenticator("vector", "example.org", "https://www.example.org")
    message = bytes(range(32))
    origin = device.origin
    answers = [
        device.assertion(message),
        device.assertion(message, client=client_data(message, "https://example.org:8443")),
        device.assertion(message, client=client_data(message, origin, note="more")),
        device.assertion(message, client=client_data(message, origin)[:-21] + b"}"),
        device.assertion(message, client=client_data(message, "https://example.com")),
        device.assertion(message, client=client_data(message, "https://example.org.evil.net")),
        device.assertion(message, client=client_data(message, "http://example.org")),
        device.assertion(message, client=client_data(bytes(32), origin)),
        device.assertion(message, client=client_data(message, origin, "webauthn.create")),
        *(
            device.assertion(message, data=device.authenticator_data(flags))
            for flags in (0x00, 0x01, 0x04, 0x0D, 0x1D, 0x15, 0x45, 0x85)
        ),
        device.assertion(message, data=bytes(32) + device.authenticator_data()[32:]),
    ]
    wires = [answer.wire for answer in answers]
    good = wires[0]
    s = int.from_bytes(good[69:101], "big")
    wires.append(good[:69] + (P256_ORDER - s).to_bytes(32, "big") + good[101:])
    wires += [good[:37] + bytes(64) + good[101:], good[:100], b"", good + b"}"]
    cases = [
        {
            "key": device.public.hex(),
            "message": message.hex(),
            "signature": wire.hex(),
            "good": suites.verify(device.public, message, wire),
        }
        for wire in wires
    ]
    other = Authenticator("other", "example.org").public
    cases.append(
        {"key": other.hex(), "message": message.hex(), "signature": good.hex(), "good": False}
    )
    return cases


def assertions() -> list[dict[str, Any]]:
    """The parts of assertions as browsers give them, and the wire signature of each."""
    device = Authenticator("vector", "example.org", "https://www.example.org")
    made = []
    for number in range(4):
        message = bytes([number]) * 32
        answer = device.assertion(message)
        made.append(
            {
                "key": device.public.hex(), "message": message.hex(),
                "authenticatorData": b64(answer.authenticator_data),
                "clientDataJSON": b64(answer.client_data), "signature": b64(answer.der),
                "wire": answer.wire.hex(),
            }
        )  # fmt: skip
    return made


def with_passkey(chain: HandmadeChain) -> Transaction:
    device = Authenticator("vector", "example.org", "https://www.example.org")
    nurse = key_of("nurse")
    arguments = {"id": "c-1", "scope": {"purposes": ["TREAT"]}, "form": b"\x01\x02", "n": -5}
    body = Body(
        chain.chain, b"passkey", 0, 1_000, True,
        (Call("consent", "grant", arguments),), (device.public, nurse.public),
    )  # fmt: skip
    return sign_transaction(body, device, nurse)


def chain_cases(directory: Path) -> dict[str, Any]:
    """Receipts, statements and events of a chain whose validators changed twice."""
    chain = HandmadeChain(directory / "vectors.db")
    entries = [Entry("access", {"id": f"t-{n}", "outcome": "permit", "n": n}) for n in range(7)]
    leaves = [merkle.leaf_hash(entry.leaf()) for entry in entries]
    log = merkle.Log()
    for entry in entries:
        log.append(entry.leaf())
    transactions = [chain.transaction(), chain.transaction("bob", "carol"), with_passkey(chain)]
    state = {
        b"access/decisions/t-0": encode({"outcome": "permit", "expires": 2**60, "n": b"\x00"}),
        b"consent/consents/c-1": encode(None),
        log_key("p-1"): encode({"count": log.size, "peaks": list(log.peaks)}),
        **{f"records/roots/{number}".encode(): encode(number) for number in range(40)},
    }
    chain.append(transactions[:1], state)
    chain.hand_over("n1", "n2", "n3", "n4", "n5")
    chain.append(transactions[1:], {b"records/roots/7": None})
    chain.hand_over("n5", "n6", "n7", "n8", "n9", "n10", "n11")
    late = [chain.transaction(calls=2) for _ in range(5)]
    transactions += late
    chain.append(late)

    receipts = []
    for made in transactions:
        receipt = build_receipt(chain.store, made.id)
        assert receipt is not None
        receipts.append(json.loads(dump_receipt(receipt)))
    tree = StateTree(chain.store)

    def statement_of(height: int, name: bytes = log_key("p-1")) -> Statement:
        header, certificate = chain.store.header(height), chain.store.certificate(height)
        assert header is not None
        assert certificate is not None
        return Statement(
            name, chain.store.value(name, height), header, certificate, tree.prove(name, height),
            handovers_to(chain.store, height),
        )  # fmt: skip

    statements = []
    for height in (1, 3, 5):
        keys = [
            "access/decisions/t-0", "consent/consents/c-1", "records/roots/7", "records/roots/99",
            "consent/consents/none", "governance/validators",
        ]  # fmt: skip
        for key in keys:
            name = key.encode()
            made_of = statement_of(height, name)
            value = made_of.value
            file = statement_file(made_of)
            statements.append(
                {
                    "height": height,
                    "present": value is not None,
                    "raw": None if value is None else value.hex(),
                    "file": {"format": file.format, "key": file.key, "statement": file.statement},
                }
            )
    pages = []
    for first, count in ((0, 7), (0, 3), (3, 3), (4, 3), (6, 1), (5, 1)):
        page = prove_page(leaves, first, count)
        listed = entries[first : first + count]
        pages.append(
            {
                "first": first, "total": 7, "entries": [entry.said["id"] for entry in listed],
                "file": msgspec.to_builtins(disclosure_file("p-1", statement_of(5), page, listed)),
            }
        )  # fmt: skip
    events = [
        {"id": str(event.cursor), "data": json.loads(event_json(event))}
        for event in events_of(chain.store, 5)
    ]
    found = {
        "trust": trust_file(chain.trust),
        "transactions": [made.id.hex() for made in transactions],
        "receipts": receipts,
        "statements": statements,
        "events": events,
        "disclosures": pages,
    }
    chain.store.close()
    return found


def webhook_cases() -> dict[str, Any]:
    key = SigningKey(bytes(range(32)))
    body = '{"cursor":"17.0.1","fields":{"说":"你好"}}'
    url = "https://engine.example.org/ledger?x=1"
    headers = signed_headers(key, url, body.encode(), "0011.17.0.1", "sub-1", NOW * 1000)
    return {
        "key": key.public.hex(), "url": url, "now": NOW, "body": body,
        "headers": {name.lower(): text for name, text in headers.items()},
    }  # fmt: skip


def vectors() -> dict[str, Any]:
    """Everything that is in the file; the same in every run."""
    with tempfile.TemporaryDirectory() as directory:
        chain = chain_cases(Path(directory))
    return {
        "codec": {
            "values": [
                {"hex": encode(value).hex(), "json": json.dumps(to_json(value))} for value in VALUES
            ],
            "odd": ODD,
        },
        "ed25519": ed25519_cases(),
        "passkey": passkey_cases(),
        "assertions": assertions(),
        "webhook": webhook_cases(),
        **chain,
    }


def text() -> str:
    return json.dumps(vectors(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
