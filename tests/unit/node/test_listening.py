"""Who an event concerns, and finding the events of somebody without looking at every block."""

import ast
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.result import Event
from ledger.node import events as feeds
from ledger.node.answers import Cursor, LedgerEvent
from ledger.node.events import EventFeed, Passed, end_of, events_of
from ledger.node.listening import parties
from ledger.node.listening.parties import parties_of
from ledger.node.listening.postings import Postings, open_postings
from ledger.node.listening.selection import ALL, Selection
from tests.support.toldchain import CHAIN, ToldChain

LIBRARY = Path(parties.__file__).parents[2] / "contracts" / "library"

#: Fields that name an institution in some events only.
SOMETIMES = set(parties.ELSEWHERE.values())


def names(expression: ast.expr) -> set[str]:
    """What an expression may be called: ``holder`` in ``holder`` and in ``entry["holder"]``."""
    return {
        *(node.id for node in ast.walk(expression) if isinstance(node, ast.Name)),
        *(
            node.value
            for node in ast.walk(expression)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ),
    }


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.py")), ids=lambda path: path.stem)
def test_every_field_of_an_event_with_what_is_used_as_an_institution_is_known_to_name_one(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    institutions = {
        name
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "institution" and isinstance(keyword.value, ast.Name)
        for name in names(keyword.value)
    }
    announced = {
        keyword.arg
        for call in calls
        if getattr(call.func, "id", "") == "emit"
        for keyword in call.keywords
        if keyword.arg in institutions and isinstance(keyword.value, ast.Name)
    }
    assert announced <= parties.INSTITUTIONS | SOMETIMES


def test_an_event_about_a_decision_concerns_who_asked_and_who_holds_but_names_no_hidden_subject():
    chain = ToldChain({"t-0": {"institution": "city", "holder": "county", "subject": "p-1"}})
    found = parties_of("access", "sealed", {"request": "t-0", "told": 9}, chain.value)
    assert found.institutions == {"city", "county"}
    assert found.holders == {"county"}
    assert found.people == set()


@pytest.mark.parametrize("request_", ["t-none", "x" * 10_000, "\ud800", 7, None])
def test_a_decision_that_is_not_there_adds_nobody(request_):
    chain = ToldChain({"t-0": {"institution": "city"}})
    found = parties_of("access", "decided", {"request": request_, "subject": "p-1"}, chain.value)
    assert (found.people, found.institutions) == ({"p-1"}, set())


PEOPLE = st.sampled_from(["p-1", "p-2", "p-3"])
PLACES = st.sampled_from(["city", "county", "west"])
EVENTS = st.builds(
    lambda contract, name, fields: Event(contract, name, fields),
    st.sampled_from(["access", "consent", "registry"]),
    st.sampled_from(["decided", "released", "enrolled"]),
    st.fixed_dictionaries(
        {},
        optional={
            "subject": PEOPLE, "institution": PLACES, "holder": PLACES,
            "request": st.sampled_from(["t-0", "t-1"]), "count": st.integers(0, 9),
        },
    ),
)  # fmt: skip
BLOCKS = st.lists(st.lists(st.lists(EVENTS, max_size=3), max_size=3), max_size=12)
some = st.frozensets


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    return Selection(
        contracts=draw(some(st.sampled_from(["access", "registry"]), max_size=1)),
        names=draw(some(st.sampled_from(["decided", "access.decided", "x.decided"]), max_size=2)),
        people=draw(some(PEOPLE, max_size=2)),
        institutions=draw(some(PLACES, max_size=2)),
        holders=draw(some(PLACES, max_size=1)),
        person=draw(st.none() | PEOPLE),
        institution=draw(st.none() | PLACES),
    )


def told_chain(blocks: list[list[list[Event]]]) -> ToldChain:
    chain = ToldChain(
        {"t-0": {"institution": "city", "holder": "west"}, "t-1": {"institution": "", "holder": 1}}
    )
    for transactions in blocks:
        chain.append(*transactions)
    return chain


def plainly(chain: ToldChain, selection: Selection) -> list[LedgerEvent]:
    """The selected events, by looking at every one."""
    return [
        event
        for height in range(1, chain.height() + 1)
        for event in events_of(chain, height)
        if selection.matches(
            event.contract,
            event.name,
            parties_of(event.contract, event.name, event.fields, chain.value),
        )
    ]


@given(BLOCKS, selections(), st.integers(0, 12), st.integers(0, 40), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_listener_hears_the_same_with_an_index_half_an_index_and_none(
    blocks, selection, indexed, start, page
):
    chain = told_chain(blocks)
    all_of_them = plainly(chain, selection)
    after = all_of_them[start].cursor if start < len(all_of_them) else Cursor(0, 0, 0)
    expected = [event for event in all_of_them if event.cursor > after]
    postings = Postings(":memory:", CHAIN)
    partly = ToldChain()
    partly.blocks, partly.entries = chain.blocks[: indexed + 1], chain.entries
    EventFeed(partly, postings).index(postings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "PAGE_BLOCKS", page)
        for feed in (EventFeed(chain), EventFeed(chain, postings)):
            found, cursor = [], after
            for _ in range(chain.height() + 2):
                step = feed.page(cursor, chain.height(), selection)
                found += step.events
                assert step.reached <= chain.height()
                cursor = end_of(step.reached)
                if step.reached == chain.height():
                    break
            else:
                raise AssertionError("a step did not get on")
            assert found == expected
    postings.close()


@given(BLOCKS, selections(), st.booleans(), st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_backwards_the_pages_hold_each_selected_event_once(blocks, selection, indexed, page, limit):
    chain = told_chain(blocks)
    postings = Postings(":memory:", CHAIN)
    feed = EventFeed(chain, postings if indexed else None)
    if indexed:
        feed.index(postings)
    found: list[LedgerEvent] = []
    cursor: Cursor | None = end_of(chain.height())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "PAGE_BLOCKS", page)
        while cursor is not None:
            events, cursor = feed.newest(cursor, selection, limit)
            assert len(events) <= limit
            found += events
    assert found == list(reversed(plainly(chain, selection)))
    postings.close()


def test_with_an_index_a_resume_over_a_long_chain_looks_at_the_blocks_that_matter_alone():
    chain = ToldChain()
    for number in range(1, 1001):
        chain.append([Event("access", "decided", {"subject": f"p-{number % 100}"})])
    postings = Postings(":memory:", CHAIN)
    feed = EventFeed(chain, postings)
    while feed.index(postings):
        pass
    looked: list[int] = []
    plain = chain.results
    chain.results = lambda height: looked.append(height) or plain(height)  # type: ignore[method-assign]
    page = feed.page(Cursor(0, 0, 0), chain.height(), Selection(person="p-7"))
    assert [event.cursor.height for event in page.events] == list(range(7, 1001, 100)) == looked
    assert page.reached == 1000
    looked.clear()
    bounded = feed.page(Cursor(0, 0, 0), chain.height(), Selection(contracts=frozenset({"access"})))
    assert len(looked) == bounded.reached == feeds.PAGE_BLOCKS


def test_an_index_goes_on_after_a_restart_and_begins_anew_for_another_chain_or_after_a_gap(
    tmp_path,
):
    chain = told_chain([[[Event("a", "b", {})]]] * 3)
    path = tmp_path / "events.db"
    postings = Postings(path, CHAIN)
    assert EventFeed(chain, postings).index(postings) is False
    postings.close()
    again = Postings(path, CHAIN)
    assert again.span == (1, 3)
    with pytest.raises(ValueError, match="go on at height 4"):
        again.add([(5, [])])
    chain.append([Event("a", "b", {})])
    chain.append([Event("a", "b", {})])
    chain.oldest = 5
    EventFeed(chain, again).index(again)
    assert again.span == (5, 5)
    again.close()
    other = Postings(path, bytes(32))
    assert other.span == (1, 0)
    other.close()


def test_a_damaged_index_is_made_again(tmp_path):
    path = tmp_path / "events.db"
    path.write_bytes(b"not a database" * 100)
    made = open_postings(path, CHAIN)
    assert made.span == (1, 0)
    made.close()
    with pytest.raises(OSError, match="unable to open"):
        open_postings(tmp_path / "nowhere" / "events.db", CHAIN)


async def test_an_index_that_cannot_be_read_costs_time_and_no_event():
    chain = told_chain([[[Event("access", "decided", {"subject": "p-1"})]]])
    postings = Postings(":memory:", CHAIN)
    feed = EventFeed(chain, postings)
    feed.index(postings)
    postings.close()
    with pytest.raises(sqlite3.Error):
        _ = postings.span
    assert len(feed.page(Cursor(0, 0, 0), 1, Selection(person="p-1")).events) == 1


async def test_what_is_not_kept_any_more_ends_the_stream_instead_of_being_left_out():
    chain = told_chain([[[Event("a", "b", {})]]] * 5)
    chain.oldest = 4
    feed = EventFeed(chain)
    assert [item async for item in feed.follow(Cursor(0, 0, 0))] == []
    assert [item async for item in feed.follow(end_of(2))] == []
    first = await anext(feed.follow(end_of(3)))
    assert not isinstance(first, Passed)
    assert first.cursor == Cursor(4, 0, 0)


def test_everything_is_selected_by_no_filter():
    assert ALL.everything
    assert ALL.terms() == []
    assert not Selection(person="p-1").everything
