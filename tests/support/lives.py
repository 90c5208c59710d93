"""Short lives of the files of a node, to be ended or disturbed at any system call.

``python -m tests.support.lives`` waits for orders on its standard input, one a line: the name of a
life, its directory, the file of its report. It forks for each, and the child stops itself until
somebody who traces it lets it go on. What the child was told is durable it notes in a shared
mapping: that costs no system call, and outlives it.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ledger.chain.handover import Trust
from ledger.chain.retention import Keeper, Retention
from ledger.chain.store import Store, StoreError, StoreFull
from ledger.chain.vote import Vote
from ledger.node.signing.register import Register
from ledger.node.signing.watermark import Watermark
from tests.support.archived import ARCHIVED_AT
from tests.support.chain import HandmadeChain, committee
from tests.support.snapshots import Known, fetch_state, fetch_trail, introduce

REPORT_BYTES = 64 * 1024
NODE = "n1"
#: The last block of a whole life; the store is closed and opened again after the second.
BLOCKS = 4
_CLOSED_AFTER = 2
#: How long the chain is with which other lives begin, what `tidy` keeps of it, and how many blocks
#: it puts into a file: two files are full then.
LONG = 15
KEPT = 8
FILE_BLOCKS = 3

Report = Callable[[str], None]


def votes_of(height: int) -> list[Vote]:
    """What the validator promises at a height: one PREPARE and one COMMIT."""
    digest = height.to_bytes(32, "big")
    return [Vote(height, 0, phase, digest, b"m" * 200) for phase in ("prepare", "commit")]


def next_block(chain: HandmadeChain) -> None:
    """Store the block that follows: the same one in every run."""
    height = chain.head.height + 1
    chain.made = 3 * (height - 1)
    transactions = [chain.transaction() for _ in range(3)]
    writes: dict[bytes, bytes | None] = {
        b"records/r/%d-%d" % (height, number): bytes([height]) * 300 for number in range(20)
    }
    if height > 1:
        writes[b"records/r/%d-0" % (height - 1)] = None
    chain.append(transactions, writes)


def validate(home: Path, report: Report) -> None:
    """A validator's part in `BLOCKS` blocks, from wherever its store stands."""
    while _session(home, report) < BLOCKS:
        pass


def _session(home: Path, report: Report) -> int:
    path = home / "data" / "ledger.db"
    with contextlib.ExitStack() as stack:
        was_empty = not path.exists()
        if not was_empty:
            store = Store.open(str(path), create=True)
            was_empty = store.genesis() is None
            store.close()
        chain = HandmadeChain(path)
        stack.callback(chain.store.close)
        report("block 0")
        watermark = Watermark(home / "signer", chain.chain, NODE)
        register = Register(chain.store, watermark, was_empty=was_empty)
        report(f"standing {register.standing.memory.value}")
        _again_when_full(lambda: register.vouch(chain.head.height))
        end = _CLOSED_AFTER if chain.head.height < _CLOSED_AFTER else BLOCKS
        while chain.head.height < end:
            height = chain.head.height + 1
            for vote in votes_of(height):
                _again_when_full(lambda vote=vote: register.save([vote]))  # type: ignore[misc]
                report(f"vote {height} {vote.phase}")
            _again_when_full(lambda: next_block(chain))
            report(f"block {height}")
        return chain.head.height


def _again_when_full(attempt: Callable[[], None]) -> None:
    """What `ledger.node.room` does."""
    for _ in range(3):
        try:
            return attempt()
        except StoreFull:
            continue
    raise StoreFull("no room three times")


# --- with a chain that is there already -----------------------------------------------------------


def long_chain(path: Path) -> None:
    """A store with `LONG` blocks, for the lives that begin with one."""
    chain = HandmadeChain(path)
    while chain.head.height < LONG:
        next_block(chain)
    chain.store.close()


def tidy(home: Path, report: Report) -> None:
    """What `ledger.node.housekeeping` does once: archive files, then rows, then room."""
    store = Store.open(str(home / "data" / "ledger.db"))
    try:
        store.prepare_reclaiming()
        keeper = Keeper(store, Retention(KEPT, home / "archive", FILE_BLOCKS), trust_of(store))
        while (entry := keeper.archive(ARCHIVED_AT)) is not None:
            report(f"archived {entry.last}")
        for _ in keeper.prune():
            report("step")
        report(f"base {store.base()}")
    finally:
        store.close()


def adopt(home: Path, report: Report) -> None:
    """A newcomer takes a snapshot out of the store ``source.db``, from wherever it stands."""
    source = Store.open(str(home / "source.db"), read_only=True)
    store = Store.open(str(home / "data" / "ledger.db"))
    try:
        if store.height() < source.height():
            anchor = introduce(Known(trust_of(source)), source, source.height())
            fetch_state(source, store.staging(), anchor)
            report("state")
            fetch_trail(source, store.staging(), anchor)
            report("trail")
            store.begin_at(anchor)
        report(f"block {store.height()}")
    finally:
        store.close()
        source.close()


def trust_of(store: Store) -> Trust:
    """The genesis of a handmade chain, as somebody knows it from elsewhere."""
    genesis = store.genesis()
    assert genesis is not None
    return Trust(genesis.chain_id(), committee("n1", "n2", "n3", "n4"))


LIVES: dict[str, Callable[[Path, Report], None]] = {
    "validate": validate,
    "tidy": tidy,
    "adopt": adopt,
}


# --- the process ---------------------------------------------------------------------------------


def _live(name: str, home: Path, report_path: Path) -> None:
    """In the child: wait to be traced, live, end with 0, 1 for a typed error, 2 for another."""
    with report_path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), REPORT_BYTES)
    place = 0

    def report(line: str) -> None:
        nonlocal place
        data = line.encode() + b"\n"
        shared[place : place + len(data)] = data
        place += len(data)

    # Whoever may trace its own children only may trace this process too.
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1 & 2**64 - 1), 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        LIVES[name](home, report)
        report("end")
        code = 0
    except StoreError as error:
        report(f"error {type(error).__name__}: {error}")
        code = 1
    except BaseException:  # noqa: BLE001 - whatever it is, the harness shows it
        report("bug " + traceback.format_exc().replace("\n", "\\n"))
        code = 2
    os._exit(code)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        name, home, report_path = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            _live(name, Path(home), Path(report_path))
        os.waitpid(child, os.WUNTRACED)
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(status)


if __name__ == "__main__":
    main()
