"""Where a holder's records come from.

A connector reads records out of the holder's own systems and never writes there. The vault keeps
no copy: it asks the connector again when a record is released, and so notices what has changed.
"""

from __future__ import annotations

import os
import stat
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

#: A record travels in one answer; larger ones would not fit into it when sealed.
DEFAULT_LIMIT: Final = limits.MAX_FRAME_BYTES - limits.MIB


class RecordUnavailable(Exception):
    """A record that the source does not give: gone, too large, or not a plain file."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as its source has it: an id that stays, a media type, and the exact bytes."""

    id: str
    media: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the source that could not be taken in, and why."""

    id: str
    reason: str


class Connector(Protocol):
    """A source of records."""

    def records(self) -> Iterator[SourceRecord | Problem]:
        """All records in an order that stays the same as long as the source does."""

    def open(self, record_id: str) -> BinaryIO:
        """The bytes of one record now, as a file that can be read from any place on.

        Raises:
            RecordUnavailable: saying why.
        """


class DirectoryConnector:
    """Records in a directory and its subdirectories; a record's id is its path below the root.

    Symbolic links are not followed, so nothing outside the directory can be taken in or released.
    Names that begin with a dot are passed over.
    """

    def __init__(self, root: Path, *, limit: int = DEFAULT_LIMIT) -> None:
        """``limit``: the size in bytes above which a file is reported and not read."""
        self._root = root
        self._limit = limit

    def records(self) -> Iterator[SourceRecord | Problem]:
        for record_id in self._ids(self._root, ""):
            media = MEDIA.get(Path(record_id).suffix.lower())
            if media is None:
                yield Problem(record_id, "not a kind of file that is known as a record")
                continue
            try:
                yield SourceRecord(record_id, media, self._whole(record_id))
            except RecordUnavailable as error:
                yield Problem(record_id, str(error))

    def _whole(self, record_id: str) -> bytes:
        with self.open(record_id) as file:
            content = file.read(self._limit + 1)
        if len(content) > self._limit:
            raise RecordUnavailable(f"larger than {self._limit} bytes")
        return content

    def open(self, record_id: str) -> BinaryIO:
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

    def _ids(self, folder: Path, prefix: str) -> Iterator[str]:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._ids(Path(entry.path), f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name
