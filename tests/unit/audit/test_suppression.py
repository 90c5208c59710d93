"""Small numbers cannot be computed from what is shown."""

import itertools
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.indicators.suppression import Count, Shown, hidden, protected, total


def flat(numbers: tuple[int, ...]) -> Count:
    return total({f"g{place}": Count(number) for place, number in enumerate(numbers)})


def seen(numbers: tuple[int, ...], least: int) -> tuple[int | None, tuple[int | None, ...] | None]:
    """What a reader sees of one sum: the total, and each part or None for all of them."""
    shown = protected(flat(numbers), least)
    if shown.parts is None:
        return shown.number, None
    return shown.number, tuple(part.number for part in shown.parts.values())


@pytest.mark.parametrize("least", [3, 4, 5])
@pytest.mark.parametrize(("parts", "highest"), [(1, 20), (2, 20), (3, 12), (4, 8)])
def test_no_hidden_number_follows_from_what_is_shown(least: int, parts: int, highest: int) -> None:
    """Against a reader who knows the rule: among all tables that look the same, each hidden part
    has two values at least. Leaving larger tables out can only make this harder to pass."""
    looks = defaultdict(list)
    for numbers in itertools.product(range(highest + 1), repeat=parts):
        looks[seen(numbers, least)].append(numbers)
    for (_, shown), tables in looks.items():
        for place in range(parts):
            if shown is None or shown[place] is None:
                assert len({numbers[place] for numbers in tables}) > 1, tables[0]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0, 0), (0, (0, 0))),
        ((7, 9), (16, (7, 9))),
        ((4, 0), (None, None)),
        # One small part would be the total less the rest, so the smallest of the rest goes as well.
        ((3, 20, 9, 0), (32, (None, 20, None, 0))),
        # Two of one would be known by their sum.
        ((1, 1, 30, 8), (40, (None, None, 30, None))),
        # Two of four, the largest small number, would be known by their sum as well.
        ((4, 4, 30, 8), (46, (None, None, 30, None))),
        # Equals are treated equally.
        ((3, 8, 8), (19, (None, None, None))),
        ((1, 4), (5, None)),
    ],
)  # fmt: skip
def test_what_is_hidden(
    numbers: tuple[int, ...], expected: tuple[int | None, tuple[int | None, ...] | None]
) -> None:
    assert seen(numbers, 5) == expected


def test_a_minimum_that_protects_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="3 or more"):
        protected(Count(7), 2)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(3, 12))
def test_a_small_number_is_never_alone_among_the_hidden(numbers: list[int], least: int) -> None:
    secret = hidden(numbers, least)
    small = {place for place, number in enumerate(numbers) if 0 < number < least}
    if secret is None:
        assert small
    else:
        assert small <= secret
        assert not secret or len(secret) > 1
        known = sum(numbers[place] for place in secret)
        assert not secret or known - (len(secret) - 1) >= least


trees = st.recursive(
    st.builds(Count, st.integers(0, 30)),
    lambda below: st.dictionaries(st.sampled_from("abcdef"), below, min_size=1).map(total),
    max_leaves=30,
)


@given(trees, st.integers(3, 10))
def test_a_tree_shows_no_small_number_and_nothing_below_a_hidden_one(
    tree: Count, least: int
) -> None:
    def check(count: Count, shown: Shown) -> None:
        if shown.number is None:
            assert shown.parts is None
            return
        assert shown.number == count.number
        assert shown.number == 0 or shown.number >= least
        if shown.parts is not None:
            assert shown.parts.keys() == count.parts.keys()
            missing = [name for name in shown.parts if shown.parts[name].number is None]
            assert len(missing) != 1
            for name in shown.parts:
                check(count.parts[name], shown.parts[name])

    check(tree, protected(tree, least))
