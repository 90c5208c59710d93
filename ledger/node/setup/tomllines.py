"""The lines on which the values of a TOML document stand.

`tomllib` forgets them. `line_numbers` reads a document that tomllib has already accepted once more,
only for its lines; so it may assume that the text is well-formed TOML 1.0 and needs to know keys,
strings and brackets, no more.
"""

from __future__ import annotations

import re
import tomllib

#: Where a value stands: keys of tables and places in arrays, from the top of the document.
FieldPath = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
# Up to two quotes may stand directly before the three that close a multi-line string.
_LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?""""{0,2}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?''''{0,2}", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def line_numbers(text: str) -> dict[FieldPath, int]:
    """The line, counted from 1, on which each table, key and array element of ``text`` begins.

    ``text`` must be TOML 1.0 that tomllib accepts.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.lines: dict[FieldPath, int] = {}
        self._line = 1
        self._counted = 0
        self._sizes: dict[FieldPath, int] = {}

    def document(self) -> None:
        table: FieldPath = ()
        self._skip(_SPACE)
        while self.place < len(self.text):
            if self.text[self.place] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_SPACE)

    def _header(self) -> FieldPath:
        line = self._here()
        array = self.text.startswith("[[", self.place)
        self.place += 2 if array else 1
        keys = self._keys()
        self.place += 2 if array else 1
        path: FieldPath = ()
        for number, key in enumerate(keys, start=1):
            path = (*path, key)
            if path in self._sizes and not (array and number == len(keys)):
                path = (*path, self._sizes[path] - 1)
            self.lines.setdefault(path, line)
        if array:
            size = self._sizes[path] = self._sizes.get(path, 0) + 1
            path = (*path, size - 1)
            self.lines[path] = line
        else:
            self.lines[path] = line
        return path

    def _pair(self, table: FieldPath) -> None:
        line = self._here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.place += 1
        self._skip(_BLANK)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_BLANK)
            start = self.text[self.place]
            pattern = {'"': _BASIC, "'": _LITERAL}.get(start, BARE_KEY)
            raw = self._take(pattern)
            keys.append(next(iter(tomllib.loads(f"{raw} = 0"))) if start in "\"'" else raw)
            self._skip(_BLANK)
            if self.text[self.place] != ".":
                return keys
            self.place += 1

    def _value(self, path: FieldPath) -> None:
        start = self.text[self.place]
        if start == "[":
            self._array(path)
        elif start == "{":
            self._inline_table(path)
        elif start == '"':
            long = self.text.startswith('"""', self.place)
            self._take(_LONG_BASIC if long else _BASIC)
        elif start == "'":
            long = self.text.startswith("'''", self.place)
            self._take(_LONG_LITERAL if long else _LITERAL)
        else:
            self._take(_SCALAR)

    def _array(self, path: FieldPath) -> None:
        self.place += 1
        number = 0
        self._skip(_SPACE)
        while self.text[self.place] != "]":
            element = (*path, number)
            self.lines[element] = self._here()
            self._value(element)
            number += 1
            self._skip(_SPACE)
            if self.text[self.place] == ",":
                self.place += 1
                self._skip(_SPACE)
        self.place += 1

    def _inline_table(self, path: FieldPath) -> None:
        self.place += 1
        self._skip(_SPACE)
        while self.text[self.place] != "}":
            self._pair(path)
            self._skip(_SPACE)
            if self.text[self.place] == ",":
                self.place += 1
                self._skip(_SPACE)
        self.place += 1

    def _here(self) -> int:
        self._line += self.text.count("\n", self._counted, self.place)
        self._counted = self.place
        return self._line

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.place)
        self.place = found.end() if found else self.place

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.place)
        if found is None:
            raise ValueError(f"not well-formed TOML at character {self.place}")
        self.place = found.end()
        return found[0]
