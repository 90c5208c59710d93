"""Codes by which a clinic lets a patient register her passkey.

A code is short enough to be read out and typed. So it is good for one patient, for some hours, and
for a few tries; the file has only a salted hash of it.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import scrypt
from pathlib import Path
from typing import Final

import msgspec

from ledger.crypto.keyfile import write_private

#: Without letters that look or sound like others. 30 letters, so ten of them have 49 bits.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 10
TRIES: Final = 5
MAX_CODES: Final = 10_000
MAX_FILE_BYTES: Final = 8 * 1024 * 1024
_SALT_BYTES: Final = 16
_WRITTEN: Final = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")


class CodesUnusable(Exception):
    """The file of codes cannot be read; the text names it."""


@dataclass(frozen=True, slots=True)
class _Code:
    salt: str
    digest: str
    ends: int
    tries: int = TRIES


def _digest(code: str, salt: bytes) -> bytes:
    # Light, for guesses at the door are counted anyway; this is for whoever finds the file.
    return scrypt(code.encode(), salt=salt, n=2**12, r=8, p=1, dklen=32)


def written(text: str) -> str:
    """A code as people type it, in the form in which it was given out."""
    return re.sub(r"[\s-]", "", text[:64]).upper()


class Codes:
    """The codes of one node, kept over restarts. Safe to use from several threads; each use costs
    some ten milliseconds.

    Args:
        path: the file; it need not exist.
        now: milliseconds since 1970-01-01 UTC.

    Raises:
        CodesUnusable: the file is there and cannot be read.
    """

    def __init__(self, path: Path, now: Callable[[], int]) -> None:
        self._path = path
        self._now = now
        self._one = threading.Lock()
        self._codes: dict[str, _Code] = {}
        try:
            raw = path.read_bytes()
            if len(raw) > MAX_FILE_BYTES:
                raise CodesUnusable(f"{path}: too large")
            self._codes = msgspec.json.decode(raw, type=dict[str, _Code])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CodesUnusable(f"{path}: {error}") from None

    def give(self, subject: str, ends: int) -> str:
        """A new code for a patient, in groups of five letters; an earlier one of hers is void.

        Args:
            subject: her pseudonym.
            ends: until when it is good, milliseconds since 1970-01-01 UTC.

        Raises:
            OSError: it could not be kept.
        """
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        salt = secrets.token_bytes(_SALT_BYTES)
        with self._one:
            self._codes[subject] = _Code(salt.hex(), _digest(code, salt).hex(), ends)
            self._save()
        return f"{code[:5]}-{code[5:]}"

    def fits(self, subject: str, text: str) -> bool:
        """Whether this is the patient's code. A wrong one costs a try; without tries it is void."""
        code = written(text)
        with self._one:
            found = self._codes.get(subject)
            if found is None or found.ends <= self._now():
                # The same work, so the time does not say who has been at a clinic.
                _digest(code, bytes(_SALT_BYTES))
                return False
            given = _digest(code, bytes.fromhex(found.salt)).hex()
            if _WRITTEN.fullmatch(code) and hmac.compare_digest(given, found.digest):
                return True
            if found.tries > 1:
                self._codes[subject] = replace(found, tries=found.tries - 1)
            else:
                del self._codes[subject]
            self._save()
            return False

    def used(self, subject: str) -> None:
        """The patient's code has served; no error where she has none."""
        with self._one:
            if self._codes.pop(subject, None) is not None:
                self._save()

    def _save(self) -> None:
        now = self._now()
        self._codes = {name: code for name, code in self._codes.items() if now < code.ends}
        while len(self._codes) > MAX_CODES:
            del self._codes[next(iter(self._codes))]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path, msgspec.json.encode(self._codes))
