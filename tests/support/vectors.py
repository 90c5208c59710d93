"""The worked examples of docs/protocol/chain.md, computed.

Run as a module to print them: ``python -m tests.support.vectors``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ledger.chain import merkle
from ledger.chain.block import Header, commit_digest, identities_hash
from ledger.chain.codec import encode
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.receipt import Receipt, encode_receipt, verify_receipt
from ledger.chain.result import CallResult, Event, Result
from ledger.chain.statetree import verify_state_proof
from ledger.chain.transaction import (
    Body,
    Call,
    Envelope,
    decode_transaction,
    sign_transaction,
    verify_signatures,
)
from ledger.crypto import hashing
from ledger.crypto.hashing import ZERO_HASH, Domain
from tests.support.authenticator import Authenticator
from tests.support.chain import certify, committee, key_of
from tests.support.tiles import Tiles, grow

_DOMAINS = (
    hashing.GENESIS, hashing.TRANSACTION, hashing.HEADER, hashing.IDENTITIES, hashing.VALIDATORS,
    hashing.STATE_KEY, hashing.STATE_VALUE, hashing.MESSAGE, hashing.PREPARED, hashing.SOURCE,
    hashing.RECORD, hashing.COMMITMENT,
)  # fmt: skip


def vectors() -> dict[str, Any]:
    """Everything as JSON values; bytes in hex."""
    value = {"b": [1, -1, 255, 65536, None, True], "a": "é", "c": b"\x00\xff"}
    genesis = Genesis(1, "vectors", 1_767_225_600_000, (GenesisContract("governance", "", {}),))
    chain = genesis.chain_id()
    validators = committee("n1", "n2", "n3", "n4")
    bodies = [
        Body(chain, bytes([number]), 1, 100, False, (Call("notes", "write", {"id": "x"}),), signers)
        for number, signers in ((7, (key_of("alice").public,)), (8, (key_of("bob").public,)))
    ]
    transactions = [
        sign_transaction(body, key_of(name))
        for body, name in zip(bodies, ("alice", "bob"), strict=True)
    ]
    results = [
        Result(
            transaction.id,
            (CallResult(True, "", 1, 42, (Event("notes", "written", {"id": "x"}),)),),
        )
        for transaction in transactions
    ]
    raws = tuple(transaction.raw for transaction in transactions)
    encoded = tuple(encode(result) for result in results)
    entries = {b"notes/a": encode(1), b"notes/b": encode("two"), b"notes/c": encode([3])}
    tree = grow(Tiles(), entries)
    header = Header(
        1, chain, 1, 0, hashing.HEADER(b"parent"), "n1", 1_767_225_601_000, merkle.root(raws),
        identities_hash(transaction.id for transaction in transactions), merkle.root(encoded),
        tree.root, merkle.root([hashing.HEADER(b"parent")]), validators.hash(),
    )  # fmt: skip
    certificate = certify(header, ["n1", "n2", "n3"])
    leaves = [merkle.leaf_hash(raw) for raw in raws]
    receipt = Receipt(
        header=header,
        certificate=certificate,
        envelope=raws[1],
        result=encoded[1],
        sides=merkle.inclusion_sides(1, 2),
        transaction_path=merkle.inclusion_path(leaves, 1),
        result_path=merkle.inclusion_path([merkle.leaf_hash(raw) for raw in encoded], 1),
        handovers=(),
    )
    verify_receipt(receipt, chain, validators)
    hers = Authenticator("hers")
    consent = Body(
        chain, b"\x09", 1, 100, False, (Call("notes", "write", {"id": "x"}),), (hers.public,)
    )
    by_passkey = decode_transaction(
        encode(Envelope(encode(consent), (hers.sign(hashing.TRANSACTION(encode(consent))),)))
    )
    assert verify_signatures(by_passkey)
    inclusion = tree.prove(b"notes/b")
    stranger = next(key for key in (b"notes/%d" % n for n in range(99)) if tree.prove(key).leaf)
    nothing = next(key for key in (b"notes/%d" % n for n in range(99)) if not tree.prove(key).leaf)
    for key in (stranger, nothing):
        assert verify_state_proof(tree.root, key, None, tree.prove(key))
    return {
        "canonical": encode(value).hex(),
        "domains": {domain.name: _of_abc(domain) for domain in _DOMAINS},
        "keys": {
            name: {"seed": key_of(name).seed.hex(), "public": key_of(name).public.hex()}
            for name in ("alice", "bob", "n1", "n2", "n3", "n4")
        },
        "chain_id": chain.hex(),
        "validators": {"bytes": encode(validators).hex(), "hash": validators.hash().hex()},
        "transaction": {
            "body": transactions[1].envelope.body.hex(),
            "id": transactions[1].id.hex(),
            "signature": transactions[1].envelope.signatures[0].hex(),
            "envelope": raws[1].hex(),
        },
        "passkey": {
            "public": hers.public.hex(),
            "body": by_passkey.envelope.body.hex(),
            "id": by_passkey.id.hex(),
            "client_data": hers.assertion(by_passkey.id).client_data.decode(),
            "signature": by_passkey.envelope.signatures[0].hex(),
            "envelope": by_passkey.raw.hex(),
        },
        "result": encoded[1].hex(),
        "header": {"bytes": encode(header).hex(), "hash": header.hash().hex()},
        "commit_digest": commit_digest(chain, 1, 0, header.hash()).hex(),
        "certificate": encode(certificate).hex(),
        "log": {
            "leaves": ["", "00", "10"],
            "root": merkle.root([b"", b"\x00", b"\x10"]).hex(),
            "path_of_1": [
                entry.hex()
                for entry in merkle.inclusion_path(
                    [merkle.leaf_hash(data) for data in (b"", b"\x00", b"\x10")], 1
                )
            ],
            "sides_of_1": merkle.inclusion_sides(1, 3),
        },
        "state": {
            "entries": {key.decode(): value.hex() for key, value in entries.items()},
            "key_hashes": {key.decode(): hashing.STATE_KEY(key).hex() for key in entries},
            "root": tree.root.hex(),
            "root_of_a_alone": grow(Tiles(), {b"notes/a": encode(1)}).root.hex(),
            "root_of_nothing": ZERO_HASH.hex(),
            "inclusion": {"key": "notes/b", "proof": encode(inclusion).hex()},
            "absence_by_leaf": {
                "key": stranger.decode(),
                "proof": encode(tree.prove(stranger)).hex(),
            },
            "absence_by_nothing": {
                "key": nothing.decode(),
                "proof": encode(tree.prove(nothing)).hex(),
            },
        },
        "receipt": encode_receipt(receipt).hex(),
    }


def _of_abc(domain: Domain) -> str:
    return domain(b"abc").hex()


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=1)
