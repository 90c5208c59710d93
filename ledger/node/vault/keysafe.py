"""A key for each secret of a vault, in a file of its own: who destroys the key destroys the secret.

What a holder must be able to destroy (the salts of a record, bytes that it keeps of one) is stored
sealed, each under a random key of its own, and the keys stand here. Databases are copied into
backups, and no backup can be made to forget; this file is left out of them, or kept in copies each
of which replaces the one before. Then a destroyed key is gone everywhere, and with it every copy of
what it opened.

A key seals one thing once, so the nonce can be fixed (ChaCha20-Poly1305, RFC 8439). Rows that are
deleted are overwritten (SQLite's ``secure_delete``) and the log of changes is emptied at once; what
the medium below keeps is its own matter, see docs/operators/erasure.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

#: The file of keys of a vault, beside it. Not for the backups in which the vault is.
KEYS_FILE: Final = "keys.db"
KEY_SIZE: Final = 32
OVERHEAD: Final = 16
_NONCE: Final = bytes(12)
#: How many ids one statement names.
_AT_ONCE: Final = 500

metadata = sa.MetaData()

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


class KeyGone(Exception):
    """The key of a secret was destroyed, or is not here."""


class SafeUnusable(Exception):
    """The file of keys cannot be opened, or is none."""


class KeySafe:
    """The file of keys. Safe to use from several threads.

    Args:
        path: of the file, made when it is not there, readable by its owner only.
        entropy: so many random bytes.

    Raises:
        SafeUnusable: it cannot be opened.
    """

    def __init__(self, path: Path, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            self._engine = sa.create_engine(f"sqlite:///{path}")
            sa.event.listen(self._engine, "connect", _prepare)
            metadata.create_all(self._engine)
        except (OSError, sa.exc.DBAPIError) as error:
            raise SafeUnusable(f"{path}: {error}") from None

    def close(self) -> None:
        self._engine.dispose()

    def seal(self, secrets: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Seal secrets, each under a new key for its id; the keys are on the disk on return. An id
        that had a key gets another one, so that only its newest secret can be opened."""
        fresh = [(identity, self._entropy(KEY_SIZE)) for identity, _ in secrets]
        if fresh:
            insert = sa.insert(keys).prefix_with("OR REPLACE")
            with self._engine.begin() as connection:
                connection.execute(insert, [{"id": one, "key": key} for one, key in fresh])
        return [
            ChaCha20Poly1305(key).encrypt(_NONCE, secret, identity)
            for (identity, secret), (_, key) in zip(secrets, fresh, strict=True)
        ]

    def open(self, identity: bytes, box: bytes) -> bytes:
        """The secret that was sealed for an id.

        Raises:
            KeyGone: its key is not here, or opens something else.
        """
        query = sa.select(keys.c.key).where(keys.c.id == identity)
        with self._engine.connect() as connection:
            key = connection.execute(query).scalar()
        if not key:
            raise KeyGone("the key was destroyed")
        try:
            return ChaCha20Poly1305(key).decrypt(_NONCE, box, identity)
        except InvalidTag:
            raise KeyGone("the key is of another secret") from None

    def shared(self, identities: Collection[bytes]) -> dict[bytes, bytes]:
        """The key of each id, a new one where it never had any; those whose keys were destroyed for
        good are left out. For secrets that are more than one; `seal` never uses these."""
        wanted = list(identities)
        found: dict[bytes, bytes] = {}
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                rows = connection.execute(sa.select(keys).where(keys.c.id.in_(some)))
                found.update((row.id, row.key) for row in rows)
            fresh = {one: self._entropy(KEY_SIZE) for one in wanted if one not in found}
            if fresh:
                connection.execute(
                    sa.insert(keys), [{"id": one, "key": key} for one, key in fresh.items()]
                )
        return {one: key for one, key in (found | fresh).items() if key}

    def bar(self, identities: Sequence[bytes]) -> None:
        """Destroy the keys of ids for good: `shared` gives them no new ones."""
        self.destroy(identities)
        insert = sa.insert(keys).prefix_with("OR REPLACE")
        with self._engine.begin() as connection:
            connection.execute(insert, [{"id": one, "key": b""} for one in identities])

    def destroy(self, identities: Sequence[bytes]) -> int:
        """Destroy the keys of ids; how many there were. On return they are neither in the file nor
        in its log."""
        gone = 0
        with self._engine.begin() as connection:
            for start in range(0, len(identities), _AT_ONCE):
                some = identities[start : start + _AT_ONCE]
                gone += connection.execute(sa.delete(keys).where(keys.c.id.in_(some))).rowcount
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def count(self) -> int:
        """How many keys there are."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(keys)).scalar_one()


def _prepare(connection: Any, _record: object) -> None:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "busy_timeout=10000",
    ):
        connection.execute(f"PRAGMA {pragma}")
