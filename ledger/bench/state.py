"""What a large state costs a node: memory, and the time of one decision.

``python -m ledger.bench.state --entries 1000000`` grows a store to that many state entries, then
opens it in a fresh process, runs consents and access requests on it, and prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from ledger.bench.baselines import verifications_per_second
from ledger.bench.consortium import Workload, found
from ledger.chain.block import Block, Certificate, CommitSignature, commit_digest
from ledger.chain.codec import encode
from ledger.chain.genesis import read_genesis
from ledger.chain.store import Store
from ledger.chain.transaction import decode_transaction
from ledger.contracts import blocks
from ledger.contracts.blocks import Executed
from ledger.contracts.replica import Replica
from ledger.crypto.keys import SigningKey
from ledger.node.setup.founding import Founding, node_home
from ledger.node.setup.home import load_home

BATCH = 2_000
TRANSACTIONS = 400
ROUNDS = 10


class Quorum:
    """The keys of all validators, to certify blocks without a network."""

    def __init__(self, founding: Founding) -> None:
        self._keys: dict[str, SigningKey] = {
            node: load_home(node_home(founding.home, node)).signing_key(lambda: "")
            for node in founding.validators
        }

    def certify(self, block: Block) -> Certificate:
        header = block.header
        name = header.hash()
        digest = commit_digest(header.chain, header.height, header.view, name)
        signatures = tuple(
            CommitSignature(node, self._keys[node].sign(digest)) for node in sorted(self._keys)
        )
        return Certificate(header.height, header.view, name, signatures)


def _grow(replica: Replica, quorum: Quorum, entries: int) -> None:
    """Put random consents into the state, as many blocks of `BATCH` as it takes."""
    done = 0
    while done < entries:
        tip = replica.tip()
        executed = blocks.candidate(
            tip,
            replica.machine,
            proposer=replica.validators.members[0].node,
            view=0,
            time=tip.header.time + 1,
            transactions=(),
        )
        count = min(BATCH, entries - done)
        value = encode({"status": "active", "subject": "p-" + "0" * 32, "given": {"height": 1}})
        writes: dict[bytes, bytes | None] = {
            b"consent/consents/" + secrets.token_hex(8).encode(): value for _ in range(count)
        }
        update = tip.tree.update(writes, tip.header.height + 1)
        block = executed.block
        replica.commit(Executed(block, (), (), (), writes, update), quorum.certify(block))
        done += count


def _measure(home: Path, store: str) -> dict[str, float]:
    """In a fresh process: open the store, decide, and look at the memory."""
    founding_file = json.loads((home / "bench.json").read_text())
    founding = Founding(
        home=home,
        network="bench",
        chain_id=bytes.fromhex(founding_file["chain"]),
        institutions=(),
        validators=tuple(founding_file["validators"]),
        observers=(),
        people=0,
        contracts=(),
        urls={},
    )
    replica = Replica(Store.open(store))
    quorum = Quorum(founding)
    workload = Workload(founding)
    height = replica.head.height
    batches = [[workload.anchoring(height)]] + [
        workload.single(height, TRANSACTIONS) for _ in range(ROUNDS)
    ]
    spent = 0.0
    for raws in batches:
        transactions = [decode_transaction(raw) for raw in raws]
        start = time.process_time()
        executed = blocks.candidate(
            replica.tip(),
            replica.machine,
            proposer=replica.validators.members[0].node,
            view=0,
            time=replica.head.time + 1,
            transactions=transactions,
        )
        replica.commit(executed, quorum.certify(executed.block))
        spent += time.process_time() - start
    verify = verifications_per_second()
    each = spent / (TRANSACTIONS * ROUNDS)
    return {
        "rss_mb": round(psutil.Process(os.getpid()).memory_info().rss / 2**20, 1),
        "execute_and_store_us_per_tx": round(1e6 * each, 1),
        "execute_and_store_verifications_per_tx": round(each * verify, 2),
        "ed25519_verify_per_s": round(verify),
    }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--measure", nargs=2, metavar=("HOME", "STORE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        home, store = given.measure
        sys.stdout.write(json.dumps(_measure(Path(home), store)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="health-ledger-state-") as directory:
        founding = found(4, Path(directory) / "network")
        (founding.home / "bench.json").write_text(
            json.dumps({"chain": founding.chain_id.hex(), "validators": list(founding.validators)})
        )
        url = f"sqlite:///{Path(directory) / 'state.db'}"
        store = Store.open(url, create=True)
        replica = Replica.found(store, read_genesis(founding.home / "genesis.json"))
        start = time.perf_counter()
        _grow(replica, Quorum(founding), given.entries)
        grown = time.perf_counter() - start
        size = store.size_bytes()
        store.close()
        measured = subprocess.run(  # noqa: S603 - our own command, no shell
            [sys.executable, "-m", "ledger.bench.state", "--measure", str(founding.home), url],
            check=True,
            stdout=subprocess.PIPE,
        )
        figures = {
            "entries": given.entries,
            "grow_us_per_entry": round(1e6 * grown / max(1, given.entries), 1),
            "store_bytes_per_entry": round(size / max(1, given.entries)),
            **json.loads(measured.stdout),
        }
        sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
