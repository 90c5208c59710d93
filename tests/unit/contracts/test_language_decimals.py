"""Exact decimals in contracts."""

from __future__ import annotations

import decimal
from decimal import ROUND_UP

import pytest

from ledger.contracts import prelude
from tests.support.language import COMPUTE, error_of, run, value_of

A, B = 'decimal("7.25")', 'decimal("-0.125")'


def both(expression: str) -> object:
    """What the ledger and plain Python with the prelude both give."""
    value = value_of(expression, top=COMPUTE)
    assert eval(expression, vars(prelude) | {"str": str}) == value
    return value


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (f"str({A} + {B})", "7.125"),
        (f"str({A} - {B})", "7.375"),
        (f"str({A} * {B})", "-0.90625"),
        (f"str({A} + 1)", "8.25"),
        (f"str(3 - {A})", "-4.25"),
        (f"str(2 * {A})", "14.50"),
        (f"str(-{A})", "-7.25"),
        (f"str(abs({B}))", "0.125"),
        ('str(decimal("7.50") + decimal("0.50"))', "8.00"),
        ('str(decimal("007.0"))', "7.0"),
        ('str(decimal("-0.00"))', "0.00"),
        ('str(decimal("0.10") * 0)', "0.00"),
        ('str(-decimal("0.0"))', "0.0"),
        ('str(decimal("0.000000000000000001"))', "0.000000000000000001"),
        ("str(decimal(5))", "5"),
        (f"str(decimal({A}))", "7.25"),
        (f"f'{{{A.replace(chr(34), chr(34))}}} mg'", "7.25 mg"),
        (f"str(sum([{A}, {B}, 1]))", "8.125"),
        (f"str(min({A}, {B}))", "-0.125"),
        (f"str(sorted([{A}, {B}])[1])", "7.25"),
        (f'str({A}.rounded(1, "half-even"))', "7.2"),
        (f'str({A}.rounded(1, "half-up"))', "7.3"),
        (f'str({A}.rounded(4, "down"))', "7.2500"),
        (f'str({B}.rounded(2, "floor"))', "-0.13"),
        (f'str({B}.rounded(2, "ceiling"))', "-0.12"),
        (f'str({B}.rounded(0, "down"))', "0"),
        ('str(decimal("1").divided(3, 4, "half-even"))', "0.3333"),
        ('str(decimal("-2").divided(3, 2, "half-up"))', "-0.67"),
        ('str(decimal("2").divided(decimal("0.3"), 0, "up"))', "7"),
        ('str(decimal("0.5").divided(1, 0, "half-even"))', "0"),
    ],
)
def test_decimals_are_exact_and_keep_their_places(expression: str, text: str) -> None:
    assert both(expression) == text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('decimal("7.50") == decimal("7.5")', True),
        ('decimal("7.0") == 7', True),
        ('7 == decimal("7.0")', True),
        ('decimal("7") != 8', True),
        ('decimal("1") == True', True),
        (f"{A} == '7.25'", False),
        (f"{A} is None", False),
        (f"{A} > 7", True),
        (f"7 < {A}", True),
        (f"{A} >= {B}", True),
        (f"{B} < 0 < {A}", True),
        (f"7 in [{A}, decimal('7.0')]", True),
        ('decimal("7.0") in [1, 7]', True),
        ('bool(decimal("0.00"))', False),
        ('not decimal("0.01")', False),
        ('int(decimal("7.00"))', 7),
        ('[decimal("1"), 2] == [1, decimal("2.0")]', True),
    ],
)
def test_decimals_are_compared_by_value(expression: str, value: object) -> None:
    assert both(expression) == value


#: Refused by the ledger where Python's numbers know more, or find the fault elsewhere.
PYTHON_GOES_ON = {
    f"sorted([{A}, 1])",
    f"{A}.rounded(1, None)",
    f'{A}.rounded(True, "down")',
    '(5).divided(2, 2, "down")',
    'int(decimal("9" * 20))',
}


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ('decimal("")', "value_error"),
        ('decimal("+1")', "value_error"),
        ('decimal(".5")', "value_error"),
        ('decimal("5.")', "value_error"),
        ('decimal("1e5")', "value_error"),
        ('decimal("1_000")', "value_error"),
        ('decimal(" 1")', "value_error"),
        ('decimal("NaN")', "value_error"),
        ('decimal("-Infinity")', "value_error"),
        ('decimal("٣")', "value_error"),
        ('decimal("1" * 21)', "value_error"),
        ('decimal("0." + "1" * 19)', "value_error"),
        ("decimal(True)", "type_error"),
        ("decimal(None)", "type_error"),
        (f"{A} + True", "type_error"),
        (f"{A} + '1'", "type_error"),
        (f"{A} // 2", "type_error"),
        (f"{A} % 2", "type_error"),
        (f"{A} < '8'", "type_error"),
        (f"sorted([{A}, 1])", "type_error"),
        (f"sum([{A}, 'x'])", "type_error"),
        (f"'a' * {A}", "type_error"),
        (f"int({A})", "value_error"),
        (f'{A}.rounded(19, "down")', "value_error"),
        (f'{A}.rounded(-1, "down")', "value_error"),
        (f'{A}.rounded(1, "nearest")', "value_error"),
        (f"{A}.rounded(1, None)", "type_error"),
        (f'{A}.rounded(True, "down")', "type_error"),
        (f'{A}.divided(0, 2, "down")', "value_error"),
        (f'{A}.divided(decimal("0.0"), 2, "down")', "value_error"),
        (f'{A}.divided("2", 2, "down")', "type_error"),
        ('(5).divided(2, 2, "down")', "type_error"),
        ('decimal("9" * 20) + 1', "overflow"),
        ('decimal("9" * 20) * 10', "overflow"),
        ('decimal("99999999999999999999.5").rounded(0, "up")', "overflow"),
        ('decimal("0.0000000001") * decimal("0.0000000001")', "overflow"),
        ('decimal("9" * 20).divided(decimal("0.1"), 0, "down")', "overflow"),
        ('int(decimal("9" * 20))', "overflow"),
    ],
)
def test_what_is_no_decimal_fails(expression: str, code: str) -> None:
    assert error_of(f"return {expression}", top=COMPUTE) == code
    if expression not in PYTHON_GOES_ON:
        kinds = {
            "value_error": ValueError,
            "type_error": TypeError,
            "overflow": OverflowError,
        }
        with pytest.raises(kinds[code]):
            eval(expression, dict(vars(prelude)))


def test_outside_the_contract_a_decimal_is_its_text() -> None:
    assert value_of(A, top=COMPUTE) == "7.25"
    assert value_of(f"[{{'dose': {A}}}]", top=COMPUTE) == [{"dose": "7.25"}]
    assert value_of(f"encode({A}) == encode('7.25')", top=COMPUTE) is True
    assert value_of('decimal("0.0000001")', top=COMPUTE) == "0.0000001"


def test_a_constant_can_be_a_decimal() -> None:
    top = COMPUTE + 'DOSE = decimal("0.1")\nDOSES = {"a": [decimal("2.5")]}\n'
    assert value_of("str(DOSE * 3 + DOSES['a'][0])", top=top) == "2.8"


def test_no_context_of_the_host_changes_a_result() -> None:
    body = 'x = decimal("12345.678901")\nreturn str(x * x)'
    expected = run(body, top=COMPUTE)
    with decimal.localcontext() as context:
        context.prec = 3
        context.rounding = ROUND_UP
        context.traps[decimal.Inexact] = True
        assert run(body, top=COMPUTE) == expected
        assert value_of(f"str({A} + {B})", top=COMPUTE) == "7.125"
        assert value_of(f'str({A}.rounded(1, "down"))', top=COMPUTE) == "7.2"
        assert value_of(f"str(sum([{A}] * 5000))", top=COMPUTE) == "36250.00"
    assert expected.value == "152415787.526596567801"


def test_decimals_cost_what_the_page_says() -> None:
    def gas(expression: str) -> int:
        return run(f"a = {A}\nb = {B}\nc = {expression}\nreturn 1", top=COMPUTE).gas

    base = gas("b")
    assert gas("a + b") - base == 2 + 4
    assert gas("a - 1") - base == 2 + 4
    assert gas("a * b") - base == 2 + 8
    assert gas("str(a)") - base == 1 + 2 + 8
    assert gas("-a") - base == 1
    assert gas("a < b") - base == 2
    assert gas('a.rounded(1, "down")') - base == 3 + 2 + 8
    assert gas('a.divided(b, 1, "down")') - base == 4 + 2 + 30
