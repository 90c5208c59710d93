"""A new contract with its test and its page, which pass as they are."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Final

from ledger.contracts.sources import LIBRARY

#: What becomes a contract's name, part of its state keys, and a file's name.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Template and the file that it becomes.
_FILES: Final = (
    ("contract.txt", "{name}.py"),
    ("test.txt", "test_{name}.py"),
    ("page.txt", "{name}.md"),
)


class BadName(ValueError):
    """A name that a new contract cannot have."""


def checked_name(name: str) -> str:
    """A name that a new contract can have.

    Raises:
        BadName: saying why not.
    """
    if _NAME.fullmatch(name) is None:
        raise BadName(f"{name!r}: a name is a-z, 0-9 and _, from a letter, at most 40 characters")
    if name.startswith("test_") or name == "conftest":
        raise BadName(f"{name!r}: pytest would take the contract for a test")
    if name in LIBRARY:
        raise BadName(f"{name!r}: the library has a contract of that name")
    return name


def create(name: str, home: Path) -> list[Path]:
    """Make the directory ``home / name`` with a contract, its test and a page; returns the files.

    Raises:
        BadName: the name cannot be one.
        FileExistsError: something of that name is there.
        OSError: it cannot be written.
    """
    checked_name(name)
    directory = home / name
    directory.mkdir(parents=True)
    made = []
    for template, file in _FILES:
        text = (resources.files("ledger.workbench") / "templates" / template).read_text("utf-8")
        path = directory / file.format(name=name)
        path.write_text(text.replace("NAME", name), encoding="utf-8")
        made.append(path)
    return made
