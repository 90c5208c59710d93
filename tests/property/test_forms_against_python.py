"""Records, enumerations and decimals against CPython: generated programs, run by both.

In CPython the prelude's own classes are behind them: dataclasses for records, a metaclass for
enumerations. (That decimals are right is shown by `test_decimals_property`.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.contracts import prelude
from tests.support.budget import PROGRAMS
from tests.support.language import COMPUTE, IMPORT, Bench

CLASSES = '''
class Level(Codes):
    """How confidential."""
    N = "normal"
    R = "restricted"
    V = "very"

class Visit(Record):
    place: str
    until: int = 5
    level: str = Level.N

class Stay(Record):
    """A stay."""
    visit: Visit | None
    others: list[Visit]
    dose: decimal
    named: dict[str, Visit]

'''
VARIABLES = {
    "visit": ["v", "w"], "stay": ["s"], "decimal": ["x", "y"], "int": ["n"], "str": ["c", "t"],
    "visits": ["vs"],
}  # fmt: skip
KINDS = {
    "type_error": TypeError,
    "value_error": ValueError,
    "missing_key": KeyError,
    "index_error": IndexError,
    "overflow": OverflowError,
}
COMPARED = ("<", "<=", "==", "!=", ">", ">=")
#: Limits of ours alone.
OURS_ALONE = {"too_large", "too_deep", "out_of_gas"}


class Writer:
    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def pick(self, *options: str | Callable[[], str]) -> str:
        """One of some texts; those that take drawing are only made when chosen."""
        option = options[self.draw(st.integers(0, len(options) - 1))]
        return option if isinstance(option, str) else option()

    def make(self, kind: str, depth: int) -> str:
        if depth <= 0 or self.draw(st.integers(0, 4)) == 0:
            return self.pick(*VARIABLES[kind])
        return str(getattr(self, kind)(depth - 1))

    def int(self, depth: int) -> str:
        return self.pick(
            str(self.draw(st.integers(-9, 99))),
            lambda: f"{self.make('visit', depth)}.until",
            lambda: f"len({self.make('visits', depth)})",
            lambda: f"(n + {self.make('int', depth)})",
            "len(Level)",
            lambda: f"[1, 2].index({self.make('int', depth)})",
            lambda: f"int({self.make('decimal', depth)}.rounded(0, 'half-even'))",
            lambda: f"int({self.make('decimal', depth)})",
        )

    def str(self, depth: int) -> str:
        return self.pick(
            "Level.N", "Level.R", "Level.V", "'normal'", "'b'",
            lambda: f"{self.make('visit', depth)}.place",
            lambda: f"{self.make('visit', depth)}.level",
            lambda: f"str({self.make('decimal', depth)})",
            "f'{n}-{x}-{v.place}'",
            lambda: f"list(Level)[{self.make('int', depth)}]",
            "','.join([code for code in Level if code != c])",
        )  # fmt: skip

    def decimal(self, depth: int) -> str:
        number = self.draw(st.integers(-10_000, 10_000))
        scale = self.draw(st.integers(0, 3))
        text = f"{abs(number)}.{'0' * (scale - 1)}5" if scale else f"{abs(number)}"
        places = self.draw(st.integers(-1, 19))
        mode = self.pick("half-even", "half-up", "down", "up", "floor", "ceiling")

        def part(kind: str = "decimal") -> str:
            return self.make(kind, depth)

        return self.pick(
            lambda: f"decimal({'-' * (number < 0) + text!r})",
            lambda: f"decimal({part('int')})",
            lambda: f"({part()} {self.pick('+', '-', '*')} {part()})",
            lambda: f"({part('int')} {self.pick('+', '-', '*')} {part()})",
            lambda: f"({part()} {self.pick('+', '-', '*')} {part('int')})",
            lambda: f"-{part()}",
            lambda: f"abs({part()})",
            lambda: f"{part('stay')}.dose",
            lambda: f"{part()}.rounded({places}, {mode!r})",
            lambda: f"{part()}.divided({part(self.pick('decimal', 'int'))}, {places}, {mode!r})",
            lambda: f"{self.pick('min', 'max')}({part()}, {part()})",
            lambda: f"sum([{part()}, {part()}, {part('int')}])",
            lambda: f"({part()} if {self.bool(depth)} else {part()})",
        )

    def visit(self, depth: int) -> str:
        return self.pick(
            lambda: f"Visit(place={self.make('str', depth)})",
            lambda: f"Visit(until={self.make('int', depth)}, level=c, place=t)",
            lambda: f"changed({self.make('visit', depth)}, until={self.make('int', depth)})",
            lambda: f"Visit.read({{'place': {self.make('str', depth)}, 'until': n}})",
            "Visit.read({'place': 'a', 'more': 1})", "Visit.read({'until': 1})",
            "Visit.read({'place': 5})",
            lambda: f"{self.make('visits', depth)}[{self.make('int', depth)}]",
            lambda: f"{self.make('stay', depth)}.named['a']",
        )  # fmt: skip

    def visits(self, depth: int) -> str:
        return self.pick(
            lambda: f"[{self.make('visit', depth)}]",
            lambda: f"({self.make('visits', depth)} + {self.make('visits', depth)})",
            lambda: f"{self.make('stay', depth)}.others",
            lambda: f"[changed(q, until=n) for q in {self.make('visits', depth)}]",
            lambda: f"[q for q in {self.make('visits', depth)} if {self.bool(depth)}]",
        )

    def stay(self, depth: int) -> str:
        return self.pick(
            lambda: (
                f"Stay(visit={self.make('visit', depth)}, others={self.make('visits', depth)}, "
                f"dose={self.make('decimal', depth)}, named={{'a': v}})"
            ),
            lambda: f"changed({self.make('stay', depth)}, visit=None, others=[])",
            lambda: f"changed({self.make('stay', depth)}, dose={self.make('decimal', depth)})",
            "Stay.read({'visit': None, 'others': [{'place': t}], 'dose': str(x), 'named': {}})",
            lambda: (
                f"Stay.read({{'visit': {{'place': t}}, 'dose': {self.make('str', depth)}, "
                "'others': [], 'named': {'a': {'place': c, 'until': n}}})"
            ),
        )

    def bool(self, depth: int) -> str:
        def part(kind: str) -> str:
            return self.make(kind, depth)

        return self.pick(
            lambda: f"({part('visit')} == {part('visit')})",
            lambda: f"({part('stay')} == {part('stay')})",
            lambda: f"({part('visit')} in {part('visits')})",
            lambda: f"({part('visits')} == {part('visits')})",
            lambda: f"({part('str')} in Level)",
            lambda: f"({part('str')} not in Level)",
            lambda: f"({part('decimal')} {self.pick(*COMPARED)} {part('decimal')})",
            lambda: f"({part('decimal')} {self.pick(*COMPARED)} {part('int')})",
            lambda: f"({part('int')} in [{part('decimal')}])",
            lambda: f"bool({part('decimal')})",
            lambda: f"({part('visit')} == {part('str')})",
            lambda: f"({part('stay')}.visit is None)",
        )

    def statement(self) -> list[str]:
        kind = self.pick(*VARIABLES)
        variable = self.pick(*VARIABLES[kind])
        shape = self.pick("set", "set", "if", "codes", "visits", "append", "name")
        if shape == "append":
            return [f"s.others.append({self.make('visit', 1)})"]
        if shape == "name":
            return ["s.named[t] = v"]
        if shape == "codes":
            source = self.pick("Level", "[c]", "list(Level)")
            return [f"for q in {source}:", "    t = q", "    n += 1"]
        assignment = f"{variable} = {self.make(kind, 2)}"
        if shape == "if":
            return [f"if {self.bool(1)}:", f"    {assignment}"]
        if shape == "visits":
            return [f"for q in {self.make('visits', 1)}:", f"    {assignment}"]
        return [assignment]


@st.composite
def programs(draw: Any) -> str:
    writer = Writer(draw)
    lines = [
        "v = Visit(place='a')", "w = Visit(place='b', level=Level.R, until=9)",
        "x = decimal('7.25')", "y = decimal('-0.5')", "n = 1", "c = Level.N", "t = 'a'",
        "vs = [v]", "s = Stay(visit=v, others=[w], dose=x, named={'a': w})",
    ]  # fmt: skip
    for _ in range(draw(st.integers(1, 6))):
        lines += writer.statement()
    lines.append("return [v, w, s, x, y, n, c, t, vs]")
    body = "\n".join("    " + line for line in lines)
    return f"{CLASSES}@export\ndef go() -> object:\n{body}\n"


def plain(value: Any) -> Any:
    """What a value is outside a contract."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, prelude.decimal):
        return str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in sorted(value.items())}
    return value


@settings(max_examples=PROGRAMS, deadline=None)
@given(programs())
def test_programs_of_records_and_decimals_have_the_outcome_that_python_gives_them(
    source: str,
) -> None:
    result = Bench(c=COMPUTE + source).call("go", gas=300_000)
    failure = result.error.partition(":")[0]
    assert failure != "unknown_contract", source
    if failure in OURS_ALONE:
        return
    names: dict[str, Any] = {}
    value, error = None, None
    try:
        code = compile(IMPORT + COMPUTE + source, "contract", "exec", dont_inherit=True)
        exec(code, names)  # the oracle
        value = plain(names["go"]())
    except Exception as problem:  # noqa: BLE001 - whatever the program ends in
        error = problem
    if result.ok:
        assert error is None, f"{error!r}\n{source}"
        assert result.value == value, f"{value}\n{source}"
    else:
        assert isinstance(error, KINDS[failure]), f"{result.error} {error!r} {value}\n{source}"
