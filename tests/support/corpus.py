"""Programs that the contract language is measured on."""

from __future__ import annotations

from typing import Any, Final

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
