"""Fuzz targets for files that people carry from one place to another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ledger.chain import limits
from ledger.chain.archive import MAGIC, Archive
from ledger.chain.archiveverifier import verify_archive
from ledger.chain.archivewriter import write_archive
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.compressed import Place, RecordReader, RecordWriter
from ledger.chain.handover import InvalidProof, Trust
from ledger.node.signing.watermark import Mark, read_marks, slot
from ledger.sim.story import InvalidStory, read_story, stories
from tests.fuzz.targets import Target, samples


def _archives() -> Iterable[bytes]:
    chain = samples().chain
    with TemporaryDirectory(prefix="fuzz-") as folder:
        path, _ = write_archive(chain.store, Path(folder), 1, 3, _trust())
        yield path.read_bytes()


def _trust() -> Trust:
    chain = samples().chain
    return Trust(chain.chain, chain.founders)


def _archive(raw: bytes) -> None:
    """Verify a file, and look things up in it as a node does that trusts it no more than that."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "given"
        path.write_bytes(raw)
        with contextlib.suppress(Malformed, InvalidProof):
            verify_archive(path, _trust())
        try:
            with Archive(path) as opened:
                opened.find(bytes(32))
                opened.block(2)
        except (Malformed, LookupError, InvalidProof):
            return


def _record_lists() -> Iterable[bytes]:
    """What is in an archive before it is compressed."""
    for whole in _archives():
        rest = memoryview(whole)[len(MAGIC) :]

        def read(count: int, at: list[int] = [0], rest: memoryview = rest) -> bytes:  # noqa: B006
            at[0] += count
            return bytes(rest[at[0] - count : at[0]])

        reader = RecordReader(read, Place(len(MAGIC), 0))
        records = []
        while True:
            try:
                records.append(reader.take(limits.MIB))
            except Malformed:
                break
        yield encode(tuple(records))


def _records(raw: bytes) -> None:
    """The same with well-compressed frames, so that damage gets behind the decompressor."""
    try:
        records = decode(raw, tuple[bytes, ...], limit=limits.MIB)
    except Malformed:
        return
    whole = bytearray(MAGIC)
    writer = RecordWriter(whole.extend, len(MAGIC))
    for record in records:
        writer.put(record)
    writer.finish()
    _archive(bytes(whole) + sha256(whole).digest())


def _story(raw: bytes) -> None:
    try:
        read_story(raw.decode("utf-8", "replace"))
    except InvalidStory:
        return


def _story_files() -> Iterable[bytes]:
    for story in list(stories())[:8]:
        yield "\n".join(step.text for step in story.steps).encode()


def _watermark(raw: bytes) -> None:
    mark = read_marks(raw)
    assert mark is None or read_marks(slot(mark)) == mark


FILES: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        Target("archive", _archive, _archives),
        Target("archive-records", _records, _record_lists),
        Target("story", _story, _story_files),
        Target(
            "watermark",
            _watermark,
            lambda: [b"".join(slot(Mark(n, bytes(32), "n1", n, 3, n)) for n in (5, 6))],
        ),
    )
}
