"""What the chain takes on disk: by transaction, and by member and year in three consortia.

``python -m ledger.bench.storage`` runs the same visits of patients through the real contracts for
each consortium, measures the store, its archive files and what is left of it after pruning, and
prints one JSON object. What a year takes is these figures times the stated rates.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ledger.bench.consortium import Visit, Workload, found
from ledger.bench.state import Quorum
from ledger.chain.archivewriter import write_archive
from ledger.chain.block import CommitSignature
from ledger.chain.codec import encode
from ledger.chain.genesis import read_genesis
from ledger.chain.pruning import Pruning
from ledger.chain.store import Store
from ledger.chain.transaction import decode_transaction
from ledger.client.verify import trust_in
from ledger.contracts import blocks
from ledger.contracts.blocks import Executed
from ledger.contracts.replica import Replica

#: Measured with so many validators; certificates of more are computed.
VALIDATORS: Final = 4
WINDOW: Final = 16
DAYS: Final = 365
BUSIEST_BLOCKS_PER_DAY: Final = 172_800
IDLE_BLOCKS_PER_DAY: Final = 2_880
KEEP_BLOCKS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Consortium:
    """A size of consortium: members, validators among them, and what each member does in a day.

    ``visits``: patients who permit a hospital to see a record, which is asked for, released and
    received: four transactions. ``anchors``: roots over 1,000 records each.
    """

    name: str
    members: int
    validators: int
    visits: int
    anchors: int

    @property
    def transactions_per_day(self) -> int:
        return self.members * (4 * self.visits + self.anchors)

    @property
    def blocks_per_day(self) -> int:
        """A transaction that comes alone gets a block of its own, at most two in a second; a quiet
        network makes one every thirty seconds."""
        busy = min(self.transactions_per_day, BUSIEST_BLOCKS_PER_DAY)
        return max(busy, IDLE_BLOCKS_PER_DAY)

    @property
    def fill(self) -> int:
        """How many transactions a block holds on average."""
        return max(1, round(self.transactions_per_day / self.blocks_per_day))


CONSORTIA: Final = (
    Consortium("county", members=13, validators=7, visits=50, anchors=24),
    Consortium("prefecture", members=60, validators=13, visits=100, anchors=24),
    Consortium("Tianjin", members=266, validators=25, visits=400, anchors=24),
)


class _Chain:
    """A chain in a fresh store, extended without a network."""

    def __init__(self, directory: Path) -> None:
        founding = found(VALIDATORS, directory / "network", validity_window=WINDOW)
        genesis = read_genesis(founding.home / "genesis.json")
        self.trust = trust_in(genesis)
        self.store = Store.open(str(directory / "ledger.db"), create=True)
        self.replica = Replica.found(self.store, genesis)
        self.workload = Workload(founding)
        self._quorum = Quorum(founding)

    @property
    def next_height(self) -> int:
        return self.replica.head.height + 1

    def append(self, raws: list[bytes]) -> Executed:
        """Store a block of these transactions; every call in it must succeed."""
        tip = self.replica.tip()
        executed = blocks.candidate(
            tip,
            self.replica.machine,
            proposer=self.replica.validators.members[0].node,
            view=0,
            time=tip.header.time + 500,
            transactions=[decode_transaction(raw) for raw in raws],
        )
        failed = [call.error for result in executed.results for call in result.calls if not call.ok]
        if failed or len(executed.transactions) != len(raws):
            raise RuntimeError(f"the workload failed: {failed}")
        self.replica.commit(executed, self._quorum.certify(executed.block))
        return executed

    def size(self) -> int:
        """What the store takes, after everything that can be given back was given back."""
        while self.store.reclaim():
            pass
        return self.store.size_bytes()


def _steps(chain: _Chain, visits: int, anchors_every: int, fill: int) -> Iterator[int]:
    """Run visits in groups, so that each kind of transaction comes in blocks of ``fill``; yields
    how many transactions a block had."""
    workload = chain.workload
    for start in range(0, visits, fill):
        height = chain.next_height
        places = range(start, start + fill)
        group = [workload.visit(height, place % 1_000, WINDOW) for place in places]
        chain.append([visit.consent for visit in group])
        asked = chain.append([visit.request for visit in group])
        decisions = [result.calls[0].value["id"] for result in asked.results]
        yield from (fill, fill)
        for kind in zip(*_followed(chain, group, decisions), strict=True):
            chain.append(list(kind))
            yield fill
        if start // fill % anchors_every == 0:
            chain.append(workload.anchors(chain.next_height, fill, window=WINDOW))
            yield fill


def _followed(chain: _Chain, group: list[Visit], decisions: list[str]) -> Iterator[list[bytes]]:
    for visit, decision in zip(group, decisions, strict=True):
        yield chain.workload.handed_over(chain.next_height, visit, decision, WINDOW)


def _empty_block_bytes(directory: Path) -> tuple[float, float]:
    """What an empty block takes in the store and in an archive file."""
    chain = _Chain(directory)
    before, count = chain.size(), 500
    for _ in range(count):
        chain.append([])
    stored = (chain.size() - before) / count
    _, summary = write_archive(chain.store, directory, 1, count, chain.trust)
    chain.store.close()
    return stored, summary.size / count


def _measure(consortium: Consortium, transactions: int, directory: Path) -> dict[str, Any]:
    """The bytes of a consortium's transactions, with four validators."""
    chain = _Chain(directory)
    chain.append([chain.workload.anchoring(chain.next_height, WINDOW)])
    before, first = chain.size(), chain.next_height
    anchors_every = max(1, round(consortium.visits / consortium.anchors))
    visits = transactions // 4
    done = sum(_steps(chain, visits, anchors_every, consortium.fill))
    count = chain.next_height - first
    grown = chain.size() - before
    last = chain.replica.head.height - WINDOW
    path, _ = write_archive(chain.store, directory, 1, last, chain.trust)
    for _ in Pruning(chain.store).steps(last + 1):
        pass
    left = chain.size() - before
    archived = path.stat().st_size
    chain.store.close()
    return {
        "transactions": done,
        "blocks": count,
        "store_bytes_per_tx": grown / done,
        "archive_bytes_per_tx": archived / done,
        "pruned_bytes_per_tx": left / done,
    }


def _signature_bytes() -> int:
    """What one more signature adds to a certificate."""
    return len(encode(CommitSignature("n-hospital-12", bytes(64))))


def _year(consortium: Consortium, measured: dict[str, Any]) -> dict[str, Any]:
    """What a member's node takes in a year, in gigabytes (10^9 bytes)."""
    transactions = consortium.transactions_per_day * DAYS
    count = consortium.blocks_per_day * DAYS
    faults = (consortium.validators - 1) // 3
    more = consortium.validators - faults - (VALIDATORS - 1)
    certificates = count * more * _signature_bytes()
    whole = transactions * measured["store_bytes_per_tx"] + certificates
    archive = transactions * measured["archive_bytes_per_tx"] + certificates
    kept = transactions * measured["pruned_bytes_per_tx"]
    share = min(1.0, KEEP_BLOCKS / count)
    return {
        "transactions": transactions,
        "blocks": count,
        "store_gb": round(whole / 1e9, 1),
        "archive_gb": round(archive / 1e9, 1),
        "pruned_growth_gb": round(kept / 1e9, 1),
        "kept_blocks_gb": round((whole - kept) * share / 1e9, 1),
    }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=4_000)
    given = parser.parse_args()
    figures: dict[str, Any] = {"consortia": []}
    with tempfile.TemporaryDirectory(prefix="health-ledger-storage-") as directory:
        stored, archived = _empty_block_bytes(Path(directory) / "empty")
        figures["empty_block_store_bytes"] = round(stored)
        figures["empty_block_archive_bytes"] = round(archived)
        for consortium in CONSORTIA:
            measured = _measure(consortium, given.transactions, Path(directory) / consortium.name)
            year = _year(consortium, measured)
            figures["consortia"].append(
                {
                    **asdict(consortium),
                    "transactions_per_block": consortium.fill,
                    "measured": {name: round(value) for name, value in measured.items()},
                    "a_year_at_each_member": year,
                }
            )
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
