"""Every value of a TOML document is found on the line where it begins."""

from __future__ import annotations

import contextlib
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.node.setup.tomlfile import Fault, InvalidFile, TomlDocument, write_toml
from ledger.node.setup.tomllines import FieldPath, line_numbers

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=4),
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), TEXT)
INLINE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def basic(text: str) -> str:
    """A basic string; where JSON would write surrogate pairs, which TOML forbids, unescaped."""
    escaped = json.dumps(text)
    if "\\ud" in escaped:
        escaped = json.dumps(text, ensure_ascii=False)
    return escaped.replace("\x7f", "\\u007f")


class Writer:
    """Writes a document with arbitrary blanks and comments, and notes the line of every value."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[FieldPath, int] = {}

    def here(self) -> int:
        return self.text.count("\n") + 1

    def space(self) -> None:
        self.text += self.draw(
            st.sampled_from(["", " ", "\n", "\t\n", "# ] } \" ''' note\n", " \r\n  "])
        )

    def key(self, key: str) -> str:
        bare = key and all(c.isascii() and (c.isalnum() or c in "_-") for c in key)
        return key if bare else basic(key)

    def value(self, path: FieldPath, value: Any, *, one_line: bool) -> None:
        if isinstance(value, bool):
            self.text += "true" if value else "false"
        elif isinstance(value, int):
            self.text += str(value)
        elif isinstance(value, str):
            self.string(value, one_line=one_line)
        elif isinstance(value, list):
            self.text += "["
            for place, element in enumerate(value):
                if not one_line:
                    self.space()
                self.lines[(*path, place)] = self.here()
                self.value((*path, place), element, one_line=one_line)
                if not one_line:
                    self.space()
                self.text += ","
            self.text += "]"
        else:
            self.text += "{"
            for place, (key, element) in enumerate(value.items()):
                self.text += " , " if place else " "
                self.lines[(*path, key)] = self.here()
                self.text += f"{self.key(key)} = "
                self.value((*path, key), element, one_line=True)
            self.text += " }"

    def string(self, value: str, *, one_line: bool) -> None:
        forms = [basic(value)]
        plain = value.isprintable() and "'" not in value
        if plain:
            forms.append(f"'{value}'")
        if not one_line:
            forms.append('"""\n' + basic(value)[1:-1] + '"""')
            if plain:
                forms.append(f"'''\r\n{value}'''")
        self.text += self.draw(st.sampled_from(forms))

    def table(self, path: FieldPath, names: list[str], data: dict[str, Any]) -> None:
        for key, value in data.items():
            if not isinstance(value, Below):
                self.space()
                self.lines[(*path, key)] = self.here()
                self.text += f"{self.key(key)} = "
                self.value((*path, key), value, one_line=False)
                self.text += "\n"
        for key, value in data.items():
            if isinstance(value, Below):
                inner = [*names, self.key(key)]
                for place, element in enumerate(value.tables):
                    self.space()
                    line = self.here()
                    self.lines.setdefault((*path, key), line)
                    below = (*path, key, place) if value.array else (*path, key)
                    self.lines[below] = line
                    name = ".".join(inner)
                    self.text += f"[[ {name} ]]\n" if value.array else f"[{name}]\n"
                    self.table(below, inner, element)


class Below:
    """Tables that get a header of their own."""

    def __init__(self, tables: list[dict[str, Any]], *, array: bool) -> None:
        self.tables = tables
        self.array = array


def below(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    tables = st.dictionaries(KEYS, inner, max_size=3)
    return st.one_of(
        INLINE,
        tables.map(lambda table: Below([table], array=False)),
        st.lists(tables, min_size=1, max_size=2).map(lambda found: Below(found, array=True)),
    )


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[FieldPath, int]]:
    writer = Writer(draw)
    writer.table((), [], draw(st.dictionaries(KEYS, below(below(INLINE)), max_size=4)))
    writer.space()
    return writer.text, writer.lines


@given(documents())
def test_lines_are_where_the_values_were_written(
    document: tuple[str, dict[FieldPath, int]],
) -> None:
    text, lines = document
    tomllib.loads(text)
    assert line_numbers(text) == lines


@given(documents())
def test_every_value_that_tomllib_finds_has_a_line(
    document: tuple[str, dict[FieldPath, int]],
) -> None:
    text, _ = document
    lines = line_numbers(text)

    def visit(path: FieldPath, value: object) -> None:
        if path:
            assert path in lines
        if isinstance(value, dict):
            for key, item in value.items():
                visit((*path, key), item)
        elif isinstance(value, list):
            for place, item in enumerate(value):
                visit((*path, place), item)

    visit((), tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a.b.c = 1", ("a", "b"), 1),
        ('x = """\nq""""" \n[t]\ny = 1', ("t", "y"), 4),
        ("x = '''\n''''' \ny = 1", ("y",), 3),
        ('x = """a\\\n\\""""\ny = 1', ("y",), 3),
        ("d = 1979-05-27 07:32:00Z\n# [z]\ne = 1.5", ("e",), 3),
        (
            "[[a]]\n[[a.b]]\n[a.b.c]\nx=1\n[[a]]\n[[a.b]]\n[a.b.c]\nx=1",
            ("a", 1, "b", 0, "c", "x"),
            8,
        ),
        ("[a.b]\nx = 1\n[a]\ny = 2", ("a",), 3),
        ("\"k.e\" . 'y' = [\n 1,\n {z = 2}\n]", ("k.e", "y", 1, "z"), 3),
    ],
)
def test_the_odd_corners_of_toml(text: str, path: FieldPath, line: int) -> None:
    tomllib.loads(text)
    assert line_numbers(text)[path] == line


TABLES = st.dictionaries(KEYS, INLINE, max_size=4)


@given(st.dictionaries(KEYS, st.one_of(INLINE, TABLES, st.lists(TABLES, max_size=2)), max_size=4))
def test_written_toml_is_read_back(data: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(data)) == data


@pytest.mark.parametrize(
    ("text", "line"), [("a = \n", 1), ("a = 1\na = 2\n", 2), ("\n\nb = [1", 3), ("x = 'a\n'", 1)]
)
def test_text_that_is_not_toml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(InvalidFile) as caught:
        TomlDocument("f.toml", text)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == ("f.toml", line)
    assert fault.message.startswith("not TOML: ")


def test_absurd_nesting_is_a_fault_and_not_a_crash() -> None:
    with pytest.raises(InvalidFile, match="not TOML"):
        TomlDocument("f.toml", "a = " + "[" * 50_000)


@given(st.one_of(st.text(), st.text("[]{}\"'=.,#\n\\ \tab10-_:")))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidFile):
        TomlDocument("f.toml", text)


def test_a_number_too_long_to_read_is_a_fault() -> None:
    with pytest.raises(InvalidFile, match="not TOML"):
        TomlDocument("f.toml", "a = " + "9" * 10_000)


def test_a_fault_shows_file_line_and_field() -> None:
    assert str(Fault("x.toml", 4, "a[0].b", "is missing")) == "x.toml:4: a[0].b: is missing"
    assert str(Fault("x.toml", 0, "", "cannot read")) == "x.toml: cannot read"
