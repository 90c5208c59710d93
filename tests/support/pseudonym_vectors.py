"""The worked examples of docs/protocol/pseudonyms.md, computed.

Run as a module to write them: ``python -m tests.support.pseudonym_vectors > FILE``. Everything
follows from the seeds below but the sealed shares, which HPKE makes anew each time; who reads the
file opens them.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from typing import Any

from ledger.chain import ceremonies
from ledger.chain.codec import encode
from ledger.chain.evaluation import Reply, ask
from ledger.client import pseudonyms
from ledger.client.nationalid import BadNumber, normalised
from ledger.crypto.keys import SigningKey
from ledger.crypto.oprf import ceremony, group, sharing, threshold, voprf
from ledger.crypto.oprf.ceremony import Dealing, Terms, Transcript
from ledger.crypto.oprf.sharing import Polynomial
from ledger.crypto.sealing import SealingKey

CHAIN = sha256(b"a chain").digest()
NODES = ("n1", "n2", "n3", "n4")
TERMS = Terms(CHAIN + (7).to_bytes(8, "big"), NODES, threshold=3, tolerated=1)
NUMBERS = (
    "11010519491231002X", "１１０１０５１９４９１２３１００２ｘ", "110105 19491231 002x",
    "110105491231002", "110105194912310021", "00010519491231002X", "110105194902300029",
    "1101054912319968", "110105491231996", "11010519491231A02X",
)  # fmt: skip
NUMBER = "11010519491231002X"


def scalar(name: str) -> bytes:
    return group.of_int(int.from_bytes(sha256(name.encode()).digest(), "big"))


def polynomial(dealer: str) -> Polynomial:
    return Polynomial(tuple(scalar(f"{dealer} coefficient {place}") for place in range(3)))


def party_key(node: str) -> SealingKey:
    return SealingKey(sha256(f"ceremony key of {node}".encode()).digest())


def transcript() -> Transcript:
    keys = {node: party_key(node).public for node in NODES}
    dealings = {dealer: ceremony.dealt(TERMS, dealer, keys, polynomial(dealer)) for dealer in NODES}
    return Transcript(keys=keys, dealings=dealings)


def normal(text: str) -> dict[str, str]:
    try:
        return {"given": text, "normalised": normalised(text)}
    except BadNumber as error:
        return {"given": text, "refused": str(error)}


def evaluated(shares: dict[int, bytes], holders: threshold.Holders, text: bytes) -> dict[str, Any]:
    """One input through the function with the shares of n1, n2 and n4."""
    question = voprf.blind(text, chosen=scalar("blind"))
    answers = {
        index: voprf.evaluate(
            shares[index], holders.verification[index], [question.element],
            nonce=scalar(f"nonce {index}"),
        )
        for index in (1, 2, 4)
    }  # fmt: skip
    combined = threshold.combine(holders, [question.element], answers)
    (output,) = threshold.finish([question], combined)
    return {
        "input": text.hex(),
        "blind": question.blind.hex(),
        "blinded": question.element.hex(),
        "answers": {
            str(index): {"element": answer.elements[0].hex(), "proof": answer.proof.hex()}
            for index, answer in answers.items()
        },
        "combined": combined.elements[0].hex(),
        "output": output.hex(),
    }


def vectors(said: Transcript) -> dict[str, Any]:
    result = ceremony.outcome(TERMS, said)
    shares = {
        TERMS.index(node): ceremony.own_share(TERMS, said, result, node, party_key(node))
        for node in NODES
    }
    holders = result.holders
    patient = evaluated(shares, holders, pseudonyms.ID_TAG + NUMBER.encode())
    name = pseudonyms.pseudonym(bytes.fromhex(patient["output"]))
    carried = evaluated(shares, holders, pseudonyms.GENERATION_TAG + name.encode())
    studied = evaluated(shares, holders, pseudonyms.STUDY_TAG + name.encode())
    key = SigningKey(sha256(b"key of n9").digest())
    question = ask(
        key, chain=CHAIN, asker="n9", holder="n1", domain=ceremonies.patients(1), epoch=1,
        height=100, nonce=bytes(range(16)), elements=(bytes.fromhex(patient["blinded"]),),
    )  # fmt: skip
    first = patient["answers"]["1"]
    reply = Reply(
        question.digest(), "n1", (bytes.fromhex(first["element"]),), bytes.fromhex(first["proof"]),
        "", 19_999,
    )  # fmt: skip
    return {
        "numbers": [normal(text) for text in NUMBERS],
        "ceremony": {
            "context": TERMS.context.hex(),
            "threshold": TERMS.threshold,
            "tolerated": TERMS.tolerated,
            "members": list(NODES),
            "keys": {node: party_key(node).secret.hex() for node in NODES},
            "coefficients": {
                node: [one.hex() for one in polynomial(node).coefficients] for node in NODES
            },
            "dealings": {
                node: {
                    "commitments": [point.hex() for point in dealing.commitments],
                    "sealed": {member: box.hex() for member, box in dealing.sealed.items()},
                }
                for node, dealing in said.dealings.items()
            },
            "public": holders.public.hex(),
            "shares": {str(index): share.hex() for index, share in shares.items()},
            "verification": {str(i): point.hex() for i, point in holders.verification.items()},
            "digest": result.digest.hex(),
        },
        "weights_of_1_2_4": {
            str(index): sharing.weight(index, (1, 2, 4)).hex() for index in (1, 2, 4)
        },
        "patient": {**patient, "pseudonym": name},
        "carried": {
            **carried, "pseudonym": pseudonyms.pseudonym(bytes.fromhex(carried["output"]))
        },
        "study": {
            **studied, "pseudonym": pseudonyms.pseudonym(bytes.fromhex(studied["output"]), "s")
        },
        "question": {
            "seed": key.seed.hex(), "bytes": encode(question).hex(),
            "digest": question.digest().hex(),
        },
        "reply": encode(reply).hex(),
    }  # fmt: skip


def read_transcript(found: dict[str, Any]) -> Transcript:
    """The transcript of a file of vectors."""
    return Transcript(
        keys={node: SealingKey(bytes.fromhex(key)).public for node, key in found["keys"].items()},
        dealings={
            node: Dealing(
                tuple(bytes.fromhex(point) for point in dealt["commitments"]),
                {member: bytes.fromhex(box) for member, box in dealt["sealed"].items()},
            )
            for node, dealt in found["dealings"].items()
        },
    )


if __name__ == "__main__":
    json.dump(vectors(transcript()), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
