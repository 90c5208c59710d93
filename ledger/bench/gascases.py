"""What the gas of contracts is measured on: every node, builtin, method and host function.

A case is a statement that a loop repeats. ``{n}`` in it and in its setup is a size, for which a
case gives several. Where the worst operands are known they are taken: equal texts that are not the
same object, searches that almost match, decimals of all digits.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Case(NamedTuple):
    """``covers``: names of nodes, builtins, methods, functions that the case is for.

    ``sizes``: what ``{n}`` stands for in one measurement each; none for a case without.
    """

    covers: str
    body: str
    setup: str = "x = 7"
    sizes: tuple[int, ...] = ()


_MANY: Final = (1, 30, 1_000, 20_000)
_TEXT: Final = (1, 60, 4_000, 250_000)
_TEXTS: Final = "x = 'a' * {n}\ny = 'a' * {n}"
_ITEMS: Final = "x = [i * 7919 % 20011 for i in range({n})]"
_KEYS: Final = "x = {{str(i): i for i in range({n})}}"
_DECIMALS: Final = (
    "x = decimal('12345678901234567890.123456789012345678')\n"
    "y = decimal('-7.5')\nz = decimal('0.333333333')"
)

_SOURCE: Final = (
    "x = 'from ledger.contracts.prelude import export\\n@export\\ndef f(a: int) -> int:\\n'"
    " + '    a = a + a * a - a if a else [a, a][0]\\n' * {n} + '    return '\ny = 0"
)

#: Declared before the method that is measured.
TOP: Final = (
    """
FLAT = {"a": 1, "b": "two", "c": None}
NESTED = {"a": [1, 2, 3], "b": {"c": [4, 5]}}
KINDS = ["laboratory", "imaging", "ecg"]
m = Map("m")
v = Value("v")

class Level(Codes):
    N = "normal"
    R = "restricted"

class Visit(Record):
    place: str
    until: int = 5
    note: str | None = None

class Stay(Record):
    visit: Visit
    others: list[Visit]
    dose: decimal

class Numbers(Record):
    x: list[int]

class Doses(Record):
    x: list[decimal]

class Box(Record):
    x: object

class Wide(Record):
"""
    + "".join(f"    a{i}: int = {i}\n" for i in range(32))
    + """
def nothing() -> None:
    pass

def one(a):
    return a

def four(a, b, c, d=5):
    return a

@query
def answer(x: object) -> object:
    return x
"""
)

STATEMENTS: Final = [
    Case("Assign Constant", "y = 5"),
    Case("Assign Name", "y = x"),
    Case("Assign Tuple", "y, z = x, x"),
    Case("AnnAssign", "y: int = x"),
    Case("AugAssign", "x += 1"),
    Case("AugAssign", "x -= 1\n        x *= 1\n        x //= 1\n        x %= 1000"),
    Case("AugAssign List", "x += [1]\n        x.pop()", "x = [0] * {n}", _MANY[:-1]),
    Case("Assign Subscript", "x[0] = 5", "x = [1]"),
    Case("Assign Subscript", "x['a'] = 5", "x = {{'a': 1}}"),
    Case("AugAssign Subscript", "x['a'] += 5", "x = {{'a': 1}}"),
    Case("Delete", "x['a'] = 1\n        del x['a']", "x = {{}}"),
    Case("Delete", "del x[0]\n        x.append(1)", "x = [1] * {n}", _MANY[:-1]),
    Case("Expr", "x"),
    Case("If", "if x: pass\n        elif x: pass\n        else: pass"),
    Case("If", "if x == 1:\n            y = 1\n        elif x == 2:\n            y = 2"),
    Case("While", "y = 3\n        while y:\n            y -= 1"),
    Case("For Break", "for y in x:\n            break", "x = [1]"),
    Case("For Continue", "for y in x:\n            continue", _ITEMS, _MANY),
    Case("For", "for y, z in x: pass", "x = [(1, 2)] * {n}", _MANY),
    Case("For", "for y in x: pass", _KEYS, (1, 30, 1_000)),
    Case("For range", "for y in range({n}): pass", "x = 1", _MANY),
    Case("For", "for y in x: pass", "x = 'a' * {n}", (1, 1_000)),
    Case("Return", "y = one(x)"),
    Case("Call", "nothing()"),
    Case("Call", "four(x, x, x)"),
    Case("Call", "four(d=x, c=x, b=x, a=x)"),
]

EXPRESSIONS: Final = [
    Case("BinOp Add", "x + 1"),
    Case("BinOp Sub", "x - 1"),
    Case("BinOp Mult", "x * y", "x = 3037000499\ny = 3037000498"),
    Case("BinOp FloorDiv", "x // y", "x = 9223372036854775807\ny = 3"),
    Case("BinOp Mod", "x % y", "x = 9223372036854775807\ny = 3037000499"),
    Case("BinOp Add", "x + y", "x = 'a' * {n}\ny = 'b'", (1, 60, 4_000, 250_000)),
    Case("BinOp Add", "x + x", "x = [1] * {n}", (1, 30, 1_000, 10_000)),
    Case("BinOp Add", "x + x", "x = ('a' * {n}).encode()", (1, 1_000, 100_000)),
    Case("BinOp Mult", "'ab' * {n}", "x = 1", (1, 1_000, 100_000)),
    Case("BinOp Mult", "[x] * {n}", "x = 1", _MANY),
    Case("UnaryOp", "-x"),
    Case("UnaryOp", "not x"),
    Case("BoolOp", "x and x and x or x"),
    Case("IfExp", "x if x else x"),
    Case("Compare Eq", "x == 5"),
    Case("Compare Eq", "x == y", _TEXTS, _TEXT),
    Case("Compare Eq", "x == y", "x = [1] * {n}\ny = [1] * {n}", _MANY),
    Case("Compare Eq", "x == y", _KEYS + "\ny = dict(x)", (1, 1_000, 9_000)),
    Case(
        "Compare Eq",
        "x == y",
        "x = [[1] for i in range({n})]\ny = [[1] for i in range({n})]",
        (1, 1_000, 9_000),
    ),
    Case("Compare NotEq", "x != 5"),
    Case("Compare Lt LtE Gt GtE", "x < 5 <= x > 5 >= x"),
    Case("Compare Lt", "x < y", _TEXTS, _TEXT),
    Case("Compare Is", "x is None"),
    Case("Compare In", "x in KINDS", "x = 'imaging'"),
    Case("Compare In", "x in [1, 2, 3]"),
    Case("Compare In", "x in y", "x = 'a'\ny = {{'a': 1}}"),
    Case("Compare In", "-1 in x", _ITEMS, _MANY),
    Case(
        "Compare In",
        "y in x",
        "x = ['a' * 60 + str(i) for i in range({n})]\ny = 'a' * 61",
        (1, 1_000, 9_000),
    ),
    Case("Compare In", "y in x", "x = ['a' * 20000] * {n}\ny = 'a' * 19999 + 'b'", (1, 1_000)),
    Case("Compare In", "[0] in x", "x = [[i + 1] for i in range({n})]", (1, 1_000, 9_000)),
    Case("Compare In", "y in x", "x = 'a' * {n}\ny = 'b'", _TEXT),
    Case("Compare In", "y in x", "x = 'a' * {n}\ny = 'a' * 30 + 'b'", (100, 4_000, 200_000)),
    Case("Compare In", "y in x", "x = 'a' * {n}\ny = 'b' + 'a' * 90", (100, 4_000, 200_000)),
    Case(
        "Compare In", "y in x", "x = 'ab' * {n}\ny = 'ab' * ({n} // 2) + 'b'", (100, 4_000, 100_000)
    ),
    Case("Compare NotIn", "x not in KINDS", "x = 'imaging'"),
    Case("Subscript", "x['a']", "x = {{'a': 1}}"),
    Case("Subscript", "x[y]", "x = {{'a': 1}}\ny = 'a'"),
    Case("Subscript", "x[y]", "x = {{'a' * 1000: 1}}\ny = 'a' * 1000"),
    Case("Subscript", "x[0]", "x = [1]"),
    Case("Subscript", "x[-1]", "x = 'abc'"),
    Case("Subscript", "FLAT['a']"),
    Case("Subscript", "NESTED['b']['c']"),
    Case("Slice", "x[1:]", "x = [1] * {n}", _MANY),
    Case("Slice", "x[1:]", "x = 'a' * {n}", _TEXT),
    Case("List", "[x, x, x]"),
    Case("List", "[]"),
    Case("Tuple", "(x, x, x)"),
    Case("Dict", "{{'a': x, 'b': 1, 'c': x}}"),
    Case("Dict", "{{y: x}}", "x = 1\ny = 'a'"),
    Case("Name", "NESTED"),
    Case("ListComp", "[y for y in x]", _ITEMS, _MANY),
    Case("ListComp", "[y for y in x if y]", _ITEMS, _MANY),
    Case("ListComp", "[1 for y in x for z in x]", _ITEMS, (1, 10, 100)),
    Case("ListComp", "[y + z for y, z in x if y if z]", "x = [(1, 2)] * {n}", _MANY),
    Case("DictComp", "{{y: 1 for y in x}}", "x = [str(i) for i in range({n})]", (1, 1_000, 9_000)),
    Case("JoinedStr", "f'{{x}}-{{x}}'"),
    Case("JoinedStr", "f'{{x}}-{{x}}'", "x = 'a' * {n}", (1, 1_000, 100_000)),
    Case("Attribute", "x.place", "x = Visit(place='a')"),
    Case("Attribute", "x == Level.R", "x = 'a'"),
    Case("Compare In", "x in Level", "x = 'a'"),
]

BUILTINS: Final = [
    Case("len", "len(x)", "x = [1]"),
    Case("len", "len(FLAT)"),
    Case("abs", "abs(x)"),
    Case("abs", "abs(x)", _DECIMALS),
    Case("sum", "sum(x)", _ITEMS, _MANY),
    Case("sum", "sum(x)", "x = [decimal('12345.678')] * {n}", (1, 1_000, 20_000)),
    Case("all any", "all(x)\n        any([])", "x = [1] * {n}", _MANY),
    Case("min", "min(x, 5)"),
    Case("max", "max(x)", _ITEMS, _MANY),
    Case("max", "max(x)", "x = ['a' * 500 + str(i) for i in range({n})]", (1, 100, 5_000)),
    Case("max", "max(x)", "x = [decimal(i) for i in range({n})]", (1, 1_000, 20_000)),
    Case("sorted", "sorted(x)", _ITEMS, _MANY),
    Case("sorted", "sorted(x)", "x = range({n})", _MANY),
    Case(
        "sorted",
        "sorted(x)",
        "x = ['a' * 200 + str(i * 7919 % 20011) for i in range({n})]",
        (1, 100, 5_000),
    ),
    Case(
        "sorted", "sorted(x)", "x = [(1, 2, i * 7919 % 20011) for i in range({n})]", (1, 100, 5_000)
    ),
    Case(
        "sorted",
        "sorted(x)",
        "x = [decimal(i * 7919 % 20011) for i in range({n})]",
        (1, 100, 20_000),
    ),
    Case("reversed", "reversed(x)", _ITEMS, _MANY),
    Case("range", "range({n})", "x = 1", _MANY),
    Case("enumerate", "enumerate(x)", _ITEMS, _MANY),
    Case("zip", "zip(x, x)", _ITEMS, _MANY),
    Case("zip", "zip(x, x, x, x, x, x, x, x)", _ITEMS, _MANY),
    Case("str", "str(x)", "x = 9223372036854775807"),
    Case("str", "str(x)", "x = 'abc'"),
    Case("str", "str(x)", _DECIMALS),
    Case("int", "int(x)", "x = '9223372036854775807'"),
    Case("int", "int(x)", "x = decimal('1234567890123456789.000000000000000000')"),
    Case("bool", "bool(x)"),
    Case("list", "list(x)", _ITEMS, _MANY),
    Case("list", "list(x)", "x = 'a' * {n}", _MANY),
    Case("dict", "dict(x)", _KEYS, (1, 1_000, 9_000)),
]

METHODS: Final = [
    Case("startswith endswith", "x.startswith(y)\n        x.endswith(y)", _TEXTS, _TEXT),
    Case("split", "x.split()", "x = 'ab ' * {n}", (1, 1_000, 19_000)),
    Case("split", "x.split(',')", "x = 'ab,' * {n}", (1, 1_000, 19_000)),
    Case("split", "x.split(',')", "x = 'a' * {n}", _TEXT),
    Case("split", "x.split()", "x = ' ' * {n}", _TEXT),
    Case("split", "x.split()", "x = '\u4e2d ' * {n}", (1, 1_000, 19_000)),
    Case("join", "','.join(x)", "x = ['ab'] * {n}", (1, 1_000, 20_000)),
    Case("strip", "x.strip()", "x = ' ' * {n}", _TEXT),
    Case("strip", "x.strip(y)", "x = 'a' * {n}\ny = 'bcdefghijka'", _TEXT),
    Case("strip", "x.strip(y)", "x = 'a' * {n}\ny = 'bc' * 1000 + 'a'", (1, 60, 4_000)),
    Case("replace", "x.replace('a', 'bb')", "x = 'a' * {n}", (1, 60, 4_000, 100_000)),
    Case("replace", "x.replace('ab', 'c')", "x = 'ab' * {n}", (1, 60, 4_000, 100_000)),
    Case("find", "x.find(y)", "x = 'a' * {n}\ny = 'b'", _TEXT),
    Case("find", "x.find(y)", "x = ('a' * {n}).encode()\ny = b'aab'", _TEXT),
    Case("lower upper", "x.lower()\n        x.upper()", "x = 'aB' * {n}", (1, 60, 4_000, 100_000)),
    Case(
        "lower upper",
        "x.lower()\n        x.upper()",
        "x = '\u4e2dB' * {n}",
        (1, 60, 4_000, 100_000),
    ),
    Case("encode", "x.encode()", "x = '\u4e2d' * {n}", (1, 60, 4_000, 80_000)),
    Case("hex", "x.hex()", "x = ('a' * {n}).encode()", (1, 60, 4_000, 100_000)),
    Case("append pop", "x.append(1)\n        x.pop()", "x = [1] * {n}", (1, 1_000, 19_000)),
    Case("extend", "x = []\n        x.extend(y)", "x = []\ny = [1] * {n}", _MANY),
    Case("insert", "x.insert(0, 1)\n        x.pop(0)", "x = [1] * {n}", (1, 1_000, 19_000)),
    Case("index", "x.index({n} - 1)", "x = range({n})", (1, 1_000, 20_000)),
    Case(
        "index",
        "x.index(y)",
        "x = ['a' * 60 + str(i) for i in range({n})]\ny = x[-1]",
        (1, 1_000, 9_000),
    ),
    Case("get", "x.get('a')", "x = {{'a': 1}}"),
    Case("get", "x.get(y, 5)", "x = {{'a': 1}}\ny = 'b'"),
    Case("get", "FLAT.get('a')"),
    Case("pop", "x['a'] = 1\n        x.pop('a')", "x = {{'a': 1}}"),
    Case("keys values", "x.keys()\n        x.values()", _KEYS, (1, 1_000, 9_000)),
    Case("items", "x.items()", _KEYS, (1, 1_000, 9_000)),
    Case("rounded", "x.rounded(9, 'half-even')", _DECIMALS),
    Case("rounded", "y.rounded(18, 'up')", _DECIMALS),
    Case("divided", "x.divided(z, 9, 'half-even')", _DECIMALS),
    Case("divided", "y.divided(3, 18, 'half-up')", _DECIMALS),
]

FORMS: Final = [
    Case("Record", "Visit(place='a')"),
    Case("Record", "Visit(place='a', until=x, note=None)"),
    Case("Record", "Wide()"),
    Case("Record", "Numbers(x=x)", _ITEMS, _MANY),
    Case("Record read", "Visit.read(x)", "x = {{'place': 'a', 'until': 5, 'note': None}}"),
    Case("Record read", "Wide.read(x)", "x = {{}}"),
    Case("Record read", "Numbers.read(x)", "x = {{'x': [1] * {n}}}", _MANY),
    Case(
        "Record read",
        "Stay.read(x)",
        "x = {{'visit': {{'place': 'a'}}, 'others': [{{'place': 'b'}}] * {n}, 'dose': '7.5'}}",
        (1, 100, 5_000),
    ),
    Case("Record read", "Doses.read(x)", "x = {{'x': ['12345.678'] * {n}}}", (1, 1_000, 20_000)),
    Case("changed", "changed(x, until=6)", "x = Visit(place='a')"),
    Case("changed", "changed(x, a0=6)", "x = Wide()"),
    Case("Record Eq", "x == y", "x = Visit(place='a')\ny = Visit(place='a')"),
    Case("Record Eq", "x == y", "x = Wide()\ny = Wide()"),
    Case(
        "Record In",
        "y in x",
        "x = [Visit(place='a')] * {n}\ny = Visit(place='b')",
        (1, 1_000, 20_000),
    ),
    Case("Record encode", "encode(x)", "x = [Visit(place='a')] * {n}", (1, 100, 5_000)),
    Case("Record encode", "encode(x)", "x = [Box(x=1)] * {n}", (1, 100, 10_000)),
    Case("Codes", "for y in Level: pass"),
    Case("Codes", "list(Level)"),
    Case("decimal", "decimal(x)", "x = '12345678901234567890.123456789012345678'"),
    Case("decimal", "decimal(x)", "x = '7'"),
    Case("decimal", "decimal(x)"),
    Case("decimal Add", "x + y", _DECIMALS),
    Case("decimal Sub", "x - 5", _DECIMALS),
    Case("decimal Mult", "z * z", _DECIMALS),
    Case("decimal Mult", "y * 3", _DECIMALS),
    Case("decimal UnaryOp", "-x", _DECIMALS),
    Case("decimal Lt", "x < y", _DECIMALS),
    Case("decimal Lt", "x < 5", _DECIMALS),
    Case("decimal Eq", "x == y", _DECIMALS),
    Case("decimal Eq", "x == 5", _DECIMALS),
    Case("decimal In", "5 in x", "x = [decimal('0.5')] * {n}", (1, 1_000, 20_000)),
    Case("decimal In", "y in x", "x = [5] * {n}\ny = decimal('0.5')", (1, 1_000, 20_000)),
    Case("decimal In", "'a' in x", "x = [decimal('0.5')] * {n}", (1, 1_000, 20_000)),
    Case("decimal Not", "not x", _DECIMALS),
    Case("decimal JoinedStr", "f'{{x}}'", _DECIMALS),
    Case("decimal encode", "encode(x)", "x = [decimal('5')] * {n}", (1, 100, 10_000)),
    Case(
        "decimal encode",
        "encode(x)",
        "x = [decimal('12345678901234567890.123456789012345678')] * {n}",
        (1, 100, 5_000),
    ),
]

HOST: Final = [
    Case("signers", "signers()"),
    Case(
        "caller height now transaction call_index chain",
        "caller()\n        height()\n        now()\n        transaction()\n        call_index()\n"
        "        chain()",
    ),
    Case("require", "require(x, 'no')"),
    Case("require", "require(x, 'no', f'{{x}}')"),
    Case("emit", "emit('seen', a=x)"),
    Case("emit", "emit('seen', a=x)", "x = 'a' * {n}", (1, 900)),
    Case("call", "call('d', 'answer', x=x)"),
    Case("call", "call('d', 'answer', x=x)", "x = 'a' * {n}", (1, 1_000, 100_000)),
    Case("call", "call('d', 'answer', x=x)", "x = [[1, 'a']] * {n}", (1, 100, 5_000)),
    Case("permits", "permits('rule', until=x, a=x)"),
    Case(
        "obliges limits denies forbids silent",
        "obliges('a')\n        limits('a')\n        denies('a')\n        forbids('a')\n"
        "        silent('a')",
    ),
    Case("digest", "digest(x)", "x = ('a' * {n}).encode()", _TEXT),
    Case("encode", "encode(x)", "x = {n}", (1, 2**40)),
    Case("encode", "encode(x)", "x = 'a' * {n}", (1, 4_000, 250_000)),
    Case("encode", "encode(x)", "x = [1] * {n}", _MANY),
    Case("encode", "encode(x)", "x = [None] * {n}", _MANY),
    Case("encode", "encode(x)", "x = [[]] * {n}", _MANY),
    Case("encode", "encode(x)", "x = [{{}}] * {n}", _MANY),
    Case("encode", "encode(x)", _KEYS, (1, 1_000, 9_000)),
    Case(
        "encode",
        "encode(x)",
        "x = {{str(i * 7919 % 20011): i for i in range({n})}}",
        (1, 1_000, 9_000),
    ),
    Case("from_hex", "from_hex(x)", "x = 'ab' * {n}", (1, 60, 4_000, 100_000)),
    Case("merkle_root", "merkle_root(b'a', 0, 2, [x])", "x = digest(b'a')"),
    Case("merkle_root", "merkle_root(b'a', 0, 1000000, [x] * 20)", "x = digest(b'a')"),
    Case("verify_signature", "verify_signature(KEY, MESSAGE, SIGNATURE)"),
    Case("commitment", "commitment(b'a' * 16, x)", "x = 'a' * {n}", (1, 4_000, 200_000)),
    Case("minutes hours days", "minutes(x)\n        hours(x)\n        days(x)"),
    Case("date", "date(2026, 2, 28)"),
    Case(
        "year_of month_of day_of",
        "year_of(x)\n        month_of(x)\n        day_of(x)",
        "x = 1772208000000",
    ),
    Case("age", "age(x, 1772208000000)"),
    Case("add_months", "add_months(x, 13)"),
    Case("Map get", "m.get('a')", "m['a'] = 1"),
    Case("Map get", "m.get(('a', 5, 'b'))"),
    Case("Map get", "m.get('a')", "m['a'] = 'a' * {n}", (1, 4_000, 250_000)),
    Case("Map get", "m.get('a')", "m['a'] = [[1, 'a']] * {n}", (1, 100, 10_000)),
    Case("Map Subscript", "m['a']", "m['a'] = [[]] * {n}", (1, 100, 20_000)),
    Case(
        "Map Subscript", "m['a']", "m['a'] = {{str(i): None for i in range({n})}}", (1, 100, 9_000)
    ),
    Case("Map In", "'a' in m"),
    Case("Map set", "m['a'] = x"),
    Case("Map set", "m['a'] = x", "x = 'a' * {n}", (1, 4_000, 250_000)),
    Case("Map set", "m['a'] = x", "x = [[]] * {n}", (1, 100, 20_000)),
    Case("Map del", "m['a'] = x\n        del m['a']"),
    Case("Map add", "m['a'] += 1", "m['a'] = 1"),
    Case("Value set get", "v.set(x)\n        v.get()"),
    Case("paused offers", "paused('d')\n        offers('d', 'answer')"),
    Case("begin", "begin('d', {{}})"),
    Case("examine", "y += 1\n        examine(x + str(y))", _SOURCE, (1, 100, 2_000)),
    Case("examine", "y += 1\n        examine(x + str(y))", "x = ')' * {n}\ny = 0", (1, 1_000)),
    Case("fail", "nothing() if x else fail('no')"),
]

GROUPS: Final = {
    "statements": STATEMENTS,
    "expressions": EXPRESSIONS,
    "builtins": BUILTINS,
    "methods": METHODS,
    "records, codes, decimals": FORMS,
    "host": HOST,
}
