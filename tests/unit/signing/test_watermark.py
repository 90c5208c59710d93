"""The watermark: what it keeps through crashes, and what it does not vouch for."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.database import StoreFull, StoreUnusable
from ledger.node.signing import watermark as module
from ledger.node.signing.watermark import (
    EVERY_VOTE,
    SLOT_BYTES,
    TOLERANCE_MS,
    KernelTimes,
    Mark,
    Watermark,
    read_marks,
    slot,
)

CHAIN = bytes(range(32))


class SetTimes:
    """A file system whose times the test sets."""

    def __init__(self) -> None:
        self.time = 1_000_000
        self.change = 0

    def now(self) -> int:
        return self.time

    def changed(self, _descriptor: int) -> int:
        return self.change


@pytest.fixture
def times() -> SetTimes:
    return SetTimes()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "signer"


def opened(directory: Path, times: SetTimes | None = None, node: str = "n1") -> Watermark:
    return Watermark(directory, CHAIN, node, times)


def reached(directory: Path, times: SetTimes | None = None) -> tuple[int, int] | None:
    """Height and votes of the mark that a node finds when it starts."""
    found = opened(directory, times)
    return None if found.mark is None else (found.mark.height, found.mark.votes)


def test_without_a_file_there_is_no_mark(directory: Path) -> None:
    found = opened(directory)
    assert found.mark is None
    assert found.flaw == ""
    assert not found.path.exists()


def test_a_mark_is_there_when_the_node_comes_back(directory: Path) -> None:
    first = opened(directory)
    for height, votes in ((0, 0), (1, 1), (1, 2), (2, 1)):
        first.set(height, votes)
        assert reached(directory) == (height, votes)
    assert first.path.stat().st_mode & 0o077 == 0


def test_a_mark_is_never_lowered(directory: Path) -> None:
    found = opened(directory)
    found.set(5, 2)
    found.set(4, 9)
    found.set(5, 1)
    assert reached(directory) == (5, 2)
    found.set(5, EVERY_VOTE)
    found.set(5, 3)
    assert reached(directory) == (5, EVERY_VOTE)


def test_only_who_asks_for_it_gets_a_lower_mark(directory: Path) -> None:
    found = opened(directory)
    found.set(9, EVERY_VOTE)
    found.replace(4, 1)
    assert reached(directory) == (4, 1)


def test_a_write_that_was_cut_short_leaves_the_mark_before_it(directory: Path) -> None:
    found = opened(directory)
    found.set(1, 1)
    found.set(1, 2)
    whole = found.path.read_bytes()
    third = slot(Mark(2, CHAIN, "n1", 2, 1, 0))
    for length in range(70):
        torn = third[:length] + whole[length:SLOT_BYTES]
        assert read_marks(torn + whole[SLOT_BYTES:]) == Mark(
            1,
            CHAIN,
            "n1",
            1,
            2,
            read_marks(whole).written,  # type: ignore[union-attr]
        )


@given(at=st.integers(0, 2 * SLOT_BYTES - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_makes_a_mark_that_was_not_written(at: int, bit: int) -> None:
    marks = [Mark(number, CHAIN, "n1", 5, number, 9) for number in (4, 5)]
    raw = bytearray(b"".join(map(slot, marks)))
    raw[at] ^= 1 << bit
    assert read_marks(bytes(raw)) in marks


def test_a_file_of_which_nothing_is_whole_vouches_for_nothing(directory: Path) -> None:
    directory.mkdir()
    (directory / "watermark").write_bytes(b"\xff" * 2 * SLOT_BYTES)
    found = opened(directory)
    assert found.mark is None
    assert found.flaw == "it cannot be read"
    found.set(3, 1)
    assert found.mark is not None
    assert reached(directory) == (3, 1)


def test_a_file_of_another_node_vouches_for_nothing(directory: Path) -> None:
    opened(directory, node="n2").set(3, 1)
    found = opened(directory)
    assert found.mark is None
    assert "n2" in found.flaw


def test_a_file_that_was_changed_after_its_newest_mark_was_put_back(
    directory: Path, times: SetTimes
) -> None:
    opened(directory, times).set(3, 1)
    times.change = times.time + TOLERANCE_MS
    assert reached(directory, times) == (3, 1)
    times.change += 1
    found = opened(directory, times)
    assert found.mark is None
    assert found.flaw == "it was copied or put back"
    found.set(2, 1)
    times.change = times.time
    assert reached(directory, times) == (2, 1)


def test_times_that_a_power_cut_left_older_than_the_mark_do_no_harm(
    directory: Path, times: SetTimes
) -> None:
    opened(directory, times).set(3, 1)
    times.change = times.time - 10**9
    assert reached(directory, times) == (3, 1)


def test_a_real_copy_is_known_by_the_time_that_nobody_can_set(directory: Path) -> None:
    class Earlier(KernelTimes):
        def now(self) -> int:
            return super().now() - TOLERANCE_MS - 1_000

    directory.mkdir()
    first = Watermark(directory, CHAIN, "n1", Earlier())
    first.set(3, 1)
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    os.utime(copy / "watermark", (0, 0))
    assert opened(copy).flaw == "it was copied or put back"


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnusable)]
)
def test_a_failed_write_raises_and_leaves_the_mark(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    found = opened(directory)
    found.set(3, 1)

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fdatasync", fail)
        with pytest.raises(error):
            found.set(4, 1)
    assert found.mark is not None
    assert found.mark.height == 3
    found.set(4, 1)
    assert reached(directory) == (4, 1)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="watermark"):
        opened(tmp_path / "absent" / "signer")
