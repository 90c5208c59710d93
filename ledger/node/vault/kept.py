"""The exact bytes of records whose source does not give the same bytes twice.

A FHIR server writes a resource anew for every answer: order, white space and `meta` may differ from
one to the next. What was hashed has to be what is released, so the bytes are kept as they came.
Beside them stands up to where the source has been read. The file is as secret as the source itself
(mode 0600).

Of each record the bytes are sealed under a key of its own (`ledger.node.vault.keysafe`), and the
stamp under which the vault knows them is their HMAC-SHA-256 under the same key: with the key go all
copies, and nobody recognises by a stamp in an old backup what the record was.
"""

from __future__ import annotations

import hmac
import io
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ledger.node.vault.connector import RecordUnavailable
from ledger.node.vault.keysafe import KEYS_FILE, KeySafe, SafeUnusable
from ledger.node.vault.tables import VaultUnusable, prepare

_NONCE_SIZE: Final = 12

metadata = sa.MetaData()

contents = sa.Table(
    "contents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("source", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Text, nullable=False),  # as the server has it, or empty
    sa.Column("content", sa.LargeBinary, nullable=False),  # sealed
)

#: Up to where a kind of resource has been read: an instant of the server.
cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("since", sa.Text, nullable=False),
)


def copies_id(source: str) -> bytes:
    """By what the key of all that is kept of a record is found."""
    return b"copies/" + source.encode()


def _stamp(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"stamp\x00" + content, "sha256")


def _cipher(key: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hmac.digest(key, b"seal", "sha256"))


class Kept:
    """The file of kept bytes; raises `VaultUnusable` where it cannot be opened.

    Args:
        path: of the file; the keys are in `KEYS_FILE` beside it.
        entropy: so many random bytes.
    """

    def __init__(self, path: Path, entropy: Callable[[int], bytes] = secrets.token_bytes) -> None:
        try:
            self._safe = KeySafe(path.with_name(KEYS_FILE), entropy)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            self._engine = sa.create_engine(f"sqlite:///{path}")
            sa.event.listen(self._engine, "connect", prepare)
            metadata.create_all(self._engine)
        except (OSError, SafeUnusable, sa.exc.DBAPIError) as error:
            raise VaultUnusable(f"{path}: {error}") from None

    def close(self) -> None:
        self._safe.close()
        self._engine.dispose()

    def keep(self, items: Sequence[tuple[str, str, bytes]]) -> list[str]:
        """Keep bytes, each for the id of its record and a version of it, and return their stamps in
        order. Of a version that is kept already the bytes stay as they came first: a server may
        write the same thing in another way the next time. Of a record that was erased nothing is
        kept, and its stamp is empty. On disk at return."""
        if not items:
            return []
        keys = self._safe.shared({copies_id(source) for source, _, _ in items})
        known = sa.select(contents.c.source, contents.c.version, contents.c.digest).where(
            contents.c.version != "", contents.c.source.in_({source for source, _, _ in items})
        )
        with self._engine.begin() as connection:
            digests: dict[tuple[str, str], bytes] = {
                (row.source, row.version): row.digest for row in connection.execute(known)
            }
            stamps, rows = [], []
            for source, version, content in items:
                key = keys.get(copies_id(source))
                if key is None:
                    stamps.append("")
                    continue
                digest = digests.get((source, version))
                if digest is None:
                    digest = _stamp(key, content)
                    box = _cipher(key).encrypt(digest[:_NONCE_SIZE], content, digest)
                    rows.append(
                        {"digest": digest, "source": source, "version": version, "content": box}
                    )
                    if version:
                        digests[source, version] = digest
                stamps.append(digest.hex())
            if rows:
                connection.execute(sa.insert(contents).prefix_with("OR IGNORE"), rows)
        return stamps

    def open(self, source: str, stamp: str) -> BinaryIO:
        """The bytes of a stamp, or the newest of a record where it is empty.

        Raises:
            RecordUnavailable: there are none.
        """
        query = sa.select(contents.c.content, contents.c.digest).where(contents.c.source == source)
        if stamp:
            try:
                query = query.where(contents.c.digest == bytes.fromhex(stamp))
            except ValueError:
                raise RecordUnavailable("not the stamp of kept bytes") from None
        with self._engine.connect() as connection:
            row = connection.execute(query.order_by(contents.c.id.desc()).limit(1)).first()
        if row is None:
            raise RecordUnavailable("no bytes are kept for it")
        key = self._safe.shared({copies_id(source)}).get(copies_id(source))
        if key is None:
            raise RecordUnavailable("its key was destroyed")
        try:
            content = _cipher(key).decrypt(row.digest[:_NONCE_SIZE], row.content, row.digest)
        except InvalidTag:
            raise RecordUnavailable("its key is not here") from None
        return io.BytesIO(content)

    def discard(self, source: str) -> None:
        """Keep nothing of a record any more."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(contents).where(contents.c.source == source))

    def since(self, name: str) -> str | None:
        """Up to where something has been read."""
        query = sa.select(cursors.c.since).where(cursors.c.name == name)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def forget(self, prefix: str) -> None:
        """Forget up to where everything has been read whose name begins so."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(cursors).where(cursors.c.name.startswith(prefix, autoescape=True))
            )

    def reached(self, name: str, since: str) -> None:
        """Note up to where something has been read."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(cursors).where(cursors.c.name == name))
            connection.execute(sa.insert(cursors).values(name=name, since=since))
