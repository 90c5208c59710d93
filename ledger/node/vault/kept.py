"""The exact bytes of records whose source does not give the same bytes twice.

A FHIR server writes a resource anew for every answer: order, white space and `meta` may differ from
one to the next. What was hashed has to be what is released, so the bytes are kept as they came, by
their SHA-256, which is the stamp under which the vault knows them. Beside them stands up to where
the source has been read. The file is as secret as the source itself (mode 0600).
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from ledger.node.vault.connector import RecordUnavailable
from ledger.node.vault.tables import VaultUnusable, prepare

metadata = sa.MetaData()

contents = sa.Table(
    "contents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("source", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Text, nullable=False),  # as the server has it, or empty
    sa.Column("content", sa.LargeBinary, nullable=False),
)

#: Up to where a kind of resource has been read: an instant of the server.
cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("since", sa.Text, nullable=False),
)


class Kept:
    """The file of kept bytes; raises `VaultUnusable` where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            self._engine = sa.create_engine(f"sqlite:///{path}")
            sa.event.listen(self._engine, "connect", prepare)
            metadata.create_all(self._engine)
        except (OSError, sa.exc.DBAPIError) as error:
            raise VaultUnusable(f"{path}: {error}") from None

    def close(self) -> None:
        self._engine.dispose()

    def keep(self, items: Sequence[tuple[str, str, bytes]]) -> list[str]:
        """Keep bytes, each for the id of its record and a version of it, and return their stamps in
        order. Of a version that is kept already the bytes stay as they came first: a server may
        write the same thing in another way the next time. On disk at return."""
        if not items:
            return []
        known = sa.select(contents.c.source, contents.c.version, contents.c.digest).where(
            contents.c.version != "", contents.c.source.in_({source for source, _, _ in items})
        )
        with self._engine.begin() as connection:
            digests: dict[tuple[str, str], bytes] = {
                (row.source, row.version): row.digest for row in connection.execute(known)
            }
            stamps, rows = [], []
            for source, version, content in items:
                digest = digests.get((source, version))
                if digest is None:
                    digest = sha256(content).digest()
                    rows.append(
                        {"digest": digest, "source": source, "version": version, "content": content}
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
        query = sa.select(contents.c.content).where(contents.c.source == source)
        if stamp:
            try:
                query = query.where(contents.c.digest == bytes.fromhex(stamp))
            except ValueError:
                raise RecordUnavailable("not the stamp of kept bytes") from None
        with self._engine.connect() as connection:
            content = connection.execute(query.order_by(contents.c.id.desc()).limit(1)).scalar()
        if content is None:
            raise RecordUnavailable("no bytes are kept for it")
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
