from __future__ import annotations

import pytest

from tests.support.language import Bench, error_of, run, value_of

MIN = -(2**63)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("-7 // 2", -4),
        ("7 // -2", -4),
        ("-7 % 3", 2),
        ("7 % -3", -2),
        ("-(-5)", 5),
        ("-9223372036854775808", MIN),
        ("0xff", 255),
        ("'ab' + 'cd'", "abcd"),
        ("b'ab' + b'\\x00'", b"ab\x00"),
        ("'ab' * 3", "ababab"),
        ("3 * 'ab'", "ababab"),
        ("'ab' * -1", ""),
        ("[1] + [2, 3]", [1, 2, 3]),
        ("[0] * 3", [0, 0, 0]),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("3 > 2 >= 2 != 1", True),
        ("1 == True", True),
        ("0 == False", True),
        ("'1' == 1", False),
        ("[1, [True]] == [True, [1]]", True),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
        ("b'a' == 'a'", False),
        ("None == False", False),
        ("None is None", True),
        ("1 in [0, True]", True),
        ("'b' in 'abc'", True),
        ("'' in 'abc'", True),
        ("b'b' in b'abc'", True),
        ("'a' in {'a': 1}", True),
        ("[1] in [[1]]", True),
        ("'x' not in ['y', 'z']", True),
        ("0 or 'x'", "x"),
        ("0 and 'x'", 0),
        ("'' or [] or 0", 0),
        ("1 and 2 and 3", 3),
        ("not []", True),
        ("1 if [] else 2", 2),
        ("'abc'[0] + 'abc'[-1]", "ac"),
        ("b'abc'[1]", 98),
        ("'abcdef'[1:3] + 'abcdef'[-2:]", "bcef"),
        ("[1, 2, 3][5:]", []),
        ("(1, 2)[1]", 2),
        ("{'a': {'b': [7]}}['a']['b'][0]", 7),
        ("f'{1}-{True}-{\"x\"}'", "1-True-x"),
        ("f'{{{1 + 1}}}'", "{2}"),
        ("[x * x for x in range(4) if x % 2 == 1]", [1, 9]),
        ("[x + y for x in [1, 2] for y in [10, 20] if x + y != 21]", [11, 12, 22]),
        ("{k: len(k) for k in ['a', 'bb']}", {"a": 1, "bb": 2}),
        ("[i for i, j in enumerate('ab', 1) if j == 'b']", [2]),
        ("[a + c for a, (b, c) in [(1, (2, 3))]]", [4]),
        ("'é中'.encode()", "é中".encode()),
        ("b'\\xff\\x01'.hex()", "ff01"),
        ("'A,b,,c'.split(',')", ["A", "b", "", "c"]),
        ("'  a \\t b\\n'.split()", ["a", "b"]),
        ("'-'.join(['a', 'b'])", "a-b"),
        ("'xxabxx'.strip('x')", "ab"),
        ("' a '.strip()", "a"),
        ("'aXbX'.replace('X', '--')", "a--b--"),
        ("'hello'.find('l')", 2),
        ("'hello'.find('z')", -1),
        ("'hello'.startswith('he')", True),
        ("'hello'.endswith('he')", False),
        ("'AbÉ'.lower()", "abÉ"),
        ("'abé'.upper()", "ABé"),
        ("len('中文')", 2),
        ("len({'a': 1})", 1),
        ("sorted([3, 1, 2])", [1, 2, 3]),
        ("sorted(['b', 'a'], reverse=True)", ["b", "a"]),
        ("sorted({'b': 1, 'a': 2})", ["a", "b"]),
        ("[b for a, b in sorted([(2, 'x'), (1, 'z'), (1, 'y')])]", ["y", "z", "x"]),
        ("min(3, 1, 2)", 1),
        ("max(['a', 'b'])", "b"),
        ("sum([1, 2, 3])", 6),
        ("sum([])", 0),
        ("abs(-3)", 3),
        ("any([0, '', 3])", True),
        ("all([])", True),
        ("range(3)", [0, 1, 2]),
        ("range(5, 0, -2)", [5, 3, 1]),
        ("reversed([1, 2])", [2, 1]),
        ("[[a, b] for a, b in zip([1, 2, 3], 'ab')]", [[1, "a"], [2, "b"]]),
        ("list('ab')", ["a", "b"]),
        ("list({'k': 1})", ["k"]),
        ("dict({'k': 1})", {"k": 1}),
        ("str(-5) + str(True) + str('x')", "-5Truex"),
        ("int('-0012')", -12),
        ("int(True)", 1),
        ("bool('') or bool('x')", True),
        ("{'a': 1}.get('a') + {}.get('b', 2)", 3),
        ("[[k, v] for k, v in {'b': 1, 'a': 2}.items()]", [["b", 1], ["a", 2]]),
        ("{'b': 1, 'a': 2}.keys()", ["b", "a"]),
        ("{'b': 1, 'a': 2}.values()", [1, 2]),
        ("[5, 6, 7].index(6)", 1),
        ("{'a': 1}.pop('b', None)", None),
    ],
)
def test_an_expression_has_the_value_that_python_gives_it(expression: str, value: object) -> None:
    found = value_of(expression)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("return 9223372036854775807 + 1", "overflow"),
        ("return -9223372036854775808 - 1", "overflow"),
        ("return 9223372036854775807 * 2", "overflow"),
        ("return -9223372036854775808 // -1", "overflow"),
        ("x = -9223372036854775808\nreturn -x", "overflow"),
        ("x = -9223372036854775808\nreturn abs(x)", "overflow"),
        ("return sum([9223372036854775807, 1])", "overflow"),
        ("return int('9223372036854775808')", "overflow"),
        ("return 1 // 0", "value_error"),
        ("return 1 % 0", "value_error"),
        ("return 1 + 'a'", "type_error"),
        ("return True + 1", "type_error"),
        ("x = True\nreturn -x", "type_error"),
        ("return '%s' % 'a'", "type_error"),
        ("return 1 < 'a'", "type_error"),
        ("return [1] < [2]", "type_error"),
        ("return True < 2", "type_error"),
        ("return None + None", "type_error"),
        ("return 1[0]", "type_error"),
        ("return [1]['0']", "type_error"),
        ("return [1][True]", "type_error"),
        ("return [1][1]", "index_error"),
        ("return [][-1]", "index_error"),
        ("return {'a': 1}['b']", "missing_key"),
        ("return {'a': 1}[1]", "type_error"),
        ("return {1: 2}", "type_error"),
        ("return 1 in {'a': 1}", "type_error"),
        ("return 1 in 'abc'", "type_error"),
        ("return 1 in 5", "type_error"),
        ("return 'abc'['a':]", "type_error"),
        ("return f'{None}'", "type_error"),
        ("return f'{[1]}'", "type_error"),
        ("return str(None)", "type_error"),
        ("return str([1])", "type_error"),
        ("return str(b'a')", "type_error"),
        ("return int(' 5')", "value_error"),
        ("return int('+5')", "value_error"),
        ("return int('1_0')", "value_error"),
        ("return int('٣')", "value_error"),
        ("return int('')", "value_error"),
        ("return int(None)", "type_error"),
        ("return sorted([1, 'a'])", "type_error"),
        ("return sorted([[1], [2]])", "type_error"),
        ("return sorted([True, False])", "type_error"),
        ("return sorted([(1, 'a'), (1, 2)])", "type_error"),
        ("return sorted([1], reverse=1)", "type_error"),
        ("return min([])", "value_error"),
        ("return max(1, 'a')", "type_error"),
        ("return sum(['a'])", "type_error"),
        ("return sum([True])", "type_error"),
        ("return range(1, 2, 0)", "value_error"),
        ("return range('a')", "type_error"),
        ("return range(20001)", "too_large"),
        ("return range(-9223372036854775808, 9223372036854775807)", "too_large"),
        ("for i in range(20001):\n    pass", "too_large"),
        ("return 'a' * 262145", "too_large"),
        ("return [0] * 20001", "too_large"),
        ("return 'a'.split('')", "value_error"),
        ("return 'a'.replace('', 'b')", "value_error"),
        ("return ','.join([1])", "type_error"),
        ("return 'a'.startswith(1)", "type_error"),
        ("return [1].lower()", "type_error"),
        ("return 'a'.append(1)", "type_error"),
        ("return [1].pop(5)", "index_error"),
        ("return [].pop()", "index_error"),
        ("return {}.pop('a')", "missing_key"),
        ("return {}.pop()", "type_error"),
        ("return [1].index(2)", "value_error"),
        ("a, b = [1, 2, 3]", "value_error"),
        ("a, b = 'ab'", "type_error"),
        ("for x in 5:\n    pass", "type_error"),
        ("for x in None:\n    pass", "type_error"),
        ("x = [1]\nx[3] = 1", "index_error"),
        ("x = 'abc'\nx[0] = 'd'", "type_error"),
        ("x = (1, 2)\nx[0] = 3", "type_error"),
        ("x = {}\ndel x['a']", "missing_key"),
        ("x = []\ndel x[0]", "index_error"),
        ("if x > 1:\n    y = 1\nreturn y", "name_error"),
        ("return [y for y in range(2) if z]\nz = 1", "name_error"),
        ("return (1, 2)", "type_error"),
        ("x = {}\nx['a' * 1025] = 1", "too_large"),
        ("while True:\n    pass", "out_of_gas"),
    ],
)
def test_a_mistake_ends_the_call_with_a_stable_code(statement: str, code: str) -> None:
    result = run(statement, x=0) if "x >" in statement else run(statement)
    assert (result.error.partition(":")[0] or "ok") == code


def test_the_failure_says_where_it_happened() -> None:
    result = run("x = 1\nif x == 1:\n    return [][0]\nreturn 0")
    assert result.error == "index_error: an index outside the sequence (c:6)"


def test_a_list_grows_under_a_loop_and_a_dict_does_not() -> None:
    grown = run("xs = [1]\nfor x in xs:\n    if x < 5:\n        xs.append(x + 1)\nreturn xs")
    assert grown.value == [1, 2, 3, 4, 5]
    kept = run("d = {'a': 1}\nfor k in d:\n    d[k + 'a'] = 2\nreturn len(d)")
    assert kept.value == 2


def test_a_list_in_itself_is_harmless() -> None:
    assert error_of("a = []\na.append(a)\nreturn a") == "too_deep"
    assert error_of("a = []\na.append(a)\nb = []\nb.append(b)\nreturn a == b") == "too_deep"
    assert run("a = []\na.append(a)\nreturn a == a and len(a) == 1 and a in a").value is True


def test_values_of_sixteen_levels_can_be_returned_and_of_seventeen_not() -> None:
    body = "x = []\nfor i in range({}):\n    x = [x]\nreturn x"
    assert run(body.format(15)).ok
    assert error_of(body.format(16)) == "too_deep"


def test_an_augmented_list_is_changed_in_place() -> None:
    assert run("a = [1]\nb = a\nb += [2]\nb *= 2\nreturn a").value == [1, 2, 1, 2]
    assert run("a = 'x'\nb = a\nb += 'y'\nreturn [a, b]").value == ["x", "xy"]


def test_assignments_evaluate_the_value_first_then_the_targets_in_order() -> None:
    assert run(
        "d = {}\nx = d['a'] = 5\ni = 0\nl = [0, 0]\ni, l[i] = 1, 9\nreturn [x, d, l]"
    ).value == [
        5,
        {"a": 5},
        [0, 9],
    ]


def test_the_variable_of_a_comprehension_hides_the_one_outside() -> None:
    assert run("x = 7\ny = [x for x in [1, 2]]\nreturn [x, y]").value == [7, [1, 2]]


def test_constants_of_the_module_cannot_be_changed_by_a_call() -> None:
    bench = Bench(
        c="""
FLAT = [1, 2]
DEEP = {"a": [1], "b": {"c": [2]}}

@export
def change() -> list:
    x = FLAT
    x.append(3)
    y = DEEP["a"]
    y.append(4)
    DEEP["b"]["c"].append(5)
    for item in DEEP.values():
        item
    z = DEEP.get("a")
    z.append(6)
    for v in [DEEP]:
        v["a"] = 0
    FLAT.append(9)
    return [FLAT, DEEP, x, y, len(FLAT), 1 in FLAT, [i for i in FLAT]]
"""
    )
    expected = [
        [1, 2],
        {"a": [1], "b": {"c": [2]}},
        [1, 2, 3],
        [1, 4],
        2,
        True,
        [1, 2],
    ]
    for _ in range(2):
        assert bench.call("change").value == expected


def test_the_default_of_a_parameter_is_fresh_in_each_call() -> None:
    bench = Bench(
        c="""
def grow(x: int, items: list = []) -> list:
    items.append(x)
    return items

@export
def twice(more: list = [0]) -> list:
    more.append(1)
    return [grow(1), grow(2), grow(items=[7], x=3), more]
"""
    )
    for _ in range(2):
        assert bench.call("twice").value == [[1], [2], [7, 3], [0, 1]]


def test_and_and_or_stop_as_soon_as_they_know() -> None:
    assert run("return [] and 1 // 0 or 'end'").value == "end"
    assert run("return 1 or 1 // 0").value == 1
    assert run("return 3 < 2 < 1 // 0").value is False


def test_loops_break_continue_and_return_like_python() -> None:
    body = """
out = []
for i in range(10):
    if i % 2 == 0:
        continue
    j = 0
    while True:
        j += 1
        if j > i:
            break
        if j == 5:
            return out
    out.append(i * 10 + j)
return "never"
"""
    assert run(body).value == [12, 34]
