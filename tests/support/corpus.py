"""Programs that the contract language is measured on."""

from __future__ import annotations

from typing import Any, Final

#: Bodies of a method ``go(a: int)`` that the checker refuses.
REFUSED: Final[dict[str, str]] = {
    "class walk": "return ().__class__.__bases__[0].__subclasses__()",
    "globals walk": "return signers.__globals__",
    "method walk": "return [].append.__self__",
    "format walk": "return '{0.__class__}'.format(a)",
    "format_map walk": "return '{a}'.format_map({'a': 1})",
    "f-string attribute": "return f'{a.__class__}'",
    "f-string width": "return f'{a:>100000000}'",
    "f-string nested width": "return f'{a:>{10 ** 9}}'",
    "f-string repr": "return f'{a!r}'",
    "generator frame": "return (x for x in [1]).gi_frame",
    "generator code": "return (x for x in [1]).gi_code",
    "coroutine frame": "async def g(): pass\n    return g().cr_frame",
    "traceback": "try:\n        1\n    except Exception as e:\n        return e.__traceback__",
    "context of an exception": "try:\n        1\n    except Exception as e:\n        e.__context__",
    "bare except": "while True:\n        try:\n            1\n        except:\n            pass",
    "exception group": "try:\n        1\n    except* ValueError:\n        pass",
    "finally": "try:\n        return 1\n    finally:\n        pass",
    "raise": "raise SystemExit",
    "builtins": "return __builtins__['eval']",
    "import": "import os",
    "dunder import": "return __import__('os')",
    "from import": "from os import system",
    "getattr": "return getattr(a, '__class__')",
    "setattr": "setattr(a, 'x', 1)",
    "type": "return type(a)",
    "type of three": "return type('X', (), {})",
    "eval": "return eval('1')",
    "exec": "exec('1')",
    "compile": "return compile('1', '', 'eval')",
    "open": "return open('/etc/passwd').read()",
    "print": "print(a)",
    "input": "return input()",
    "vars": "return vars()",
    "locals": "return locals()",
    "globals": "return globals()",
    "dir": "return dir(a)",
    "hash": "return hash('a')",
    "id": "return id(a)",
    "repr": "return repr(a)",
    "set order": "return list({'a', 'b', 'c'})",
    "set call": "return list(set(['a', 'b']))",
    "frozenset": "return frozenset([1])",
    "float literal": "return 0.1 + 0.2",
    "float call": "return float('nan')",
    "division": "return 1 / 3",
    "complex": "return 1j",
    "power": "return 7 ** 10 ** 7",
    "pow": "return pow(7, 10, 3)",
    "shift": "return 1 << 10 ** 9",
    "in-place power": "a **= 99999",
    "map": "return list(map(len, ['a']))",
    "filter": "return list(filter(None, [1]))",
    "iter": "return iter([1])",
    "next": "return next([1])",
    "lambda": "return (lambda: 1)()",
    "default argument of lambda": "return (lambda x=a: x)()",
    "class": "class A:\n        pass",
    "metaclass": "class A(metaclass=type):\n        pass",
    "init subclass": "class A:\n        def __init_subclass__(cls): pass",
    "nested function": "def g():\n        return a",
    "decorator": "@a\n    def g():\n        return 1",
    "match": "match a:\n        case object(__class__=c):\n            return c",
    "walrus out of a comprehension": "return [(b := x) for x in [1]]",
    "star argument": "return max(*[1, 2])",
    "double star argument": "return emit('x', **{'a': 1})",
    "global": "global b\n    b = 1",
    "nonlocal": "nonlocal a",
    "yield": "yield 1",
    "await": "await a",
    "with": "with a:\n        pass",
    "percent format": "return ('%100000000d' % 1).__len__()",
    "bytes constructor": "return bytes(10 ** 9)",
    "bytearray": "return bytearray(10)",
    "memoryview": "return memoryview(b'a')",
    "object": "return object()",
    "super": "return super()",
    "isinstance": "return isinstance(a, int)",
    "str attribute": "return str.join",
    "dict.fromkeys": "return dict.fromkeys(['a'])",
    "int.from_bytes": "return int.from_bytes(b'a')",
    "str.maketrans": "return str.maketrans('a', 'b')",
    "name that folds to another": "ｌｅｎ = 1",
    "dotless i": "ı = 1",
    "invisible character": "a\u200b = 1",
    "right to left": "x = 'a' # \u202e ' rof",
    "string with an escape by name": "return '\\N{LATIN SMALL LETTER A}'",
    "lone surrogate": "return '\\ud800'",
    "f-string that is one on 3.12 only": "return f'{'a'}'",
    "f-string with a comment": "return f'{a # comment\n}'",
    "type alias": "type X = int",
    "generic function": "def g[T](x: T): pass",
    "ellipsis": "return ...",
    "matrix product": "return a @ a",
    "positional only": "return go(a=1, b=2)",
    "deletion of a name": "del a",
    "assignment to a function": "go = 1\n    return go(1)",
    "huge literal": "return " + "9" * 100_000,
    "deep brackets": "return " + "[" * 5_000 + "]" * 5_000,
    "deep subscripts": "return a" + "[0]" * 5_000,
    "deep operators": "return " + "-" * 60_000 + "1",
    "long sum": "return " + "+".join(["1"] * 20_000),
}

#: Bodies that pass the checker and have to end by themselves or by their gas.
RUNNING: Final[dict[str, str]] = {
    "endless loop": "while True:\n    pass",
    "endless list": "x = [1]\nfor y in x:\n    x.append(y)",
    "endless nesting": "x = []\nwhile True:\n    x = [x]",
    "doubling text": "x = 'a'\nwhile True:\n    x = x + x",
    "doubling list": "x = [1]\nwhile True:\n    x = x + x",
    "doubling in place": "x = [1]\nwhile True:\n    x += x",
    "tuples of tuples": "x = (1,)\nwhile True:\n    x = (x, x)",
    "many texts": "x = []\nwhile True:\n    x.append('a' * 262144)",
    "many wide texts": "x = []\nwhile True:\n    x.append('\U0001f600' * 262144)",
    "many lists": "x = []\nwhile True:\n    x.append([0] * 20000)",
    "many ranges": "x = []\nwhile True:\n    x.append(range(20000))",
    "many dicts": "x = []\nwhile True:\n    x.append({str(i): i for i in range(20000)})",
    "many small dicts": "x = []\nwhile True:\n    x.append({'a': {}, 'b': {}, 'c': {}})",
    "many splits": "x = []\ns = 'a,' * 19999\nwhile True:\n    x.append(s.split(','))",
    "many blanks": "x = []\ns = 'a ' * 19999\nwhile True:\n    x.append(s.split())",
    "many zips": "x = []\ns = range(20000)\nwhile True:\n    x.append(zip(s, s))",
    "many enumerations": "x = []\ns = range(20000)\nwhile True:\n    x.append(enumerate(s))",
    "many characters": "x = []\ns = 'ab' * 10000\nwhile True:\n    x.append(list(s))",
    "many copies": "x = []\ns = [0] * 20000\nwhile True:\n    x.append(s[:])",
    "many encodings": "x = []\ns = [0] * 20000\nwhile True:\n    x.append(encode(s))",
    "many hex texts": "x = []\ns = ('a' * 131072).encode()\nwhile True:\n    x.append(s.hex())",
    "shared bomb encoded": "x = []\nfor i in range(15):\n    x = [x] * 100\nreturn encode(x)",
    "shared bomb compared": (
        "x = y = 1\nfor i in range(15):\n    x = [x] * 99\n    y = [y] * 99\nreturn x == y"
    ),
    "shared bomb in a dict": (
        "x = {}\nfor i in range(15):\n    x = {str(k): x for k in range(99)}\nreturn x"
    ),
    "shared bomb found": (
        "x = y = 1\nfor i in range(15):\n    x = [x] * 99\n    y = [y] * 99\nreturn [x].index(y)"
    ),
    "long texts compared": "x = 'a' * 200000\ny = 'a' * 200000\nwhile x == y:\n    pass",
    "long texts in a list": (
        "x = ['a' * 200000 + 'b'] * 20000\ny = 'a' * 200000 + 'c'\nwhile y not in x:\n    pass"
    ),
    "long texts ordered": "x = 'a' * 200000\ny = 'a' * 200000\nwhile x <= y:\n    pass",
    "long texts sorted": "x = ['a' * 200000] * 20000\nreturn sorted(x)",
    "sorting for ever": "x = [i * 7919 % 20011 for i in range(20000)]\nwhile True:\n    sorted(x)",
    "tuples sorted": "x = [(1, 2, 3, -i) for i in range(20000)]\nwhile True:\n    sorted(x)",
    "counting for ever": "x = range(20000)\nwhile True:\n    sum(x) + max(x) + min(x)",
    "hard search": "x = 'a' * 29999\ny = 'a' * 98 + 'b'\nwhile y not in x:\n    pass",
    "hard search both ways": "x = 'a' * 200000\ny = 'b' + 'a' * 90\nwhile x.find(y) < 0:\n    pass",
    "long search": "x = 'ab' * 100000\ny = 'ab' * 50000 + 'b'\nwhile y not in x:\n    pass",
    "many matches": "x = 'a' * 200000\nwhile True:\n    x.replace('a', 'b')",
    "growing matches": "x = 'a' * 60000\nwhile True:\n    x.replace('a', 'bbbb')",
    "replace bomb": "x = 'a' * 60000\nreturn x.replace('a', 'b' * 60000)",
    "join bomb": "return ('a' * 60000).join(['b'] * 20000)",
    "repeat bomb": "return 'a' * 9223372036854775807",
    "list repeat bomb": "return [0] * 9223372036854775807",
    "f-string bomb": "x = 'a' * 200000\nreturn f'{x}{x}{x}{x}{x}{x}{x}'",
    "strip bomb": (
        "x = 'a' * 200000\ny = 'bcdefghijklm' * 20000 + 'a'\nwhile True:\n    x.strip(y)"
    ),
    "upper for ever": "x = '\u0130' * 200000\nwhile True:\n    x.upper()",
    "hashing for ever": "x = ('a' * 200000).encode()\nwhile True:\n    digest(x)",
    "signatures for ever": (
        f"k = '01' + '{'11' * 32}'\ns = ('a' * 64).encode()\n"
        "while True:\n    verify_signature(k, s, s)"
    ),
    "front insertion": "x = [0] * 19990\nwhile True:\n    x.insert(0, 1)\n    x.pop(0)",
    "front deletion": "x = [0] * 19990\nwhile True:\n    del x[0]\n    x.append(1)",
    "searching a list": "x = range(20000)\nwhile True:\n    x.index(19999)",
    "unequal search": "x = [[i] for i in range(20000)]\nwhile True:\n    [-1] in x",
    "deep list dropped": "x = []\nfor i in range(20000):\n    x = [x]\nx = 0\nreturn x",
    "self-containing list": "x = []\nx.append(x)\nreturn encode(x)",
    "self-containing dict": "x = {}\nx['a'] = x\nreturn x == {'a': x}",
    "long keys": "x = {}\nwhile True:\n    x['a' * 2000] = 1",
    "long key looked up": "x = {'a': 1}\nk = 'a' * 200000\nwhile k not in x:\n    pass",
    "many keys": "x = {}\ni = 0\nwhile True:\n    x[str(i)] = i\n    i += 1",
    "integer growth": "x = 3\nwhile True:\n    x = x * x",
    "smallest integer": "x = -9223372036854775807 - 1\nreturn x // -1",
    "long number read": "return int('9' * 200000)",
    "range of everything": "return len(range(-9223372036854775808, 9223372036854775807))",
    "events for ever": "while True:\n    emit('x', a='y' * 1000)",
    "event bomb": "x = 'a' * 200000\nwhile True:\n    emit('x', a=[x] * 20000)",
    "nested comprehension": "return [1 for a in range(20000) for b in range(20000) if a < 0]",
    "wide comprehension": "return [1 for a in range(20000) for b in range(2)]",
    "negative slices": "x = 'a' * 200000\nwhile True:\n    x[-9223372036854775808:]",
}

#: Values and what can be done with two of them, ``x`` and ``y``.
VALUES: Final[list[Any]] = [
    0, 1, -3, True, False, None, "", "ab", "b", b"", b"ab", [], [1, 2], ["ab", "b"], [[1], [1]],
    {}, {"ab": 1}, (1, 2), ("a", 1),
]  # fmt: skip
OPERATIONS: Final[list[str]] = [
    "x + y", "x - y", "x * y", "x // y", "x % y", "x == y", "x != y", "x < y", "x <= y", "x > y",
    "x >= y", "x in y", "x not in y", "x and y", "x or y", "not x", "-x", "x[y]", "x[y:]",
    "x[:y]", "x is None", "x is True", "len(x)", "abs(x)", "sum(x)", "sorted(x)", "min(x)",
    "max(x, y)", "str(x)", "bool(x)", "list(x)", "dict(x)", "all(x)", "any(x)", "reversed(x)",
    "[z for z in x]", "[[z, w] for z, w in x]", "x.get(y)", "x.get(y, 5)", "x.split(y)",
    "x.join(y)", "x.find(y)", "x.startswith(y)", "x.endswith(y)", "x.index(y)", "x.hex()",
    "x.encode()", "x.strip(y)", "x.pop()", "x.pop(y)", "x.lower()", "x.upper()",
    "enumerate(x)", "zip(x, y)", "range(x)", "range(x, y)", "f'{x}{y}'", "x if y else 0",
    "x < y < x", "x == y == x", "(x, y)[0]", "{'k': x}['k']", "[x, y] == [y, x]",
    "(x, y) == (y, x)", "x == 1", "x != 'ab'", "x in (1, 'ab')", "x in ['b', 'ab']", "x > 1",
]  # fmt: skip

#: Records, an enumeration and decimals, that `FORMED` uses.
FORMS: Final = """
class Level(Codes):
    N = "normal"
    R = "restricted"

class Visit(Record):
    place: str
    until: int = days(1)
    level: str = Level.N

class Stay(Record):
    visit: Visit | None
    others: list[Visit]
    dose: decimal = decimal("0.10")

STAY = {"visit": {"place": "a"}, "others": [{"place": "b", "until": 5}], "dose": "7.250"}
BAD = {"visit": {"place": 1}, "others": []}
NUMBERS = ["0", "7", "-7.50", "0.125", "2.5", "-0.000000000000000001", "99999999999999999999"]
MODES = ["half-even", "half-up", "down", "up", "floor", "ceiling"]
"""

#: Expressions of functions that only compute.
COMPUTED: Final[list[str]] = [
    "[days(3), hours(-5), minutes(90)]",
    "days(200_000_000_000)",
    "[date(y, m, 1) for y in [1, 1582, 1900, 1970, 2000, 2026, 2100, 9999] for m in range(1, 13)]",
    "[date(2024, 2, 29), date(2026, 7, 4, 0), date(2026, 7, 4, hours(-11))]",
    "date(2026, 2, 29)",
    "date(10_000, 1, 1)",
    "[[year_of(t * days(97)), month_of(t * days(97)), day_of(t * days(97))] for t in range(500)]",
    "[year_of(-days(t * 367) - 1, hours(-3)) for t in range(500)]",
    "[age(date(2008, 2, 29), date(y, m, d)) for y in [2025, 2026, 2028] for m in [2, 3] "
    "for d in [1, 28]]",
    "age(days(1), days(-800))",
    "[add_months(date(2024, 1, 31) + 7, m) for m in range(-30, 30)]",
    "add_months(0, 9_000_000_000_000_000_000)",
    "year_of(9_000_000_000_000_000_000)",
]

#: Expressions of records, enumerations and decimals, after `FORMS`.
FORMED: Final[list[str]] = [
    "Visit(place='a')",
    "[Visit(place='a') == Visit(until=days(1), place='a'), Visit(place='a') == {'place': 'a'}]",
    "Visit(place=5)",
    "[Stay.read(STAY), Stay.read(STAY).others[0].until, changed(Stay.read(STAY), visit=None)]",
    "Stay.read(BAD)",
    "Visit.read({'place': 'a', 'more': 1})",
    "Visit.read({})",
    "[Visit.read(x) for x in [STAY['visit']] * 300]",
    "Stay.read(STAY).place",
    "encode(Stay.read(STAY))",
    "['normal' in Level, 'x' in Level, list(Level), Level.R, [len(c) for c in Level]]",
    "[decimal(a) + decimal(b) for a in NUMBERS[:6] for b in NUMBERS[:6]]",
    "[decimal(a) - decimal(b) * 3 for a in NUMBERS[:6] for b in NUMBERS[:6]]",
    "[decimal(a) * decimal(b) for a in NUMBERS[:4] for b in NUMBERS[:4]]",
    "[decimal(a).rounded(p, m) for a in NUMBERS for p in [0, 1, 3] for m in MODES]",
    "[decimal(a).divided(7, p, m) for a in NUMBERS for p in [0, 2, 18] for m in MODES]",
    "[decimal(a) < decimal(b) for a in NUMBERS for b in NUMBERS]",
    "[decimal(a) == 7 for a in NUMBERS]",
    "[sum([decimal(a) for a in NUMBERS[:6]]), max([decimal(a) for a in NUMBERS])]",
    "sorted([decimal(a) for a in NUMBERS])",
    "decimal('9' * 20) + 1",
    "decimal('0.000000000000000001') * decimal('0.1')",
    "decimal('1e999999999')",
    "decimal('7').divided(decimal('0.00'), 2, 'down')",
]
