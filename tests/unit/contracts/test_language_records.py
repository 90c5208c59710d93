"""Records and enumerations: what they are inside a contract, and what of them leaves it."""

from __future__ import annotations

import pytest

from ledger.contracts.checker import check
from tests.support.language import COMPUTE, IMPORT, Bench, error_of, run, value_of

TOP = (
    COMPUTE
    + '''
class Level(Codes):
    """How confidential a record is."""

    N = "normal"
    R = "restricted"
    V = "very-restricted"

class Visit(Record):
    """A visit."""

    institution: str
    until: int = days(1)
    level: str = Level.N
    note: str | None = None

class Stay(Record):
    visit: Visit
    others: list[Visit]
    named: dict[str, Visit]
    dose: decimal
    tags: list[str]

OPEN = [Level.N, Level.R]
'''
)
VISIT = 'Visit(institution="A", until=7)'
STAY = (
    f'Stay(visit={VISIT}, others=[{VISIT}], named={{"b": {VISIT}}}, dose=decimal("7.250"), '
    'tags=["x"])'
)
PLAIN_VISIT = {"institution": "A", "until": 7, "level": "normal", "note": None}
PLAIN_STAY = {
    "visit": PLAIN_VISIT,
    "others": [PLAIN_VISIT],
    "named": {"b": PLAIN_VISIT},
    "dose": "7.250",
    "tags": ["x"],
}


def test_the_fields_of_a_record_are_read_by_name() -> None:
    assert value_of(f"{VISIT}.institution", top=TOP) == "A"
    assert value_of('Visit(institution="A").until', top=TOP) == 86_400_000
    assert value_of(f"{STAY}.others[0].until + {STAY}.named['b'].until", top=TOP) == 14
    assert value_of(f"[v.until for v in {STAY}.others]", top=TOP) == [7]
    assert run(f"v = {VISIT}\nreturn f'{{v.institution}}-{{v.until}}'", top=TOP).value == "A-7"


def test_outside_the_contract_a_record_is_the_dict_of_its_fields() -> None:
    assert value_of(VISIT, top=TOP) == PLAIN_VISIT
    assert value_of(f"[{STAY}, 1]", top=TOP) == [PLAIN_STAY, 1]
    assert value_of(f"encode({STAY})", top=TOP) == value_of("encode(x)", x=PLAIN_STAY)


def test_a_record_goes_into_the_state_and_comes_back_by_being_read() -> None:
    bench = Bench(
        c=TOP + 'stays = Map("stays")\n'
        "@export\ndef put() -> None:\n"
        f'    stays["a"] = {STAY}\n    emit("put", stay={STAY})\n'
        "@query\ndef raw() -> dict:\n    return stays['a']\n"
        "@query\ndef same() -> bool:\n"
        f"    return Stay.read(stays['a']) == {STAY} and stays['a'] != {STAY}\n"
        "@query\ndef next_visit(visit: Visit, dose: decimal) -> Visit:\n"
        "    return changed(visit, until=visit.until + int(dose * 2), note=str(dose))\n",
        d='@query\ndef far() -> dict:\n    return call("c", "raw")\n'
        "@query\ndef typed(visit: object, dose: object) -> object:\n"
        '    return call("c", "next_visit", visit=visit, dose=dose)\n',
    )
    put = bench.call("put")
    assert put.ok, put.error
    assert put.events[0].fields == {"stay": PLAIN_STAY}
    assert bench.query("raw").value == bench.query("far", "d").value == PLAIN_STAY
    assert bench.query("same").value is True
    moved = bench.query("typed", "d", visit=PLAIN_VISIT, dose="1.50")
    assert moved.value == {**PLAIN_VISIT, "until": 10, "note": "1.50"}, moved.error
    for visit, dose in (
        ({}, "1"),
        ({**PLAIN_VISIT, "more": 1}, "1"),
        (PLAIN_VISIT, 1),
        (PLAIN_VISIT, "1e3"),
        ([], "1"),
    ):
        refused = bench.query("next_visit", visit=visit, dose=dose)
        assert refused.error.startswith("bad_arguments"), refused
    assert bench.query("next_visit", visit={"institution": "B"}, dose="0").value == {
        **PLAIN_VISIT, "institution": "B", "until": 86_400_000, "note": "0",
    }  # fmt: skip


def test_records_are_equal_by_class_and_fields() -> None:
    twin = TOP + "class Other(Record):\n    institution: str\n    until: int\n"
    assert value_of(f"{VISIT} == {VISIT}", top=TOP) is True
    assert value_of(f"{STAY} == {STAY}", top=TOP) is True
    assert value_of(f"{VISIT} == changed({VISIT}, until=8)", top=TOP) is False
    assert value_of(f"{VISIT} in [1, 'a', {VISIT}]", top=TOP) is True
    assert value_of(f"[0, {VISIT}].index({VISIT})", top=TOP) == 1
    other = 'Other(institution="A", until=7)'
    assert value_of(f"{other} == Visit(institution='A', until=7)", top=twin) is False
    assert value_of(f"{other} == {{'institution': 'A', 'until': 7}}", top=twin) is False
    assert value_of(f"{VISIT} == 1 or {VISIT} == 'A' or {VISIT} is None", top=TOP) is False


def test_a_record_is_changed_by_making_another() -> None:
    body = f"a = {VISIT}\nb = changed(a, until=9, note='x')\nreturn [a.until, b.until, b.note]"
    assert run(body, top=TOP).value == [7, 9, "x"]
    assert run(f"a = {VISIT}\nb = changed(a, until='x')\nreturn 1", top=TOP).error == (
        "type_error: until of Visit takes int, not this str (c:30)"
    )
    assert error_of("return changed({}, until=1)", top=TOP) == "type_error"
    assert error_of(f"return changed({STAY}, until=1)", top=TOP) == "type_error"


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("Visit(institution=1)", "type_error"),
        ("Visit(institution='A', until=True)", "type_error"),
        ("Visit(institution='A', until='7')", "type_error"),
        (
            f"Stay(visit={PLAIN_VISIT}, others=[], named={{}}, dose=decimal(1), tags=[])",
            "type_error",
        ),
        (f"changed({STAY}, tags=['a', 1])", "type_error"),
        (f"changed({STAY}, dose=1)", "type_error"),
        ("Visit.read([])", "type_error"),
        (f"Visit.read({VISIT})", "type_error"),
        ("Visit.read({})", "missing_key"),
        ("Visit.read({'institution': 1})", "type_error"),
        ("Visit.read({'institution': 'A', 'more': 1})", "value_error"),
        (f"Stay.read({ ({**PLAIN_STAY, 'dose': 'NaN'}) })", "type_error"),
        (f"Stay.read({ ({**PLAIN_STAY, 'others': [1]}) })", "type_error"),
        (f"Stay.read({ ({**PLAIN_STAY, 'named': {'a': {}}}) })", "type_error"),
        (f"{VISIT}['until']", "type_error"),
        (f"{VISIT}.get('until')", "type_error"),
        (f"len({VISIT})", "type_error"),
        (f"[a for a in {VISIT}]", "type_error"),
        (f"{VISIT} < {VISIT}", "type_error"),
        (f"sorted([{VISIT}, {VISIT}])", "type_error"),
        (f"str({VISIT})", "type_error"),
        (f"{VISIT}.dose", "type_error"),
        (f"{PLAIN_VISIT}.until", "type_error"),
        ("[].until", "type_error"),
        (f"dict({VISIT})", "type_error"),
        (f"{VISIT} + {VISIT}", "type_error"),
        (f"'until' in {VISIT}", "type_error"),
    ],
)
def test_what_does_not_fit_a_record_fails(expression: str, code: str) -> None:
    assert error_of(f"return {expression}", top=TOP) == code


def test_a_failure_names_the_field() -> None:
    assert run("return Visit.read({'institution': 1})", top=TOP).error.startswith(
        "type_error: institution of Visit takes str, not this int"
    )
    assert run("return Visit.read({})", top=TOP).error.startswith(
        "missing_key: a Visit without institution"
    )


def test_an_enumeration_is_its_codes_in_order() -> None:
    assert value_of("Level.R", top=TOP) == "restricted"
    assert value_of("[code for code in Level]", top=TOP) == [
        "normal",
        "restricted",
        "very-restricted",
    ]
    assert value_of("list(Level)", top=TOP) == ["normal", "restricted", "very-restricted"]
    assert value_of("[sorted(Level)[0], len(Level)]", top=TOP) == ["normal", 3]
    assert value_of("'normal' in Level", top=TOP) is True
    assert value_of("'x' in Level or 5 in Level", top=TOP) is False
    assert value_of("'x' not in Level", top=TOP) is True
    compared = "[x in [Level.N, Level.V], x in OPEN, x == Level.R]"
    assert value_of(compared, top=TOP, x="restricted") == [False, True, True]
    assert run("n = 0\nfor code in Level:\n    n += len(code)\nreturn n", top=TOP).value == 31
    assert value_of("{Level.N: 1, 'b': 2}[Level.N]", top=TOP) == 1
    assert value_of("[[i, c] for i, c in enumerate(Level)][2]", top=TOP) == [2, "very-restricted"]


def test_a_code_costs_what_its_text_costs() -> None:
    def gas(expression: str) -> int:
        return run(f"x = 'normal'\nreturn {expression}", top=TOP).gas

    assert gas("x == Level.N") == gas("x == 'normal'")
    assert gas("x in Level") == gas("x in OPEN")


def test_a_variable_may_be_called_like_a_class_and_hides_it() -> None:
    assert run("Level = ['a']\nreturn 'a' in Level", top=TOP).value is True
    assert error_of("Level = {}\nreturn Level.until", top=TOP) == "type_error"
    source = f"{IMPORT}{TOP}\n@query\ndef go(Visit: int) -> object:\n    return Visit(until=1)\n"
    assert [problem.code for problem in check(source)] == ["E036"]


def test_a_record_costs_its_fields_and_what_is_in_them() -> None:
    empty = run("x = ['a'] * 1000\nreturn 1", top=TOP)
    made = run(f"x = ['a'] * 1000\ny = changed({STAY}, tags=x)\nreturn 1", top=TOP)
    assert 1_000 < made.gas - empty.gas < 1_100
    bomb = "x = []\nfor i in range(15):\n    x = [x] * 100\nreturn "
    deep = "list[" * 16 + "int" + "]" * 16
    top = f"{COMPUTE}class Deep(Record):\n    x: {deep}\n"
    for made_of in ("Deep(x=x)", "Deep.read({'x': x})"):
        assert run(bomb + made_of, top=top, gas=100_000).error.startswith("out_of_gas")


def test_records_inside_each_other_end_at_the_depth_of_values() -> None:
    top = f"{COMPUTE}class Box(Record):\n    x: object\n"
    body = "x = 1\nfor i in range({}):\n    x = Box(x=x)\nreturn {}"
    assert run(body.format(16, "x"), top=top).ok
    assert run(body.format(17, "x"), top=top).error.startswith("too_deep")
    equal = "x = 1\ny = 1\nfor i in range(20):\n    x = Box(x=x)\n    y = Box(x=y)\nreturn x == y"
    assert run(equal, top=top).error.startswith("too_deep")
    assert run("x = []\ny = Box(x=x)\nx.append(y)\nreturn encode(y)", top=top).error.startswith(
        "too_deep"
    )
