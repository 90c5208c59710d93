"""Where a holder's records come from.

A connector reads records out of the holder's own systems and never writes there. What it gives for
an id at a release is hashed again, so the vault notices what has changed; a connector to a system
that does not give the same bytes twice keeps them itself (`ledger.node.vault.kept`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ledger.chain import limits

FHIR_JSON: Final = "application/fhir+json"

#: Media types by file name suffix. Files of other kinds are reported, not guessed at.
MEDIA: Final = {
    ".json": FHIR_JSON,
    ".pdf": "application/pdf",
    ".dcm": "application/dicom",
    ".xml": "application/xml",
    ".txt": "text/plain",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}

#: Bytes of a resource that is read as such. What is opaque has no limit.
MAX_RESOURCE_BYTES: Final = 16 * limits.MIB
#: A file that was changed less than this ago can change again without its times showing it.
SETTLED_SECONDS: Final = 2.0


class RecordUnavailable(Exception):
    """A record that the source does not give: gone, too large, or not a plain file."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as its source lists it: an id that stays, and a media type.

    ``stamp`` changes whenever the bytes may have; empty where the source cannot tell.
    """

    id: str
    media: str
    stamp: str = ""

    @property
    def folder(self) -> str:
        """What the id has before its last part."""
        return self.id.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the source that could not be taken in, and why."""

    id: str
    reason: str


class Connector(Protocol):
    """A source of records."""

    @property
    def complete(self) -> bool:
        """Whether `records` lists all that there is, so that what it leaves out is gone."""

    def records(self) -> Iterator[SourceRecord | Problem]:
        """Records folder by folder, in each of them opaque ones before FHIR resources."""

    def open(self, record_id: str, stamp: str = "") -> BinaryIO:
        """The bytes of one record now, as a file that can be read from any place on.

        Args:
            stamp: under which it was taken in; a source that keeps bytes gives those.

        Raises:
            RecordUnavailable: saying why.
        """

    def discard(self, record_id: str) -> None:
        """Keep nothing of a record any more, if anything is kept here of it."""

    def taken(self) -> None:
        """Everything that `records` listed has been taken in."""

    def close(self) -> None:
        """Let go of what is held open."""


def read_resource(
    connector: Connector, record_id: str, limit: int = MAX_RESOURCE_BYTES, stamp: str = ""
) -> bytes:
    """The whole of a record that is small; raises `RecordUnavailable`."""
    with connector.open(record_id, stamp) as file:
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise RecordUnavailable(os.strerror(error.errno or 0)) from None
    if len(content) > limit:
        raise RecordUnavailable(f"larger than {limit} bytes")
    return content


class DirectoryConnector:
    """Records in a directory and its subdirectories; a record's id is its path below the root.

    Symbolic links are not followed, so nothing outside the directory can be taken in or released.
    Names that begin with a dot are passed over.

    Args:
        root: the directory.
        settled: seconds after which the times of a file are believed to show every change.
    """

    complete = True

    def __init__(self, root: Path, *, settled: float = SETTLED_SECONDS) -> None:
        self._root = root
        self._settled = settled

    def records(self) -> Iterator[SourceRecord | Problem]:
        for record_id, entry in self._files(self._root, ""):
            media = _media_of(record_id)
            if media is None:
                yield Problem(record_id, "not a kind of file that is known as a record")
                continue
            try:
                details = entry.stat(follow_symlinks=False)
            except OSError as error:
                yield Problem(record_id, os.strerror(error.errno or 0))
                continue
            if not stat.S_ISREG(details.st_mode):
                yield Problem(record_id, "not a plain file")
                continue
            yield SourceRecord(record_id, media, self._stamp(details))

    def _stamp(self, details: os.stat_result) -> str:
        changed = max(details.st_mtime_ns, details.st_ctime_ns)
        if time.time_ns() - changed < self._settled * 1e9:
            return ""
        return f"{details.st_size}:{details.st_mtime_ns}:{details.st_ctime_ns}:{details.st_ino}"

    def discard(self, record_id: str) -> None:
        """Nothing is kept."""

    def taken(self) -> None:
        """Nothing is noted."""

    def close(self) -> None:
        """Nothing is held open."""

    def open(self, record_id: str, stamp: str = "") -> BinaryIO:
        parts = record_id.split("/")
        if any(part in ("", ".", "..") or "\x00" in part or "\\" in part for part in parts):
            raise RecordUnavailable("not the id of a record in this directory")
        try:
            return self._open(parts)
        except OSError as error:
            raise RecordUnavailable(os.strerror(error.errno or 0)) from None

    def _open(self, parts: list[str]) -> BinaryIO:
        # Each step is opened below the last one without following links, so that no exchange of a
        # directory for a link between a check and its use can lead outside.
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            handle = os.open(parts[-1], flags, dir_fd=folder)
        finally:
            os.close(folder)
        file = os.fdopen(handle, "rb")
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            file.close()
            raise RecordUnavailable("not a plain file")
        return file

    def _files(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
        entries.sort(key=lambda entry: (_media_of(entry.name) == FHIR_JSON, entry.name))
        inner = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            else:
                yield prefix + entry.name, entry
        del entries
        for name in sorted(inner):
            yield from self._files(folder / name, f"{prefix}{name}/")


def _media_of(name: str) -> str | None:
    return MEDIA.get(Path(name).suffix.lower())
