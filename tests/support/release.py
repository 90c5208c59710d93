"""A holder with one record, a permit for it on a small chain, and the receipt of that permit."""

import json
from dataclasses import dataclass, field

from ledger.chain import merkle
from ledger.chain.block import (
    Certificate,
    CommitSignature,
    Header,
    Validator,
    ValidatorSet,
    commit_digest,
)
from ledger.chain.codec import encode
from ledger.chain.receipt import Receipt
from ledger.chain.result import CallResult, Result
from ledger.chain.transaction import Body, Call, sign_transaction
from ledger.crypto.hashing import ZERO_HASH
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealingKey
from ledger.node.vault.vault import Vault

SUBJECT = "p-" + "1" * 32
CONTENT = json.dumps(
    {"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "valueString": "5.4"}
).encode()


def key(number):
    return SigningKey(bytes([number]) * 32)


@dataclass
class Scene:
    """What the tests vary: who signs, what the decision says, who certifies."""

    vault: Vault
    source: object
    pointer: object
    proof: dict
    requester: SigningKey = field(default_factory=lambda: key(1))
    reply: SealingKey = field(default_factory=lambda: SealingKey(bytes([7]) * 32))
    nodes: list = field(default_factory=lambda: [key(number) for number in range(100, 104)])
    chain: bytes = b"\x05" * 32
    holder: str = "east"
    time: int = 1_000_000
    expires: int = 2_000_000
    subject: str = SUBJECT

    @property
    def validators(self):
        return self.set_of(self.nodes)

    @staticmethod
    def set_of(nodes):
        members = [
            Validator(f"n{place}", f"i{place}", node.public) for place, node in enumerate(nodes)
        ]
        return ValidatorSet(tuple(members))

    def permit(self, *, ok=True, contract="access", method="request", nodes=None, **changes):
        """(decision id, encoded receipt) of a certified transaction with one decision."""
        call = Call(
            contract,
            method,
            {
                "pointer": self.pointer.value(),
                "proof": self.proof,
                "purpose": "TREAT",
                "institution": "west",
                "reply_key": self.reply.public,
            },
        )
        body = Body(self.chain, b"n", 0, 100, False, (call,), (self.requester.public,))
        transaction = sign_transaction(body, self.requester)
        decision = {
            "id": f"{transaction.id.hex()}-0",
            "outcome": "permit",
            "rule": "consent:1",
            "path": [],
            "requester": "p-doctor",
            "institution": "west",
            "subject": self.pointer.subject,
            "record": self.pointer.name(),
            "holder": self.holder,
            "kind": "laboratory",
            "digest": self.pointer.digest,
            "purpose": "TREAT",
            "reply_key": self.reply.public,
            "obligations": [],
            "time": self.time,
            "expires": self.expires,
            "released": None,
            "received": None,
            **changes,
        }
        outcome = CallResult(ok, "" if ok else "rejected: no", decision if ok else None, 10, ())
        result = encode(Result(transaction.id, (outcome,)))
        return decision["id"], self.receipt(transaction.raw, result, nodes or self.nodes)

    def enquiry(self, **changes):
        """(enquiry id, encoded receipt) of a certified transaction with one enquiry."""
        call = Call(
            "enquiry", "ask",
            {"subject": self.subject, "purpose": "TREAT", "reply_key": self.reply.public},
        )  # fmt: skip
        body = Body(self.chain, b"n", 0, 100, False, (call,), (self.requester.public,))
        transaction = sign_transaction(body, self.requester)
        enquiry = {
            "id": f"{transaction.id.hex()}-0", "asker": "p-doctor", "institution": "west",
            "subject": self.subject, "purpose": "TREAT", "case": "case-1",
            "reply_key": self.reply.public, "time": self.time, "height": 1,
            "expires": self.expires, **changes,
        }  # fmt: skip
        outcome = CallResult(True, "", enquiry, 10, ())
        result = encode(Result(transaction.id, (outcome,)))
        return enquiry["id"], self.receipt(transaction.raw, result, self.nodes)

    def receipt(self, envelope, result, nodes):
        header = Header(
            1,
            self.chain,
            1,
            0,
            b"\x06" * 32,
            "n0",
            self.time,
            merkle.root([envelope]),
            ZERO_HASH,
            merkle.root([result]),
            ZERO_HASH,
            ZERO_HASH,
            self.set_of(nodes).hash(),
        )
        digest = commit_digest(self.chain, 1, 0, header.hash())
        signatures = tuple(
            CommitSignature(f"n{place}", node.sign(digest)) for place, node in enumerate(nodes)
        )
        certificate = Certificate(1, 0, header.hash(), signatures)
        return encode(
            Receipt(
                header=header,
                certificate=certificate,
                envelope=envelope,
                result=result,
                sides=0,
                transaction_path=(),
                result_path=(),
                handovers=(),
            )
        )
