"""The founding people of a network: who they are off the chain, and where their keys are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ledger.crypto.keyfile import load_key, write_private
from ledger.crypto.keys import SigningKey
from ledger.node.setup.tomlfile import Fault, InvalidFile

FORMAT = "health-ledger-people-1"
MAX_FILE_BYTES = 64 * 1024 * 1024

_PERSON_ID = re.compile(r"[ps]-[0-9a-f]{32}")


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A founding person. ``key``: local label. ``id``: on the chain. ``public``: hex of the wire
    public key. ``fhir``: reference into the example data, or empty."""

    key: str
    id: str
    institution: str
    roles: tuple[str, ...]
    name: str
    name_zh: str
    public: str
    fhir: str = ""


class _PeopleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    people: tuple[Person, ...]


class People:
    """The founding people and where their keys are. It links names to pseudonyms: it never leaves
    the network home, and only its owner can read it."""

    def __init__(self, directory: Path, people: tuple[Person, ...]) -> None:
        self.directory = directory
        self.people = people
        self._by_label = {person.key: person for person in people}

    def __iter__(self) -> Iterator[Person]:
        return iter(self.people)

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, label: str) -> Person:
        """The person with a label; raises `KeyError`."""
        return self._by_label[label]

    def with_role(self, role: str, institution: str | None = None) -> tuple[Person, ...]:
        """The people with a role, of one institution or of all, in the order of the file."""
        return tuple(
            person
            for person in self.people
            if role in person.roles and institution in (None, person.institution)
        )

    def by_reference(self, reference: str) -> Person | None:
        """The person who stands for a FHIR resource such as ``Patient/f001``, or None."""
        return next((person for person in self.people if person.fhir == reference), None)

    def key_path(self, person: Person) -> Path:
        return self.directory / "keys" / "people" / f"{person.id}.key"

    def signing_key(self, person: Person, passphrase: Callable[[], str]) -> SigningKey:
        """The person's key; raises `KeyFileError`."""
        return load_key(self.key_path(person), passphrase)

    def save(self) -> None:
        """Write ``people.json``, readable by its owner only; raises `OSError`."""
        content = _PeopleFile(FORMAT, self.people)
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        write_private(self.directory / "people.json", text + b"\n")


def load_people(directory: Path) -> People:
    """Read the ``people.json`` of a network home; raises `InvalidFile`."""
    path = directory / "people.json"

    def invalid(message: str) -> InvalidFile:
        return InvalidFile([Fault(str(path), 0, "", message)])

    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise invalid(f"cannot read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise invalid("too large")
    try:
        content = msgspec.json.decode(raw, type=_PeopleFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"not a people file: {error}") from None
    if content.format != FORMAT:
        raise invalid(f"format {content.format!r}; this software reads {FORMAT!r}")
    people = content.people
    for what in ("key", "id", "public"):
        if len({getattr(person, what) for person in people}) != len(people):
            raise invalid(f"two people with the same {what}")
    if not all(_PERSON_ID.fullmatch(person.id) for person in people):
        raise invalid("a person's id must be p- or s- and 32 hex digits")
    return People(directory, people)
