"""What somebody has who steals a hospital's node, and the search through all of it.

`forms` of every file, and of every value in every database (a value that is longer than a page of
SQLite does not stand in one piece in the file), are held against what a thief can compute of ids.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ledger.crypto.oprf.threshold import Holders
from tests.support.enumeration import Attacker, forms

#: Of a digest so many bytes are looked for: digests are sometimes cut short.
DIGEST_WINDOW: Final = 8
#: Of an id as it is, so many characters: fewer say no more than a region and a year.
TEXT_WINDOW: Final = 12
_TEXT: Final = frozenset(b"0123456789Xx\x00")
_SQLITE: Final = b"SQLite format 3\x00"

#: What somebody may have put before an id when hashing it.
PREFIXES: Final = (
    b"Patient/", b"patient/", b"id:", b"p-", b"salts/", b"copies/", b"stamp\x00", b"seal",
    b"urn:oid:2.16.156.10011.1.3|",
)  # fmt: skip
_HASHES: Final = ("md5", "sha1", "sha256", "sha512")


def files_of(*places: Path, without: Sequence[Path] = ()) -> list[Path]:
    """All files below some places that are below none of others."""
    return [
        path
        for place in places
        for path in sorted(place.rglob("*"))
        if path.is_file() and not any(path.is_relative_to(other) for other in without)
    ]


def cells_of(path: Path) -> Iterator[bytes]:
    """Every text and blob of a database; nothing of any other file."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return
    database = sqlite3.connect(path)
    try:
        database.text_factory = bytes
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            for row in database.execute(f'SELECT * FROM "{name.decode()}"'):
                yield from (value for value in row if isinstance(value, bytes))
    finally:
        database.close()


def words_of(paths: Iterable[Path]) -> list[bytes]:
    """What may have been a salt or a key: every short value of the databases, and every secret of
    the JSON files."""
    found: dict[bytes, None] = {}
    for path in paths:
        if path.suffix == ".json":
            content = json.loads(path.read_bytes())
            for text in content.values() if isinstance(content, dict) else ():
                if isinstance(text, str):
                    found[text.encode()] = None
                    found.update(dict.fromkeys(forms(text.encode())))
        for cell in cells_of(path):
            if 8 <= len(cell) <= 64:
                found[cell] = None
    return list(found)


class Thief(Attacker):
    """An attacker who has every key and salt of the stores, and tries prefixes too."""

    def __init__(
        self, holders: Holders, shares: dict[int, bytes], words: Sequence[bytes] = ()
    ) -> None:
        super().__init__(holders, shares, words)
        self._salts = list(words)

    def computed(self, number: str) -> Iterator[bytes]:
        yield from super().computed(number)
        for prefix in PREFIXES:
            text = prefix + number.encode()
            for name in _HASHES:
                yield hashlib.new(name, text, usedforsecurity=False).digest()
            for word in self._salts:
                yield hmac.digest(word, text, "sha256")


def _windows(found: bytes) -> Iterator[bytes]:
    size = TEXT_WINDOW if _TEXT.issuperset(found[:TEXT_WINDOW]) else DIGEST_WINDOW
    if len(found) >= size:
        yield found[:size]
        yield found[-size:]


class Search:
    """Everything that is computed of some ids, to be held against bytes."""

    def __init__(self, attacker: Attacker, numbers: Iterable[str]) -> None:
        self._wanted: dict[int, dict[bytes, str]] = {DIGEST_WINDOW: {}, TEXT_WINDOW: {}}
        for number in numbers:
            for found in attacker.computed(number):
                for window in _windows(found):
                    self._wanted[len(window)].setdefault(window, number)

    def __len__(self) -> int:
        return sum(map(len, self._wanted.values()))

    def through(self, data: bytes) -> set[str]:
        """The ids of which anything stands in some bytes."""
        return {
            wanted[window]
            for form in forms(data)
            for size, wanted in self._wanted.items()
            for window in wanted.keys()
            & {form[at : at + size] for at in range(len(form) - size + 1)}
        }

    def through_files(self, paths: Iterable[Path]) -> dict[str, set[str]]:
        """File → ids of which anything stands in it, for the files where there is any."""
        found: dict[str, set[str]] = {}
        for path in paths:
            hits = self.through(path.name.encode() + b"\x00" + path.read_bytes())
            for cell in cells_of(path):
                hits |= self.through(cell)
            if hits:
                found[path.name] = hits
        return found
