"""What a holder knows of its patients beside their records: pseudonyms and label keys, in files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from ledger.chain.tokens import LabelKey

SUBJECTS_FILE: Final = "subjects.json"
LABEL_KEYS_FILE: Final = "label-keys.json"


def subjects_in(vault: Path) -> dict[str, str]:
    """Patient references of this hospital → pseudonyms; empty where there is no such file.

    Raises:
        OSError: it cannot be read.
    """
    return _texts(vault / SUBJECTS_FILE)


def label_keys_in(vault: Path) -> dict[str, LabelKey]:
    """Pseudonyms → the keys under which labels become tokens; as `subjects_in`."""
    keys = {}
    for pseudonym, secret in _texts(vault / LABEL_KEYS_FILE).items():
        try:
            keys[pseudonym] = LabelKey(bytes.fromhex(secret))
        except ValueError as error:
            raise OSError(f"{LABEL_KEYS_FILE}: {pseudonym}: {error}") from None
    return keys


def _texts(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise OSError(f"{path}: {error}") from None
