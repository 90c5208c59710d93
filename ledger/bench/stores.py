"""SQLite and PostgreSQL side by side: the same blocks and votes, stored in turn in both.

``python -m ledger.bench.stores --url postgresql://ledger@localhost/empty`` founds a network, makes
blocks, lets a replica on each database take them in one after the other, and prints one JSON
object. The database must be empty and is not cleaned up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from ledger.bench.baselines import durable_commits_per_second
from ledger.bench.consortium import Workload, found
from ledger.bench.state import Quorum
from ledger.chain.block import Block, Certificate
from ledger.chain.genesis import Genesis, read_genesis
from ledger.chain.rules import proposer_of
from ledger.chain.store import Store
from ledger.chain.transaction import decode_transaction
from ledger.chain.vote import Vote
from ledger.contracts import blocks
from ledger.contracts.replica import Replica

VOTES = 200


@dataclass
class _Candidate:
    """A replica on one of the databases, and what it took."""

    replica: Replica
    empty_bytes: int
    transactions: int = 0
    commit_ms: list[float] = field(default_factory=list)
    block_ms: list[float] = field(default_factory=list)
    vote_ms: list[float] = field(default_factory=list)

    @classmethod
    def on(cls, url: str, genesis: Genesis) -> _Candidate:
        replica = Replica.found(Store.open(url, create=True), genesis)
        return cls(replica, replica.store.size_bytes())

    def take(self, block: Block, certificate: Certificate) -> None:
        start = time.perf_counter()
        self.replica.extend(block, certificate)
        self.block_ms.append(1e3 * (time.perf_counter() - start))
        self.commit_ms.append(1e3 * self.replica.store.timing.last)
        self.transactions += len(block.transactions)

    def vote(self, number: int) -> None:
        height = self.replica.head.height + 1
        vote = Vote(height, number, "prepare", bytes(32), bytes(200))
        start = time.perf_counter()
        self.replica.store.save_votes([vote])
        self.vote_ms.append(1e3 * (time.perf_counter() - start))

    def figures(self) -> dict[str, float]:
        grown = self.replica.store.size_bytes() - self.empty_bytes
        return {
            "commit_ms": round(statistics.median(self.commit_ms), 2),
            "commits_per_s": round(1e3 / statistics.fmean(self.commit_ms), 1),
            "execute_and_commit_ms": round(statistics.median(self.block_ms), 2),
            "vote_ms": round(statistics.median(self.vote_ms), 2),
            "bytes_per_tx": round(grown / max(1, self.transactions)),
        }


def measure(url: str, rounds: int, transactions: int) -> dict[str, object]:
    """Store ``rounds`` blocks of so many transactions in an SQLite file and in the database.

    Raises:
        StoreError: the database cannot be used, or is not empty.
    """
    with tempfile.TemporaryDirectory(prefix="health-ledger-stores-") as directory:
        founding = found(4, Path(directory) / "network")
        genesis = read_genesis(founding.home / "genesis.json")
        maker = Replica.found(Store.open(f"{directory}/maker.db", create=True), genesis)
        candidates = {
            "sqlite": _Candidate.on(f"{directory}/sqlite.db", genesis),
            "postgresql": _Candidate.on(url, genesis),
        }
        quorum, workload = Quorum(founding), Workload(founding)
        for number in range(rounds + 1):
            # The first block anchors what the others are about.
            raws = workload.single(0, transactions) if number else [workload.anchoring(0)]
            executed = blocks.candidate(
                maker.tip(),
                maker.machine,
                proposer=proposer_of(maker.head, maker.validators, maker.parameters, number + 1, 0),
                view=0,
                time=maker.head.time + 1,
                transactions=[decode_transaction(raw) for raw in raws],
            )
            certificate = quorum.certify(executed.block)
            maker.commit(executed, certificate)
            for candidate in candidates.values():
                candidate.take(executed.block, certificate)
        for number in range(VOTES):
            for candidate in candidates.values():
                candidate.vote(number)
        figures = {kind: candidate.figures() for kind, candidate in candidates.items()}
        for replica in (maker, *(candidate.replica for candidate in candidates.values())):
            replica.store.close()
        ratio = {
            name: round(figures["postgresql"][name] / figures["sqlite"][name], 2)
            for name in figures["sqlite"]
        }
        return {
            "blocks": rounds,
            "transactions_per_block": transactions,
            **figures,
            "postgresql_to_sqlite": ratio,
            "durable_commits_per_s": round(durable_commits_per_second()),
        }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="an empty PostgreSQL database")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--transactions", type=int, default=400)
    given = parser.parse_args()
    figures = measure(given.url, given.rounds, given.transactions)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
