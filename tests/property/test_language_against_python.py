"""The language against CPython: what both run gives the same value, or the same kind of error."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.budget import PROGRAMS
from tests.support.corpus import OPERATIONS, VALUES
from tests.support.language import IMPORT, Bench

#: Limits of ours that CPython does not have: where they end a program there is nothing to compare.
OURS_ALONE = {"overflow", "too_large", "too_deep", "out_of_gas"}
KINDS = {
    "type_error": TypeError,
    "value_error": (ValueError, ZeroDivisionError),
    "missing_key": KeyError,
    "index_error": IndexError,
    "name_error": UnboundLocalError,
}

VARIABLES = {
    "int": ["a", "b", "n"],
    "str": ["s", "t"],
    "list": ["xs", "ys"],
    "dict": ["d"],
    "bool": ["p"],
}
COPY_OF = {"list": "{}[:]", "dict": "dict({})"}


class Writer:
    """Writes programs whose types fit, so that a type error is a difference."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.loops = 0
        self.names = 0

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def small(self, most: int) -> int:
        return int(self.draw(st.integers(0, most)))

    def expression(self, kind: str, depth: int) -> str:
        if depth <= 0 or self.small(3) == 0:
            return self.atom(kind)
        return str(getattr(self, f"{kind}_expression")(depth - 1))

    def atom(self, kind: str) -> str:
        if self.small(2):
            return str(self.pick(*VARIABLES[kind]))
        if kind == "int":
            return str(self.draw(st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1)))
        if kind == "str":
            return repr(self.draw(st.text("ab,É中 \n'", max_size=4))).replace("\\x", "x")
        if kind == "list":
            return repr(self.draw(st.lists(st.integers(-3, 3), max_size=4)))
        if kind == "dict":
            return repr(self.draw(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3))))
        return str(self.pick("True", "False"))

    def int_expression(self, depth: int) -> str:
        def part(kind: str = "int") -> str:
            return self.expression(kind, depth)

        shape = self.small(14)
        if shape <= 4:
            return f"({part()} {self.pick('+', '-', '*', '//', '%')} {part()})"
        if shape == 5:
            return f"-({part()})"
        if shape == 6:
            return f"len({part(self.pick('str', 'list', 'dict'))})"
        if shape == 7:
            return f"{part('list')}[{part()}]"
        if shape == 8:
            return f"{part('dict')}[{part('str')}]"
        if shape == 9:
            return f"{part('dict')}.get({part('str')}, {part()})"
        if shape == 10:
            return f"{self.pick('min', 'max')}({part()}, {part()})"
        if shape == 11:
            return f"{self.pick('sum', 'max', 'min')}({part('list')})"
        if shape == 12:
            return f"({part()} if {part('bool')} else {part()})"
        if shape == 13:
            return f"{part('str')}.find({part('str')})"
        return f"helper({part()}, {part('str')})"

    def str_expression(self, depth: int) -> str:
        def part(kind: str = "str") -> str:
            return self.expression(kind, depth)

        shape = self.small(8)
        if shape == 0:
            return f"({part()} + {part()})"
        if shape == 1:
            return f"({part()} * {self.pick(0, 1, 2, -1)})"
        if shape == 2:
            return f"{part()}[{part('int')}:{part('int')}]"
        if shape == 3:
            return f"{part()}[{part('int')}]"
        if shape == 4:
            return f"f'{{n}}-{{s}}{{{self.pick('p', 'a', 't', 'len(xs)')}}}'"
        if shape == 5:
            return f"str({part(self.pick('int', 'bool', 'str'))})"
        if shape == 6:
            return f"{part()}.replace({self.pick('s', repr('a'))} or 'q', {part()})"
        if shape == 7:
            return f"({part()} {self.pick('or', 'and')} {part()})"
        return f"{part()}.join([str(i) for i in {part('list')}])"

    def bool_expression(self, depth: int) -> str:
        def part(kind: str) -> str:
            return self.expression(kind, depth)

        shape = self.small(8)
        if shape <= 1:
            compare = self.pick("<", "<=", ">", ">=", "==", "!=")
            return f"({part('int')} {compare} {part('int')})"
        if shape == 2:
            return f"({part('str')} {self.pick('<', '==', '!=', '>=')} {part('str')})"
        if shape == 3:
            return f"({part('int')} {self.pick('in', 'not in')} {part('list')})"
        if shape == 4:
            container = self.pick("dict", "str")
            return f"({part('str')} {self.pick('in', 'not in')} {part(container)})"
        if shape == 5:
            return f"(not {part(self.pick('bool', 'int', 'str', 'list', 'dict'))})"
        if shape == 6:
            return f"bool({part('bool')} {self.pick('and', 'or')} {part('int')})"
        if shape == 7:
            return f"({part('int')} < {part('int')} {self.pick('<', '==')} {part('int')})"
        return f"({part('list')} == {part('list')})"

    def list_expression(self, depth: int) -> str:
        def part(kind: str = "list") -> str:
            return self.expression(kind, depth)

        shape = self.small(8)
        if shape == 0:
            return f"({part()} + {part()})"
        if shape == 1:
            return f"{part()}[{part('int')}:]"
        if shape == 2:
            return f"sorted({part()}, reverse={part('bool')})"
        if shape == 3:
            return f"[q + {part('int')} for q in {part()} if {part('bool')}]"
        if shape == 4:
            return f"[q * r for q in {part()} for r in {part()} if q != r]"
        if shape == 5:
            return f"[i + j for i, j in enumerate({part()})]"
        if shape == 6:
            return f"[i - j for i, j in zip({part()}, {part()})]"
        if shape == 7:
            return f"[{part('int')}, {part('int')}]"
        return f"({part()} * {self.pick(0, 1, 2)})"

    def dict_expression(self, depth: int) -> str:
        shape = self.small(2)
        if shape == 0:
            return f"{{{self.expression('str', depth)}: {self.expression('int', depth)}}}"
        if shape == 1:
            return f"{{str(q): q for q in {self.expression('list', depth)}}}"
        return f"{{q: len(q) for q in {self.expression('dict', depth)}}}"

    def block(self, depth: int) -> list[str]:
        lines = [line for _ in range(1 + self.small(3)) for line in self.statement(depth)]
        return ["    " + line for line in lines]

    def statement(self, depth: int) -> list[str]:
        shape = self.small(13)
        if shape <= 3:
            kind = self.pick("int", "str", "list", "dict", "bool")
            value = self.expression(kind, 2)
            value = COPY_OF.get(kind, "{}").format(value)
            return [f"{self.pick(*VARIABLES[kind])} = {value}"]
        if shape == 4:
            operator = self.pick("+=", "-=", "*=", "//=", "%=")
            return [f"{self.pick('a', 'b', 'n')} {operator} {self.expression('int', 1)}"]
        if shape == 5:
            return [self.pick("xs", "ys") + f".append({self.expression('int', 1)})"]
        if shape == 6:
            return [f"xs[{self.expression('int', 1)}] = {self.expression('int', 1)}"]
        if shape == 7:
            return [f"d[{self.expression('str', 1)}] = {self.expression('int', 1)}"]
        if shape == 8:
            return [self.pick("del xs[a]", "del d[s]", "xs.pop()", "a, b = b, a", "xs += ys[:]",
                              "a, (b, n) = [n, (a, b)]", "ys.insert(a, b)", "d['a'] += 1",
                              "n = later", "later = 1", "n = xs.index(a)", "xs.extend(ys[:2])",
                              "a = d.pop(s, 4)", "n = int(str(a))")]  # fmt: skip
        if shape == 9 and self.loops:
            return [self.pick("break", "continue", "return [a, s]")]
        if depth <= 0:
            return ["pass"]
        if shape <= 11:
            lines = [f"if {self.expression('bool', 2)}:", *self.block(depth - 1)]
            if self.small(1):
                lines += [f"elif {self.expression('int', 1)}:", *self.block(depth - 1)]
            if self.small(1):
                lines += ["else:", *self.block(depth - 1)]
            return lines
        return self.loop(depth)

    def loop(self, depth: int) -> list[str]:
        self.loops += 1
        self.names += 1
        turn = f"k{self.names}"
        if self.small(1):
            source = self.pick(f"range({self.small(4)})", "xs[:3]", "d.keys()", "s[:3]",
                               "range(3, -3, -2)", "reversed(ys[:3])", "(1, 2)")  # fmt: skip
            lines = [f"for {turn} in {'list(' + source + ')' if 'keys' in source else source}:"]
            lines += self.block(depth - 1)
        else:
            lines = [f"{turn} = 0", f"while {turn} < 3 and {self.expression('bool', 1)}:"]
            lines += [f"    {turn} += 1", *self.block(depth - 1)]
        self.loops -= 1
        return lines


@st.composite
def programs(draw: Any) -> str:
    writer = Writer(draw)
    lines = [
        "a, b, n = 1, -2, 3",
        "s = t = 'ab'",
        "xs = [3, 1, 2]",
        "ys = []",
        "d = {'b': 1, 'a': 2}",
        "p = True",
    ]
    for _ in range(1 + writer.small(5)):
        lines += writer.statement(2)
    lines.append("later = 0")
    lines.append("return [a, b, n, s, t, xs, ys, [[k, v] for k, v in d.items()], p]")
    body = "\n".join("    " + line for line in lines)
    helper = "def helper(x, y):\n    if x > 3:\n        return len(y)\n    return x\n\n"
    return f"{helper}@export\ndef run() -> object:\n{body}\n"


def by_python(source: str) -> tuple[Any, BaseException | None]:
    names: dict[str, Any] = {"range": lambda *a: list(range(*a))}
    try:
        exec(compile(source, "contract", "exec"), names)  # the oracle
        return names["run"](), None
    except Exception as error:  # noqa: BLE001 - whatever the program ends in
        return None, error


def same(left: Any, right: Any) -> bool:
    """Equal with equal types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@settings(max_examples=PROGRAMS, deadline=None)
@given(programs())
def test_programs_that_fit_have_the_outcome_that_python_gives_them(source: str) -> None:
    result = Bench(c=source).call("run", gas=300_000)
    code = result.error.partition(":")[0]
    assert code != "unknown_contract", source
    if code in OURS_ALONE:
        return
    value, error = by_python(IMPORT + source)
    if result.ok:
        assert error is None, f"{error!r}\n{source}"
        assert same(result.value, value), f"{value}\n{source}"
    else:
        assert isinstance(error, KINDS[code]), f"{code} {error!r} {value}\n{source}"


AS_LISTS = {
    "range": lambda *bounds: list(range(*bounds)),
    "zip": lambda *columns: list(zip(*columns, strict=False)),
    "enumerate": lambda items: list(enumerate(items)),
    "reversed": lambda items: list(reversed(items)),
}


def untupled(value: Any) -> Any:
    """Tuples as lists, as `same` and results want them."""
    return [untupled(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_two_values_are_combined_the_outcome_is_pythons_or_a_refusal(
    operation: str,
) -> None:
    source = (
        f"VALUES = {VALUES}\n@query\ndef go(i: int, j: int) -> object:\n"
        f"    x = VALUES[i]\n    y = VALUES[j]\n    v = {operation}\n    return TUPLES\n"
    )
    bench = Bench(c=source.replace("TUPLES", "[v]"))
    tupled = Bench(c=source.replace("TUPLES", "[list(v)]"))
    nested = Bench(c=source.replace("TUPLES", "[list(w) for w in v]"))
    names: dict[str, Any] = {}
    exec(compile(IMPORT + source.replace("TUPLES", "v"), "contract", "exec"), names)
    names.update(AS_LISTS)
    compared = 0
    for i in range(len(VALUES)):
        for j in range(len(VALUES)):
            names["VALUES"] = deepcopy(VALUES)
            try:
                expected = names["go"](i, j)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError):
                outcome = bench.query("go", i=i, j=j)
                assert outcome.error.partition(":")[0] in KINDS, (operation, VALUES[i], VALUES[j])
                continue
            chosen, form = bench, [untupled(expected)]
            if isinstance(expected, tuple):
                chosen = tupled
            elif isinstance(expected, list) and expected and isinstance(expected[0], tuple):
                chosen, form = nested, untupled(expected)
            outcome = chosen.query("go", i=i, j=j)
            if outcome.ok:
                compared += 1
                assert same(outcome.value, form), (operation, VALUES[i], VALUES[j], outcome.value)
            else:
                assert outcome.error.partition(":")[0] in KINDS, outcome.error
    assert compared
