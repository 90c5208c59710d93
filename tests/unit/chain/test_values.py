"""Contract values as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.codec import Malformed
from ledger.chain.values import decode_base64, from_json, to_json

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
names = st.text(max_size=6) | st.sampled_from(["$bytes", "$map", "$", "$other"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_any_value_survives_json(value):
    assert from_json(json.loads(json.dumps(to_json(value)))) == value


def test_bytes_are_tagged_and_a_map_that_looks_like_the_tag_is_wrapped():
    assert to_json(b"\x00\x01") == {"$bytes": "AAE="}
    assert to_json({"$bytes": "AAE="}) == {"$map": {"$bytes": "AAE="}}
    assert to_json({"$bytes": "AAE=", "more": 1}) == {"$bytes": "AAE=", "more": 1}


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2**63,
        -(2**63) - 1,
        {"$bytes": 1},
        {"$bytes": "AAE"},
        {"$other": 1},
        {"$map": {"plain": 1}},
        {"$map": 1},
        [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]],
    ],
)
def test_what_is_no_contract_value_is_refused(value):
    with pytest.raises(Malformed):
        from_json(value)


@pytest.mark.parametrize("text", ["YQ", "YR==", "Y Q==", "YQ==\n", "_-8=", "é"])
def test_base64_has_one_form(text):
    with pytest.raises(Malformed):
        decode_base64(text)
