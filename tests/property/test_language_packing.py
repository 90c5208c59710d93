"""What a value costs where it is stored, announced or passed on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.codec import MAX_DEPTH, MAX_INT, MIN_INT, encode
from ledger.contracts.meter import Failure, Meter, OutOfGas
from ledger.contracts.values import pack

LIMIT = 1 << 20
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INT, MAX_INT)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
    | st.binary(max_size=70)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=90) | st.dictionaries(st.text("ab文", max_size=4), inner)
    ),
    max_leaves=120,
)


def _nested(levels: int, value: Any = 1) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@given(VALUES)
def test_a_value_costs_the_bytes_of_its_encoding(value: Any) -> None:
    meter = Meter(LIMIT)
    raw = pack(meter, value, LIMIT)
    assert raw == encode(value)
    assert meter.gas == LIMIT - len(raw)


@given(VALUES)
def test_gas_for_all_bytes_but_one_is_too_little(value: Any) -> None:
    size = len(encode(value))
    pack(Meter(size), value, LIMIT)
    with pytest.raises(OutOfGas):
        pack(Meter(size - 1), value, LIMIT)


@given(VALUES)
def test_a_value_one_byte_too_large_costs_what_was_allowed(value: Any) -> None:
    allowed = len(encode(value)) - 1
    meter = Meter(LIMIT)
    with pytest.raises(Failure, match="too_large"):
        pack(meter, value, allowed)
    assert meter.gas == LIMIT - allowed


@pytest.mark.parametrize("width", [1, 2, 70])
def test_a_list_that_is_shared_many_times_is_not_encoded(width: int) -> None:
    value: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        value = [value] * width + ["x" * 1_000]
    meter = Meter(LIMIT)
    if width == 1:
        pack(meter, value, LIMIT)
    else:
        with pytest.raises(Failure, match="too_large"):
            pack(meter, value, LIMIT)


@pytest.mark.parametrize("filling", [0, 100])
def test_nesting_ends_at_the_same_level_for_few_values_and_for_many(filling: int) -> None:
    inside = [0] * filling
    pack(Meter(LIMIT), _nested(MAX_DEPTH - 1, inside), LIMIT)
    with pytest.raises(Failure, match="too_deep"):
        pack(Meter(LIMIT), _nested(MAX_DEPTH, inside), LIMIT)


@pytest.mark.parametrize("filling", [0, 100])
def test_a_tuple_anywhere_inside_is_refused(filling: int) -> None:
    with pytest.raises(Failure, match="type_error"):
        pack(Meter(LIMIT), {"a": [0] * filling, "b": [(1,)]}, LIMIT)
