"""TOML files whose errors name the file, the line and the field."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from ledger.node.setup.groups import BadGroup, Origins, spread
from ledger.node.setup.tomllines import BARE_KEY, FieldPath, line_numbers

MAX_FILE_BYTES = 1024 * 1024


class Table(BaseModel):
    """Base of every table: no unknown fields, no silent conversion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file. ``line`` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return (
            f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"
        )


class InvalidFile(Exception):
    """A file that says something else than it must; ``faults`` lists everything found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(_in_order(faults))
        super().__init__("\n".join(str(fault) for fault in faults))


class TomlDocument:
    """A parsed TOML file together with the lines its values stand on."""

    def __init__(self, file: str, text: str) -> None:
        """Parse ``text``; raises `InvalidFile` when it is not TOML."""
        self.file = file
        self._origins: Origins = {}
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
            self._lines = line_numbers(text)
        except (ValueError, RecursionError) as error:
            found = re.search(r"\(at line (\d+),", str(error))
            last = len(text.splitlines()) or 1
            message = f"not TOML: {re.sub(r' *[(]at .*[)]$', '', str(error))}"
            raise InvalidFile(
                [Fault(file, int(found[1]) if found else last, "", message)]
            ) from None

    @classmethod
    def read(cls, path: Path) -> TomlDocument:
        """Read a UTF-8 file of at most 1 MiB; raises `InvalidFile`, also when it is not there."""
        try:
            with path.open("rb") as stream:
                raw = stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InvalidFile([Fault(str(path), 0, "", f"cannot read: {reason}")]) from None
        if len(raw) > MAX_FILE_BYTES:
            message = f"larger than {MAX_FILE_BYTES} bytes"
            raise InvalidFile([Fault(str(path), 0, "", message)])
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise InvalidFile([Fault(str(path), line, "", "not UTF-8 text")]) from None
        return cls(str(path), text)

    def spread_groups(self) -> None:
        """Put all members of the groups in place of each group; raises `InvalidFile`."""
        try:
            self.data, self._origins = spread(self.data)
        except BadGroup as error:
            raise InvalidFile([self.fault(error.path, str(error))]) from None

    def line(self, path: FieldPath) -> int:
        """The line of a value, or of the nearest table around it that is in the text."""
        path = self._written(path)
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return line
        return 1

    def fault(self, path: FieldPath, message: str) -> Fault:
        return Fault(self.file, self.line(path), field_name(self._written(path)), message)

    def _written(self, path: FieldPath) -> FieldPath:
        """The path of a value in the text, where a group is one table."""
        return (*self._origins.get(path[:2], path[:2]), *path[2:])

    def parse(self, model: type[Model]) -> Model:
        """The document as a ``model``; raises `InvalidFile` with every fault of its shape."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            faults = [
                self.fault(_real_path(details["loc"]), _explain(details, model))
                for details in error.errors(include_url=False)
            ]
            raise InvalidFile(faults) from None


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """By line, and what is wrong with every member of a group only once."""
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.line)


def field_name(path: FieldPath) -> str:
    """A path as people write it: ``institutions[3].kind``, places counted from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _real_path(location: FieldPath) -> FieldPath:
    # pydantic marks a fault of a dict's key, rather than of its value, by a last part "[key]".
    return location[:-1] if location and location[-1] == "[key]" else location


def _explain(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value = details["type"], details.get("input")
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        name = str(details["loc"][-1])
        near = difflib.get_close_matches(name, _field_names(model), n=1)
        return "is not a known field" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "literal_error":
        return f"{value!r} is not one of {details.get('ctx', {}).get('expected', '')}"
    if kind == "secret":
        return details["msg"]
    message = details["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = repr(value)
    return f"{shown}: {message}" if len(shown) <= 80 else message


def _field_names(model: type[BaseModel]) -> set[str]:
    names = set(model.model_fields)
    for shape in model.model_json_schema().get("$defs", {}).values():
        names.update(shape.get("properties", {}))
    return names


def write_toml(data: Mapping[str, Any]) -> str:
    """TOML text of nested tables, arrays, text, integers and booleans; None is left out."""
    return "\n".join(_table_lines(data, ())).strip("\n") + "\n"


def _table_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    below: list[tuple[str, Any]] = []
    for key, value in table.items():
        if value is None:
            continue
        if isinstance(value, Mapping) or _is_table_array(value):
            below.append((key, value))
        else:
            yield f"{_key(key)} = {_inline(value)}"
    for key, value in below:
        inner = (*path, key)
        name = ".".join(_key(part) for part in inner)
        if isinstance(value, Mapping):
            yield f"\n[{name}]"
            yield from _table_lines(value, inner)
        else:
            for element in value:
                yield f"\n[[{name}]]"
                yield from _table_lines(element, inner)


def _is_table_array(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(element, Mapping) for element in value)
    )


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # JSON escapes are TOML escapes; JSON alone leaves DEL as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(element) for element in value) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_inline(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }"
    raise TypeError(f"{type(value).__name__} has no place in a configuration file")
