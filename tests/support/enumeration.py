"""Trying out ids against everything that somebody has got hold of.

The attacker has bytes (`Loot`) and goes through the ids of a prefecture. For each it computes
whatever can be computed without t shares, and looks whether any of it stands anywhere in the loot:
as bytes, in hex, in base64. One hit would give a person away.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations
from random import Random

from ledger.client import pseudonyms
from ledger.client.nationalid import check_character
from ledger.crypto import hashing
from ledger.crypto.oprf import group, sharing, voprf
from ledger.crypto.oprf.threshold import Holders

#: Shorter matches come about by chance.
WINDOW = 12
_HEX = re.compile(rb"[0-9a-fA-F]{16,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")

_DOMAINS = [value for value in vars(hashing).values() if isinstance(value, hashing.Domain)]
_PLAIN_HASHES: tuple[Callable[[bytes], bytes], ...] = tuple(
    (lambda data, name=name: hashlib.new(name, data, usedforsecurity=False).digest())
    for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b")
)


def forms(data: bytes) -> Iterator[bytes]:
    """Some bytes, and what they say in hex and base64, wherever in a run of such letters it may
    begin."""
    yield data
    for run in _HEX.findall(data):
        for start in range(2):
            rest = run[start:]
            yield bytes.fromhex(rest[: len(rest) // 2 * 2].decode())
    for run in _BASE64.findall(data):
        if _HEX.fullmatch(run):
            continue  # by chance no base64 has such letters alone
        text = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            rest = text[start:]
            rest = rest[: len(rest) - (len(rest) % 4 == 1)]
            yield base64.b64decode(rest + b"=" * (-len(rest) % 4))


class Loot:
    """Bytes to be searched for what an attacker computes."""

    def __init__(self, base: Loot | None = None) -> None:
        """``base``: what has been taken apart before, and is searched as well."""
        self._windows: set[bytes] = set()
        self._base = base
        self.size = 0 if base is None else base.size

    def add(self, data: bytes) -> None:
        """Search these too, and what they say in hex and base64."""
        self.size += len(data)
        for form in forms(data):
            self._take(form)

    def _take(self, data: bytes) -> None:
        self._windows.update(data[at : at + WINDOW] for at in range(len(data) - WINDOW + 1))

    def has(self, found: bytes) -> bool:
        """Whether the beginning or the end of what was computed stands anywhere."""
        if len(found) < WINDOW:
            return False
        if found[:WINDOW] in self._windows or found[-WINDOW:] in self._windows:
            return True
        return self._base is not None and self._base.has(found)


def prefecture(region: str, chance: Random) -> Iterator[str]:
    """Ids of one region, at random and without an end: every date of a century, every sequence."""
    while True:
        born = date(1925, 1, 1) + timedelta(days=chance.randrange(36_500))
        first = f"{region}{born:%Y%m%d}{chance.randrange(1000):03}"
        yield first + check_character(first)


class Attacker:
    """Somebody with t-1 shares at most, and everything that is public.

    Args:
        holders: the key as the chain has it.
        shares: index → share, fewer than it takes.
        words: public texts that may have gone in as a salt or key: chain ids, keys, names.
    """

    def __init__(
        self, holders: Holders, shares: dict[int, bytes], words: Sequence[bytes] = ()
    ) -> None:
        if len(shares) >= holders.threshold:
            raise ValueError("with that many shares it would be no attack")
        self._keys = list(self._usable(holders, shares))
        self._words = [b"", *words, holders.public, *holders.verification.values()]

    @staticmethod
    def _usable(holders: Holders, shares: dict[int, bytes]) -> Iterator[bytes]:
        """Scalars that can be made of the shares: each, their sum, and what is interpolated from
        them as if they were enough, or as part of each set that would be."""
        yield from shares.values()
        for size in range(2, len(shares) + 1):
            for some in combinations(sorted(shares), size):
                yield _sum(group.times(sharing.weight(i, some), shares[i]) for i in some)
                yield _sum(shares[i] for i in some)
        for some in combinations(sorted(holders.verification), holders.threshold):
            part = [i for i in some if i in shares]
            if part:
                yield _sum(group.times(sharing.weight(i, some), shares[i]) for i in part)
        # Public points, taken for scalars.
        for point in (holders.public, *holders.verification.values()):
            yield group.of_int(int.from_bytes(point, "little"))

    def computed(self, number: str) -> Iterator[bytes]:
        """Everything that is cheap to compute of an id."""
        for text in {number, number.lower(), number[:17], number[:6] + number[8:17], number[::-1]}:
            yield text.encode()
            yield text.encode("utf-16-le")
        tagged = pseudonyms.ID_TAG + number.encode()
        for text in (number.encode(), tagged):
            for hashed in _PLAIN_HASHES:
                yield hashed(text)
                yield hashed(hashed(text))
            for domain in _DOMAINS:
                yield domain(text)
            for word in self._words:
                yield hmac.digest(word, text, "sha256")
                yield hashlib.sha256(word + text).digest()
                yield hashlib.sha256(text + word).digest()
            yield zlib.crc32(text).to_bytes(4, "big") * 3
            point = voprf.point_of(text)
            yield point
            for key in self._keys:
                made = group.multiply(key, point)
                yield made
                output = voprf.output(text, made)
                yield output
                yield output[: pseudonyms.PSEUDONYM_BYTES]


def _sum(scalars: Iterable[bytes]) -> bytes:
    found = group.ZERO
    for scalar in scalars:
        found = group.plus(found, scalar)
    return found


def hits(attacker: Attacker, loot: Loot, numbers: Iterable[str]) -> list[str]:
    """The ids of which anything that was computed stands in the loot."""
    return [
        number for number in numbers if any(loot.has(found) for found in attacker.computed(number))
    ]
