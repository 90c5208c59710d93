from __future__ import annotations

from pathlib import Path

import pytest

from ledger.contracts import prelude
from ledger.contracts.checker import check
from ledger.contracts.compiler import InvalidContract, compile_contract
from ledger.contracts.grammar import BUILTINS, HOST, METHODS, PRELUDE
from ledger.contracts.problems import CODES
from tests.support.language import COMPUTE, IMPORT

METHOD = "\n@export\ndef go(a: int) -> object:\n    {}\n"
CLASSES = (
    'class Kind(Codes):\n    LAB = "lab"\n'
    "class Visit(Record):\n    place: str\n    until: int = 5\n"
)
QUERY = (
    'm = Map("m")\nv = Value("v")\ndef helper(x):\n    m["a"] = x\ndef far(x):\n    helper(x)\n'
    "@query\ndef ask(a: int) -> object:\n    {}\n"
)


def codes(source: str) -> set[str]:
    return {problem.code for problem in check(source)}


def test_a_contract_of_every_allowed_form_has_no_problem() -> None:
    source = (
        '"""Title."""\n'
        + IMPORT
        + '''
LIMIT: int = -3
NAMES = ["a", ("b", 1), {"c": None}]
m = Map("m")
v = Value("v_2")

@init
def setup(x: int, y: list[str] = [], z: dict[str, int] | None = None) -> None:
    """Doc."""
    v.set(value=x)
    m[x, "y"] = y
    m[1] += 1
    del m["a"]

def helper(a, b=(1, 2), *_):
    return a
'''.replace(", *_", "")
        + """
@export
def go(t: tuple[int, str], o: object, b: bytes) -> dict[str, list[int]]:
    x, (y, z) = 1, [2, 3]
    n: int = x
    n -= y
    while n < 3 and z is not None:
        n += 1
        if n == 2:
            continue
        elif n in (7, 8):
            break
        else:
            pass
    for i, w in enumerate(NAMES):
        emit("seen", name=i, place=n)
    del [1, 2][0]
    call("other", "do", contract="x")
    require(condition=True, code="no", message=f"{x} {NAMES[0]}")
    return {k: [q for q in range(2) for r in [q] if r] for k in ["a"]}

@query
def ask() -> object:
    return helper(b=m.get("a", default=2), a=v.get()) if "a" in m else caller()
"""
    )
    assert check(source) == []
    program = compile_contract(source)
    assert set(program.methods) == {"setup", "go", "ask"}
    setup = program.methods["setup"]
    assert (setup.kind, setup.returns, setup.doc) == ("init", "None", "Doc.")
    assert [p.annotation.text for p in setup.parameters] == [
        "int",
        "list[str]",
        "dict[str, int] | None",
    ]


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("E001", "#" * (128 * 1024 + 1)),
        ("E001", "#" + "中" * (64 * 1024)),
        ("E002", "x = 1\x00"),
        ("E002", "x = 1\r\n"),
        ("E002", "\tx = 1"),
        ("E002", "ñ = 1"),
        ("E002", "ａ = 1"),
        ("E002", "x = '\u202e'"),
        ("E002", "x = '\ud800'"),
        ("E002", "\ufeffx = 1"),
        ("E002", "x = \\\n1"),
        ("E003", "def (:"),
        ("E003", "if x:\npass"),
        ("E003", "x = (1"),
        ("E003", "return = 1"),
        ("E003", "a " * 20_000),
        ("E003", "X = 1 2"),
        ("E003", "X = a 'b'c"),
        ("E005", METHOD.format("return a" + "()" * 30_000)),
        ("E005", "X = " + "- " * 201 + "1"),
        ("E005", METHOD.format("if a:\n        pass" + "\n    elif a:\n        pass" * 401)),
        ("E006", METHOD.format("return f'{" + "-" * 201 + "a}'")),
        ("E004", "X = [" + "1," * 20_001 + "]"),
        ("E005", METHOD.format("return " + "(" * 41 + "1" + ")" * 41)),
        ("E005", METHOD.format("return " + "not " * 50 + "a")),
        ("E005", METHOD.format("return " + "-" * 100_000 + "a")),
        ("E005", METHOD.format("return " + "not " * 20_000 + "a")),
        ("E005", METHOD.format("return " + "a+" * 50_000 + "a")),
        ("E005", METHOD.format("return a" + ".a" * 50_000)),
        ("E005", METHOD.format("return a" + "[0]" * 30_000)),
        ("E005", METHOD.format("return " + "a if a else " * 5_000 + "a")),
        ("E005", "".join(" " * i + "if 1:\n" for i in range(20)) + " " * 20 + "x = 1"),
        ("E005", "if 1: x = 1\n" + "elif 1: x = 1\n" * 200),
        ("E006", "X = f'{1!r}'"),
        ("E006", "X = f'{1:>9}'"),
        ("E006", "X = f'{1=}'"),
        ("E006", "X = f'{X!s:{X}}'"),
        ("E006", "X = f'{{}}'"),
        ("E006", "X = f'{\"\\n\".join(X)}'"),
        ("E006", "X = f'{X['a']}'"),
        ("E006", "X = f'''{X}'''"),
        ("E006", "X = f'{X # c\n}'"),
        ("E006", "X = f'}'"),
        ("E006", "X = r'a'"),
        ("E006", "X = rb'a'"),
        ("E006", "X = u'a'"),
        ("E006", "X = t'{a}'"),
        ("E006", "X = '\\N{DASH}'"),
        ("E006", "X = '\\d'"),
        ("E006", "X = '\\ud83d'"),
        ("E006", "X = b'\\u0041'"),
        ("E006", "X = 'abc"),
        ("E006", "X = '''abc"),
        ("E007", "X = 1.5"),
        ("E007", "X = .5"),
        ("E007", "X = 1."),
        ("E007", "X = 1e5"),
        ("E007", "X = 1j"),
        ("E007", "X = 0o17"),
        ("E007", "X = 1if 1 else 2"),
        ("E007", "X = " + "9" * 5000),
        ("E007", METHOD.format("return 9223372036854775808")),
        ("E007", METHOD.format("return -9223372036854775809")),
        ("E007", METHOD.format("return ...")),
        ("E010", "1 + 1"),
        ("E010", "if 1: pass"),
        ("E010", "class A: pass"),
        ("E010", "async def f(): pass"),
        ("E010", "X = Y = 1"),
        ("E010", "X, Y = 1, 2"),
        ("E010", "X += 1"),
        ("E010", "'late'\n'text'"),
        ("E011", "import os"),
        ("E011", "from os import path"),
        ("E011", "from . import prelude"),
        ("E011", "from ledger.contracts.prelude import Map as M"),
        ("E012", "from ledger.contracts.prelude import sys"),
        ("E012", "from ledger.contracts.prelude import *"),
        ("E013", "X = 1 + 1"),
        ("E013", "X = {1: 2}"),
        ("E013", "X = [Y]"),
        ("E013", "X = 9223372036854775808"),
        ("E014", "X = Map('Bad Name')"),
        ("E014", "X = Map('a/b')"),
        ("E014", "X = Map('a', 'b')"),
        ("E014", "X = Map(name='a')"),
        ("E014", "X = Map('a')\nY = Value('a')"),
        ("E014", "X = open('a')"),
        ("E015", "X = 1\nX = 2"),
        ("E015", "def export(): pass"),
        ("E015", "def f(): pass\ndef f(): pass"),
        ("E016", "@staticmethod\ndef f() -> int: return 1"),
        ("E016", "@export\n@query\ndef f() -> int: return 1"),
        ("E016", "@export()\ndef f() -> int: return 1"),
        ("E017", "def f(*a): pass"),
        ("E017", "def f(**a): pass"),
        ("E017", "def f(*, a): pass"),
        ("E017", "def f(a, /): pass"),
        ("E017", f"def f({', '.join(f'a{i}' for i in range(33))}): pass"),
        ("E018", "@export\ndef f(a) -> int: return 1"),
        ("E018", "@query\ndef f(): return 1"),
        ("E019", "@export\ndef f(a: float) -> int: return 1"),
        ("E019", "@export\ndef f(a: 'int') -> int: return 1"),
        ("E019", "@export\ndef f(a: list[float]) -> int: return 1"),
        ("E019", "@export\ndef f(a: dict[int, str]) -> int: return 1"),
        ("E019", METHOD.format("x: set = a")),
        ("E020", "@export\ndef f(a: int = 1 + 1) -> int: return 1"),
        ("E021", "X = 1"),
        ("E021", "@init\ndef f() -> None: pass\n@init\ndef g() -> None: pass"),
        ("E013", CLASSES + "X = Kind"),
        ("E013", CLASSES + "X = Kind.ECG"),
        ("E014", CLASSES + "X = Visit(place='a')"),
        ("E013", "X = decimal('1e5')"),
        ("E015", CLASSES + "Kind = 1"),
        ("E015", CLASSES + "class Visit(Codes):\n    A = 'a'"),
        ("E015", "class A(Record):\n    a: int\n    a: str"),
        ("E015", "class A(Codes):\n    B = 'b'\n    C = 'b'"),
        ("E019", "class A(Record):\n    a: float"),
        ("E019", "class A(Record):\n    a: A"),
        ("E019", CLASSES + "class A(Record):\n    a: Kind"),
        ("E019", "class A(Record):\n    b: B\nclass B(Record):\n    c: int"),
        ("E020", "class A(Record):\n    a: int = 'x'"),
        ("E020", "class A(Record):\n    a: list = []"),
        ("E020", "class A(Record):\n    a: int = now()"),
        ("E022", "class A(Record):\n    pass"),
        ("E022", "class A(Record):\n    'Nothing.'"),
        ("E022", "class A(Record):\n    a = 1"),
        ("E022", "class A(Record):\n    def f(self): pass"),
        ("E022", "class A(Record):\n    a: int\n    print(1)"),
        ("E022", "class A(Record):\n    a.b: int"),
        ("E022", "class A(Record):\n    class B(Record):\n        a: int"),
        ("E022", "class A(Record, metaclass=B):\n    a: int"),
        ("E022", "@export\nclass A(Record):\n    a: int"),
        ("E022", "class A(Record):\n" + "".join(f"    a{i}: int\n" for i in range(33))),
        ("E022", "class A(Codes):\n    A: str = 'a'"),
        ("E022", "class A(Codes):\n    A = 1"),
        ("E022", "class A(Codes):\n    A = B = 'a'"),
        ("E022", "class A(Codes):\n    A = 'a' + 'b'"),
        ("E010", "class A(Record, Codes):\n    a: int"),
        ("E010", "class A(Visit):\n    a: int"),
        ("E010", "class A(object):\n    a: int"),
        ("E010", "class A():\n    a: int"),
        ("E033", "class A(Record):\n    _a: int"),
        ("E033", "class A(Record):\n    __init__: int"),
        ("E033", "class A(Record):\n    str: int"),
        ("E033", "class A(Record):\n    read: int"),
        ("E033", "class _A(Record):\n    a: int"),
        ("E033", "class A(Codes):\n    __iter__ = 'a'"),
        ("E033", "class len(Codes):\n    A = 'a'"),
        ("E035", CLASSES + METHOD.format("return Visit")),
        ("E035", CLASSES + METHOD.format("return Kind")),
        ("E035", CLASSES + METHOD.format("return [Kind]")),
        ("E035", CLASSES + METHOD.format("return Kind == a")),
        ("E035", CLASSES + METHOD.format("return sum(Kind)")),
        ("E035", CLASSES + METHOD.format("return Visit.until")),
        ("E035", CLASSES + METHOD.format("return Kind[0]")),
        ("E036", CLASSES + METHOD.format("return Kind('lab')")),
        ("E036", CLASSES + METHOD.format("return Record()")),
        ("E037", CLASSES + METHOD.format("return Visit()")),
        ("E037", CLASSES + METHOD.format("return Visit('a', 1)")),
        ("E037", CLASSES + METHOD.format("return Visit(place='a', other=1)")),
        ("E037", CLASSES + METHOD.format("return Visit.read()")),
        ("E037", CLASSES + METHOD.format("return Visit.read(a, a)")),
        ("E037", CLASSES + METHOD.format("return changed(a, nothing=1)")),
        ("E038", CLASSES + METHOD.format("return Visit.mro()")),
        ("E038", CLASSES + METHOD.format("return Kind.__members__()")),
        ("E039", CLASSES + METHOD.format("return a.__class__")),
        ("E039", CLASSES + METHOD.format("return a.until.real")),
        ("E041", CLASSES + METHOD.format("a.until = 5")),
        ("E041", CLASSES + METHOD.format("a.until += 5")),
        ("E041", CLASSES + METHOD.format("del a.until")),
        ("E041", CLASSES + METHOD.format("Kind.LAB = 'x'")),
        ("E042", CLASSES + METHOD.format("return Kind.ECG")),
        ("E042", CLASSES + METHOD.format("return Kind.mro")),
        ("E042", CLASSES + METHOD.format("return Kind.__class__")),
        ("E030", METHOD.format("try:\n        pass\n    except Exception:\n        pass")),
        ("E030", METHOD.format("with a:\n        pass")),
        ("E030", METHOD.format("raise a")),
        ("E030", METHOD.format("assert a")),
        ("E030", METHOD.format("global a")),
        ("E030", METHOD.format("import os")),
        ("E030", METHOD.format("def g(): pass")),
        ("E030", METHOD.format("class A: pass")),
        ("E003", METHOD.format("match a:\n        case 1: pass")),
        ("E030", METHOD.format("while a:\n        pass\n    else:\n        pass")),
        ("E030", METHOD.format("for b in []:\n        pass\n    else:\n        pass")),
        ("E030", METHOD.format("break")),
        ("E030", METHOD.format("x: int")),
        ("E031", METHOD.format("return lambda: 1")),
        ("E031", METHOD.format("return {1, 2}")),
        ("E031", METHOD.format("return {x for x in []}")),
        ("E031", METHOD.format("return any(x for x in [])")),
        ("E031", METHOD.format("return (b := 1)")),
        ("E031", METHOD.format("return [*[1]]")),
        ("E031", METHOD.format("return {**{}}")),
        ("E031", METHOD.format("return len(*[1])")),
        ("E031", METHOD.format("yield 1")),
        ("E031", METHOD.format("return [1][::2]")),
        ("E031", METHOD.format("return [a for a in [] for b in [] for c in [] for d in []]")),
        ("E032", METHOD.format("return a ** 2")),
        ("E032", METHOD.format("return a / 2")),
        ("E032", METHOD.format("return a << 2")),
        ("E032", METHOD.format("return a | 2")),
        ("E032", METHOD.format("return a @ 2")),
        ("E032", METHOD.format("return ~a")),
        ("E032", METHOD.format("return +a")),
        ("E032", METHOD.format("return a is 5")),
        ("E032", METHOD.format("a **= 2")),
        ("E033", METHOD.format("_x = 1")),
        ("E033", METHOD.format("len = 1")),
        ("E033", METHOD.format("__builtins__ = 1")),
        ("E033", "def f(_a): pass"),
        ("E033", "_X = 1"),
        ("E033", "def __init__(): pass"),
        ("E033", METHOD.format("return [_x for _x in []]")),
        ("E034", METHOD.format("return b")),
        ("E034", METHOD.format("return __import__")),
        ("E034", METHOD.format("return [b for c in d for d in []]")),
        ("E034", METHOD.format("return [b for b in [] for c in d for d in c]")),
        ("E035", METHOD.format("return go")),
        ("E035", METHOD.format("return len")),
        ("E035", METHOD.format("return signers")),
        ("E035", 'm = Map("m")' + METHOD.format("return m")),
        ("E035", 'm = Value("m")' + METHOD.format('return m["a"]')),
        ("E036", METHOD.format("return open('x')")),
        ("E036", METHOD.format("return eval('1')")),
        ("E036", METHOD.format("return hash(a)")),
        ("E036", METHOD.format("return a(1)")),
        ("E036", METHOD.format("return [1](1)")),
        ("E036", "@init\ndef f() -> None: pass" + METHOD.format("return f()")),
        ("E037", METHOD.format("return len()")),
        ("E037", METHOD.format("return len(1, 2)")),
        ("E037", METHOD.format("return go()")),
        ("E037", METHOD.format("return go(b=1)")),
        ("E037", METHOD.format("return go(1, a=2)")),
        ("E037", METHOD.format("return sorted([1], key=a)")),
        ("E037", METHOD.format("return 'a'.strip('b', 'c')")),
        ("E037", METHOD.format("return emit()")),
        ("E037", METHOD.format("return emit('x', **{})")),
        ("E037", METHOD.format("return {}.get(key='a')")),
        ("E038", METHOD.format("return 'a'.format(a)")),
        ("E038", METHOD.format("return a.__class__()")),
        ("E038", METHOD.format("return [].sort()")),
        ("E038", 'm = Map("m")' + METHOD.format("return m.keys()")),
        ("E039", METHOD.format("return a.b")),
        ("E039", METHOD.format("return ''.__class__.__mro__")),
        ("E040", QUERY.format("m['a'] = 1")),
        ("E040", QUERY.format("m['a'] += 1")),
        ("E040", QUERY.format("del m['a']")),
        ("E040", QUERY.format("v.set(1)")),
        ("E040", QUERY.format("emit('x')")),
        ("E040", QUERY.format("far(1)")),
        ("E040", QUERY.format("for m['a'] in [1]:\n        pass")),
        ("E041", METHOD.format("a.b = 1")),
        ("E041", METHOD.format("[1][0:1] = [2]")),
        ("E041", METHOD.format("del a")),
        ("E041", METHOD.format("b, *c = [1, 2]")),
        ("E041", METHOD.format("return [1 for a[0] in [1]]")),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_code(code: str, source: str) -> None:
    found = check(source if source.startswith("#") else IMPORT + COMPUTE + source)
    assert code in {problem.code for problem in found}, found
    assert {problem.code for problem in found} <= set(CODES)


def test_every_code_has_a_test() -> None:
    marks = test_what_is_not_in_the_language_is_refused_with_its_code.pytestmark  # type: ignore[attr-defined]
    tested = {case[0] for case in marks[0].args[1]}
    assert tested == set(CODES)


def test_a_problem_says_line_column_and_what_to_do_instead() -> None:
    (problem,) = check(IMPORT + METHOD.format("return a / 2"))
    hint = "// divides and rounds down; a decimal has divided(by, places, mode)"
    assert str(problem) == f"5:12: E032 Div is not in the language ({hint})"


def test_all_problems_are_reported_in_the_order_of_the_source() -> None:
    found = check(IMPORT + "X = 1.5 + .5\nY = 2.5\n")
    assert [(problem.line, problem.column) for problem in found] == [(2, 5), (2, 11), (3, 5)]
    with pytest.raises(InvalidContract) as caught:
        compile_contract(IMPORT + "X = 1.5\n")
    assert len(caught.value.problems) == 1


def test_the_prelude_and_the_grammar_name_the_same_things() -> None:
    public = {name for name in vars(prelude) if name.isidentifier() and name[0] != "_"}
    others = {"annotations", "Any", "Callable", "F", "Key", "NoReturn", "OutsideLedger", "TypeVar"}
    assert public - others == PRELUDE == set(prelude.__all__)
    assert not set(BUILTINS) & set(HOST)


def test_outside_the_ledger_the_prelude_says_so() -> None:
    assert prelude.export(check) is check
    with pytest.raises(prelude.OutsideLedger, match="signers works only on the ledger"):
        prelude.signers()
    for use in (
        lambda: prelude.Map("m")["a"],
        lambda: prelude.Map("m").get("a"),
        lambda: "a" in prelude.Map("m"),
        lambda: prelude.Value("v").get(),
        lambda: prelude.call("a", "b"),
        lambda: prelude.emit("a"),
        lambda: prelude.require(True, "x"),
        lambda: prelude.fail("x"),
    ):
        with pytest.raises(prelude.OutsideLedger):
            use()


def test_the_language_page_shows_a_contract_and_lists_every_code() -> None:
    page = (Path(__file__).parents[3] / "docs/contracts/language.md").read_text("utf-8")
    examples = [part.partition("```")[0] for part in page.split("```python\n")[1:]]
    assert len(examples) == 2
    assert [check(example) for example in examples] == [[], []]
    plain = page.replace("`", "")
    for code, meaning in CODES.items():
        assert f"| {code} | {meaning} |" in plain
    for name in (*BUILTINS, *METHODS, *HOST):
        assert name in plain
