"""The sources of a node's records, by its settings: a directory, and a FHIR server beside it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from ledger.node.setup.home import InvalidHome, NodeHome
from ledger.node.vault.connector import (
    Connector,
    DirectoryConnector,
    Problem,
    SourceRecord,
)
from ledger.node.vault.fhirhttp import FhirHttp, SourceFailed
from ledger.node.vault.fhirserver import PREFIX, TYPES, FhirServerConnector
from ledger.node.vault.kept import Kept

#: The file of kept bytes, beside ``vault.db``.
KEPT_FILE = "fhir.db"


class Sources:
    """A directory and a FHIR server as one source. Ids of the server begin with ``fhir:``."""

    def __init__(self, directory: DirectoryConnector, server: FhirServerConnector) -> None:
        self._directory = directory
        self._server = server

    @property
    def complete(self) -> bool:
        """Whether both have listed everything."""
        return self._directory.complete and self._server.complete

    def records(self) -> Iterator[SourceRecord | Problem]:
        for item in self._directory.records():
            if item.id.startswith(PREFIX):
                yield Problem(item.id, f"a name that begins with {PREFIX}")
            else:
                yield item
        yield from self._server.records()

    def open(self, record_id: str, stamp: str = "") -> BinaryIO:
        connector: Connector = self._server if record_id.startswith(PREFIX) else self._directory
        return connector.open(record_id, stamp)

    def discard(self, record_id: str) -> None:
        if record_id.startswith(PREFIX):
            self._server.discard(record_id)

    def taken(self) -> None:
        self._directory.taken()
        self._server.taken()

    def close(self) -> None:
        self._directory.close()
        self._server.close()


def sources_of(
    home: NodeHome, clock: Callable[[], int], patients: Callable[[], Iterable[str]]
) -> DirectoryConnector | Sources:
    """What the settings of a node name.

    Args:
        clock: milliseconds since 1970 UTC.
        patients: references of the hospital's patients that have a pseudonym.

    Raises:
        InvalidHome: no source can be made of them.
        VaultUnusable: the file of kept bytes cannot be opened.
    """
    directory = DirectoryConnector(home.records)
    settings = home.settings.vault.fhir
    if settings is None:
        return directory
    auth = None if settings.credentials is None else home.path / settings.credentials
    try:
        tls = None
        if settings.ca is not None:
            tls = ssl.create_default_context(cafile=str(home.path / settings.ca))
        server = FhirServerConnector(
            FhirHttp(settings.url, auth=auth, tls=tls),
            Kept(home.path / "vault" / KEPT_FILE),
            types=settings.types or TYPES,
            clock=clock,
            full_every=settings.full_days,
            patients=patients if settings.by_patient else None,
        )
    except (SourceFailed, OSError, ssl.SSLError) as error:
        raise InvalidHome(f"[vault.fhir]: {error}") from None
    return Sources(directory, server)
