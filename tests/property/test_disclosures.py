"""A list of disclosures is the patient's log or it is refused: nothing in between passes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import merkle
from ledger.chain.codec import Malformed, decode_value, encode
from ledger.chain.disclosures import (
    Entry,
    Page,
    check_all,
    check_page,
    entry_of,
    prove_page,
    read_log,
)
from ledger.chain.handover import InvalidProof
from ledger.chain.merkle import Log


def entries_of(size: int) -> list[Entry]:
    return [Entry("access", {"id": f"d-{number}", "time": number}) for number in range(size)]


def log_of(entries: list[Entry]) -> Log:
    log = Log()
    for entry in entries:
        log.append(entry.leaf())
    return log


def leaves(entries: list[Entry]) -> list[bytes]:
    return [merkle.leaf_hash(entry.leaf()) for entry in entries]


sizes = st.integers(0, 70)


@st.composite
def pages(draw: Any) -> tuple[list[Entry], int, int]:
    """A log and a page of it that is not empty: its first entry and the end behind its last."""
    size = draw(st.integers(1, 70))
    first = draw(st.integers(0, size - 1))
    return entries_of(size), first, draw(st.integers(first + 1, size))


@given(sizes)
def test_the_whole_log_is_accepted(size: int) -> None:
    entries = entries_of(size)
    check_all(log_of(entries), entries)


@given(pages())
def test_every_page_is_accepted_and_leads_to_the_next(case: tuple[list[Entry], int, int]) -> None:
    entries, first, end = case
    log, hashes = log_of(entries), leaves(entries)
    so_far = check_page(log, prove_page(hashes, first, end - first), entries[first:end])
    rest = prove_page(hashes, end, len(entries) - end)
    assert so_far.peaks == rest.before
    assert check_page(log, rest, entries[end:]).peaks == log.peaks


@given(pages(), st.data())
def test_an_entry_left_out_is_noticed(case: tuple[list[Entry], int, int], data: Any) -> None:
    entries, first, end = case
    page = prove_page(leaves(entries), first, end - first)
    shown = entries[first:end]
    del shown[data.draw(st.integers(0, len(shown) - 1))]
    with pytest.raises(InvalidProof):
        check_page(log_of(entries), page, shown)
    if (first, end) == (0, len(entries)):
        with pytest.raises(InvalidProof):
            check_all(log_of(entries), shown)


@given(pages(), st.data())
def test_an_entry_shown_twice_is_noticed(case: tuple[list[Entry], int, int], data: Any) -> None:
    entries, first, end = case
    page = prove_page(leaves(entries), first, end - first)
    shown = entries[first:end]
    place = data.draw(st.integers(0, len(shown) - 1))
    shown.insert(place, shown[place])
    with pytest.raises(InvalidProof):
        check_page(log_of(entries), page, shown)


@given(pages(), st.randoms(use_true_random=False))
def test_another_order_is_noticed(case: tuple[list[Entry], int, int], chance: Any) -> None:
    entries, first, end = case
    page = prove_page(leaves(entries), first, end - first)
    shown = entries[first:end]
    chance.shuffle(shown)
    if shown == entries[first:end]:
        shown.reverse()
    if shown != entries[first:end]:
        with pytest.raises(InvalidProof):
            check_page(log_of(entries), page, shown)


@given(pages(), st.data())
def test_a_changed_entry_is_noticed(case: tuple[list[Entry], int, int], data: Any) -> None:
    entries, first, end = case
    page = prove_page(leaves(entries), first, end - first)
    shown = entries[first:end]
    place = data.draw(st.integers(0, len(shown) - 1))
    change = data.draw(st.sampled_from([("time", -1), ("id", "another"), ("more", 1)]))
    changed = {**shown[place].said, change[0]: change[1]}
    writer = data.draw(st.sampled_from(["access", "enquiry"]))
    shown[place] = Entry(writer, changed)
    with pytest.raises(InvalidProof):
        check_page(log_of(entries), page, shown)


@given(pages(), st.integers(1, 20))
def test_a_log_that_went_on_is_not_the_log_of_before(
    case: tuple[list[Entry], int, int], more: int
) -> None:
    entries, first, end = case
    page = prove_page(leaves(entries), first, end - first)
    grown = log_of(entries_of(len(entries) + more))
    with pytest.raises(InvalidProof):
        check_page(grown, page, entries[first:end])
    with pytest.raises(InvalidProof):
        check_all(grown, entries)


@given(pages(), st.data())
def test_a_page_is_at_no_other_place(case: tuple[list[Entry], int, int], data: Any) -> None:
    entries, first, end = case
    hashes = leaves(entries)
    page = prove_page(hashes, first, end - first)
    other = data.draw(st.integers(-1, len(entries) + 1).filter(lambda place: place != first))
    with pytest.raises(InvalidProof):
        check_page(log_of(entries), Page(other, page.before, page.path), entries[first:end])
    if 0 <= other <= len(entries) - (end - first):
        moved = prove_page(hashes, other, end - first)
        with pytest.raises(InvalidProof):
            check_page(log_of(entries), moved, entries[first:end])


@given(pages(), st.data())
def test_a_changed_proof_is_noticed(case: tuple[list[Entry], int, int], data: Any) -> None:
    entries, first, end = case
    page = prove_page(leaves(entries), first, end - first)
    hashes = [*page.before, *page.path]
    change = data.draw(st.sampled_from(["alter", "drop", "add", "shorten"]))
    if not hashes and change != "add":
        return
    before, path = list(page.before), list(page.path)
    some = before if before else path
    if change == "alter":
        some[0] = bytes([some[0][0] ^ 1]) + some[0][1:]
    elif change == "drop":
        some.pop()
    elif change == "shorten":
        some[0] = some[0][:-1]
    else:
        path.append(bytes(32))
    with pytest.raises(InvalidProof):
        check_page(log_of(entries), Page(first, tuple(before), tuple(path)), entries[first:end])


@given(st.integers(0, 300))
def test_the_state_of_a_log_is_read_back(size: int) -> None:
    log = log_of(entries_of(size))
    raw = encode({"count": log.size, "peaks": list(log.peaks)})
    again = read_log(decode_value(raw, limit=10_000))
    assert (again.size, again.peaks) == (log.size, log.peaks)


@pytest.mark.parametrize(
    "value",
    [
        3,
        [],
        {},
        {"count": 1},
        {"count": 1, "peaks": []},
        {"count": -1, "peaks": []},
        {"count": True, "peaks": [bytes(32)]},
        {"count": 1, "peaks": [bytes(31)]},
        {"count": 1, "peaks": ["0" * 32]},
        {"count": 1, "peaks": [bytes(32)], "more": 0},
    ],
)
def test_what_is_no_log_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        read_log(value)


def test_an_absent_log_is_empty_and_has_no_entries() -> None:
    check_all(read_log(None), [])
    with pytest.raises(InvalidProof):
        check_all(read_log(None), entries_of(1))


def test_nothing_makes_an_entry_of_another_contract_or_of_half_a_decision() -> None:
    with pytest.raises(Malformed):
        entry_of("consent", {"id": "c"})
    with pytest.raises(Malformed):
        entry_of("access", {"id": "d"})
