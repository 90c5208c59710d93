"""A validator's store, killed or failed at every system call that touches it.

Whatever happens: what it was told is durable is there, the store is at a block boundary and equal
to the one of an undisturbed life at that height, its watermark vouches for it, and the life can be
carried on to the same end. `LEDGER_FAULTS=all` tries every call, otherwise an even sample.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.chain.store import Store
from ledger.node.signing.register import Register
from ledger.node.signing.standing import Memory
from ledger.node.signing.watermark import Watermark
from tests.support.chain import HandmadeChain
from tests.support.faults import FAILING, SAMPLE, Ended, Fault, Stage, chosen, errors, kills
from tests.support.lives import BLOCKS, NODE, next_block, validate
from tests.support.rows import Rows, contents


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Rows]:
    """What the store holds after each block of a life in which nothing happens."""
    path = tmp_path_factory.mktemp("undisturbed") / "ledger.db"
    chain = HandmadeChain(path)
    found = [contents(path)]
    for _ in range(BLOCKS):
        next_block(chain)
        found.append(contents(path))
    chain.store.close()
    return found


def watched(home: Path) -> list[Path]:
    """Every file and directory that a life works on."""
    database, signer = home / "data" / "ledger.db", home / "signer"
    sides = [database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal")]
    marks = [signer / "watermark", signer / "watermark.new"]
    return [home, database.parent, database, *sides, signer, *marks]


class Aftermath:
    """What was found after a life that did not end well, and how it went on."""

    def __init__(self, home: Path, ended: Ended, undisturbed: list[Rows]) -> None:
        self.home = home
        self.ended = ended
        self.undisturbed = undisturbed
        self.path = home / "data" / "ledger.db"

    def check(self) -> None:
        height = self.inspect()
        self.go_on()
        assert contents(self.path) == self.undisturbed[BLOCKS], f"after stopping at {height}"

    def inspect(self) -> int:
        """Open what was left as a node does; the height it is at."""
        reported = [line.split() for line in self.ended.report]
        blocks = [int(line[1]) for line in reported if line[0] == "block"]
        votes = {(int(line[1]), line[2]) for line in reported if line[0] == "vote"}
        if not self.path.exists():
            assert not blocks
            return -1
        store = Store.open(str(self.path), create=True)
        try:
            height = store.height()
            assert height >= max(blocks, default=-1), "a stored block is lost"
            if height < 0:
                return height
            assert contents(self.path) == self.undisturbed[height]
            kept = {
                (vote.height, vote.phase) for at in (height, height + 1) for vote in store.votes(at)
            }
            lost = {vote for vote in votes if vote[0] > height} - kept
            assert not lost, "a promise is lost"
            self.vouched(store, height, bool(votes))
        finally:
            store.close()
        return height

    def vouched(self, store: Store, height: int, promised: bool) -> None:
        """No crash may make a node think that its store was put back."""
        chain = store.genesis()
        assert chain is not None
        watermark = Watermark(self.home / "signer", chain.chain_id(), NODE)
        memory = Register(store, watermark, was_empty=False).standing.memory
        began = height == 0 and not promised
        assert memory is Memory.WHOLE or (began and memory is Memory.NONE)

    def go_on(self) -> None:
        """Carry the life on to its end, undisturbed."""
        noted: list[str] = []
        validate(self.home, noted.append)


def disturbed(
    stage: Stage, directory: Path, fault: Fault, undisturbed: list[Rows]
) -> tuple[Ended, Aftermath]:
    home = directory / str(fault)
    (home / "data").mkdir(parents=True)
    ended = stage.run("validate", home, watched(home), fault)
    return ended, Aftermath(home, ended, undisturbed)


@pytest.fixture(scope="module")
def whole(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The same life without a fault: how often it makes each call."""
    directory = tmp_path_factory.mktemp("whole")
    homes = [directory / "warm", directory / "counted"]
    for home in homes:
        (home / "data").mkdir(parents=True)
        ended = stage.run("validate", home, watched(home))
        assert ended.code == 0, ended.report
        assert ended.report[-1] == "end"
    return ended


def test_a_life_makes_the_calls_that_durability_needs(whole: Ended) -> None:
    for name in ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "rename", "openat"):
        assert whole.calls[name], whole.calls


def test_a_store_that_is_killed_at_any_call_is_at_a_block_boundary(
    stage: Stage, whole: Ended, undisturbed: list[Rows], tmp_path: Path
) -> None:
    done = 0
    for fault in chosen(kills(whole.calls)):
        ended, aftermath = disturbed(stage, tmp_path, fault, undisturbed)
        assert ended.killed, (fault, ended)
        try:
            aftermath.check()
        except Exception as error:
            error.add_note(f"{fault}: {ended}")
            raise
        done += 1
    assert done >= SAMPLE


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_call_that_fails_gives_a_typed_error_and_nothing_half(
    stage: Stage, whole: Ended, undisturbed: list[Rows], tmp_path: Path, error: str
) -> None:
    told = 0
    for fault in chosen(errors(whole.calls, [error], FAILING)):
        ended, aftermath = disturbed(stage, tmp_path, fault, undisturbed)
        try:
            assert ended.code in (0, 1), "neither went on nor gave a typed error"
            assert not any(line.startswith("bug") for line in ended.report)
            told += ended.code == 1
            aftermath.check()
        except Exception as failure:
            failure.add_note(f"{fault}: {ended}")
            raise
    assert told, "no fault was noticed"
