"""What joining by a snapshot takes, for chains of different lengths with the same state.

``python -m ledger.bench.sync --blocks 1000 10000 100000`` grows one chain to each of these lengths
in turn, lets a new node join it there, and prints one JSON object per length. The peers are in this
process, behind the production codec, at the end of one line that all of them share. It costs no
time unless ``--rate`` (bytes per second) and ``--delay`` (seconds each way) say so; ``seconds`` is
then what joining takes on such a line, and the work of both sides alone otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import msgspec
import structlog

from ledger.chain.block import Block, Certificate, CommitSignature, commit_digest
from ledger.chain.codec import encode
from ledger.chain.snapshot import Anchor
from ledger.chain.store import Store
from ledger.client.verify import trust_in
from ledger.contracts import blocks
from ledger.contracts.blocks import Executed
from ledger.contracts.replica import Replica
from ledger.node.net.frames import (
    HEADER_BYTES,
    Chunk,
    Frame,
    GetChunk,
    GetManifest,
    GetTrail,
    Manifest,
    Trail,
    decode_frame,
    encode_frame,
)
from ledger.node.sync.peers import Peers
from ledger.node.sync.provider import answer
from ledger.node.sync.snapshots import SnapshotSync
from ledger.sim.founding import Consortium, consortium, memory_directory

#: Bytes per second of a line of 1 Mbit/s.
LINE = 125_000
#: Entries written at once while the state is filled.
_FILL = 2_000


@dataclass(frozen=True, slots=True)
class Joined:
    """What one node needed. ``requests`` and ``bytes``: frames that it sent, and the bytes of all
    frames both ways. ``line_seconds``: the least that those bytes take at 1 Mbit/s."""

    blocks: int
    entries: int
    window: int
    seconds: float
    requests: int
    bytes: int
    line_seconds: float


class Chain:
    """A chain that grows by blocks without transactions, each of which rewrites one entry.

    Args:
        directory: where its store is made.
        entries: how many entries the state gets.
        window: the chain's ``validity_window``.
    """

    def __init__(self, directory: Path, *, entries: int, window: int) -> None:
        self.consortium: Consortium = consortium(4, 1, (("validity_window", window),))
        self.window = window
        self.entries = entries
        self._keys = [b"consent/consents/%08d" % number for number in range(entries)]
        path = directory / "chain.db"
        shutil.copy(self.consortium.founded, path)
        self.store = Store.open(str(path))
        self.replica = Replica(self.store)
        for at in range(0, entries, _FILL):
            self._append({key: _value(key) for key in self._keys[at : at + _FILL]})

    def grow(self, height: int) -> None:
        """Add blocks up to a height."""
        while (head := self.replica.head.height) < height:
            key = self._keys[head % len(self._keys)]
            self._append({key: _value(b"%d" % head)})

    def _append(self, writes: dict[bytes, bytes | None]) -> None:
        tip = self.replica.tip()
        executed = blocks.candidate(
            tip,
            self.replica.machine,
            proposer=tip.validators.members[0].node,
            view=0,
            time=tip.header.time + 1,
            transactions=(),
        )
        update = tip.tree.update(writes, tip.header.height + 1)
        header = msgspec.structs.replace(executed.block.header, state_root=update.root)
        block = Block(header, ())
        self.replica.commit(Executed(block, (), (), (), writes, update), self._certify(block))

    def _certify(self, block: Block) -> Certificate:
        header = block.header
        name = header.hash()
        digest = commit_digest(header.chain, header.height, header.view, name)
        signatures = tuple(
            CommitSignature(node, self.consortium.seats[node].key.sign(digest))
            for node in sorted(self.consortium.validators)[:3]
        )
        return Certificate(header.height, header.view, name, signatures)

    def close(self) -> None:
        """Close its store."""
        self.store.close()


def _value(of: bytes) -> bytes:
    """A consent of nobody; as hard to compress as those of people."""
    return encode({"status": "active", "subject": "p-" + sha256(of).hexdigest()[:32]})


class _Way:
    """One direction of a line: what goes in waits for what went in before."""

    def __init__(self, rate: float, delay: float) -> None:
        self._rate = rate
        self._delay = delay
        self._free_at = 0.0

    async def take(self, size: int) -> None:
        """Return when so many bytes have come out."""
        now = asyncio.get_running_loop().time()
        if self._rate:
            self._free_at = max(self._free_at, now) + size / self._rate
        arrives = max(self._free_at, now) + self._delay
        if arrives > now:
            await asyncio.sleep(arrives - now)


class _Line:
    """Carries frames between a joining node and three peers, and counts them.

    Args:
        source: what the peers have.
        rate: bytes per second each way, 0 for no limit.
        delay: seconds each way.
    """

    def __init__(self, source: Store, rate: float, delay: float) -> None:
        self._source = source
        self._there, self._back = _Way(rate, delay), _Way(rate, delay)
        self._jobs: set[asyncio.Task[None]] = set()
        self.requests = 0
        self.bytes = 0
        self.arrived: Callable[[str, Manifest | Chunk | Trail], None] = lambda _node, _frame: None

    def send(self, node: str, frame: Frame) -> bool:
        """Put a request on the way."""
        self.requests += 1
        job = asyncio.ensure_future(self._carry(node, frame))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return True

    async def _carry(self, node: str, frame: Frame) -> None:
        question = await self._over(frame, self._there)
        assert isinstance(question, GetManifest | GetChunk | GetTrail)
        made = await asyncio.to_thread(answer, self._source, question)
        found = await self._over(made, self._back)
        assert isinstance(found, Manifest | Chunk | Trail)
        self.arrived(node, found)

    async def _over(self, frame: Frame, way: _Way) -> Frame:
        data = encode_frame(frame)
        self.bytes += len(data)
        await way.take(len(data))
        return decode_frame(data[HEADER_BYTES:])


async def join(chain: Chain, directory: Path, rate: float, delay: float) -> Joined:
    """Let a new node join a chain at its present height over a line."""
    path = directory / f"joining-{chain.replica.head.height}.db"
    shutil.copy(chain.consortium.founded, path)
    store = Store.open(str(path))
    replica = Replica(store)
    peers, line = Peers(), _Line(chain.store, rate, delay)
    for node in chain.consortium.validators[:3]:
        peers.heard(node, chain.replica.head.height)

    async def adopt(anchor: Anchor) -> None:
        await asyncio.to_thread(replica.begin_at, anchor)

    sync = SnapshotSync(trust_in(replica.genesis), store, peers, line.send, adopt, gap=1_000)
    line.arrived = sync.arrived
    begun = perf_counter()
    if not await sync.run() or replica.tip().log_root != chain.replica.tip().log_root:
        raise RuntimeError("the new node did not join")
    seconds = perf_counter() - begun
    store.close()
    return Joined(
        blocks=chain.replica.head.height,
        entries=chain.entries,
        window=chain.window,
        seconds=round(seconds, 3),
        requests=line.requests,
        bytes=line.bytes,
        line_seconds=round(line.bytes / LINE, 1),
    )


def measure(
    heights: list[int], *, entries: int, window: int, rate: float = 0.0, delay: float = 0.0
) -> Iterator[Joined]:
    """Join one growing chain at each of these heights, ascending."""
    with tempfile.TemporaryDirectory(prefix="ledger-sync-", dir=memory_directory()) as scratch:
        directory = Path(scratch)
        chain = Chain(directory, entries=entries, window=window)
        try:
            for height in heights:
                chain.grow(height)
                yield asyncio.run(join(chain, directory, rate, delay))
        finally:
            chain.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=1_000, help="validity_window of the chain")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="bytes per second; 125000 is 1 Mbit/s"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds each way")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    found = measure(
        sorted(options.blocks),
        entries=options.entries,
        window=options.window,
        rate=options.rate,
        delay=options.delay,
    )
    for joined in found:
        sys.stdout.write(json.dumps(asdict(joined)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
