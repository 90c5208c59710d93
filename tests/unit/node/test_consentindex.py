"""The index of consents says what the store says, whenever it was made."""

import pytest

from ledger.client.builder import build, call
from ledger.node import consentindex
from ledger.node.consentindex import ConsentIndex, Sight
from tests.support.chain_fixtures import consortium, service  # noqa: F401
from tests.support.fhir_consents import People
from tests.support.local_service import open_replica

TREAT = {"purposes": ["TREAT"]}


@pytest.fixture
def people(consortium, service):  # noqa: F811
    return People(consortium, service)


@pytest.fixture
def store(service):  # noqa: F811
    return service._store


@pytest.fixture
def act(service, people):  # noqa: F811
    async def done(who, contract, method, **arguments):
        told = call(contract, method, **arguments)
        signers = [people.accounts[name] for name in who]
        made = build(service.chain, service.head().height, 100, [told], signers)
        await service.submit([made.raw])
        await service.commit()
        (result,) = service.outcome(made.id)[2].calls
        assert result.ok, result.error
        return service.head()

    return done


@pytest.fixture
def grant(act, people):
    async def done(name, who=None, **scope):
        who = who or people.pieter
        return await act([who], "consent", "grant", id=name, subject=who, scope={**TREAT, **scope})

    return done


def all_of(index, people):
    """Everything that an index says of Pieter's consents."""
    assert index.catch_up(60)
    sight = Sight((people.pieter,))
    newest = index.find(sight)
    return newest, index.changes(sight), [index.versions(each.name) for each in newest]


async def test_an_index_made_step_by_step_is_that_made_at_once(grant, act, people, store):
    stepwise = ConsentIndex(store)
    for number in range(4):
        await grant(f"c-{number}")
        assert stepwise.catch_up(60)
    await act([people.pieter], "consent", "withdraw", id="c-1")
    at_once = all_of(ConsentIndex(store), people)
    assert all_of(stepwise, people) == at_once
    newest, changes, versions = at_once
    assert [each.name for each in newest] == ["c-0", "c-2", "c-3", "c-1"]
    assert [len(each) for each in versions] == [1, 1, 1, 2]
    assert [each.first for each in versions[3]] == [False, True]
    assert len(changes) == 5


async def test_small_steps_say_the_same(grant, act, people, store, monkeypatch):
    for number in range(5):
        await grant(f"c-{number}")
    await act([people.pieter], "consent", "withdraw", id="c-3")
    whole = all_of(ConsentIndex(store), people)
    monkeypatch.setattr(consentindex, "_CHUNK", 1)
    assert all_of(ConsentIndex(store), people) == whole


async def test_rules_that_move_are_no_change(grant, people, store, service):  # noqa: F811
    # The place of a consent that has run out is given to the next when all 64 are taken.
    head = service.head()
    await grant("c-over", end=head.time + 1_500)
    for number in range(63):
        await grant(f"c-{number}")
    await grant("c-last")
    index = ConsentIndex(store)
    assert index.catch_up(60)
    moved = index.find(Sight((people.pieter,)), limit=1_000)
    assert len(moved) == 65
    assert len(index.versions("c-over")) == 1


async def test_a_death_changes_what_it_ends(grant, act, people, store):
    await grant("c-1")
    index = ConsentIndex(store)
    assert index.catch_up(60)
    signers = [people.registrar.id, people.physician.id]
    head = await act(
        signers, "registry", "died", id=people.pieter, institution="east", form=b"d" * 32
    )
    assert index.catch_up(60)
    assert index.versions("c-1")[0].height == head.height


async def test_who_registered_and_who_recorded_decide_who_sees(grant, act, people, store):
    await grant("c-own")
    await act(
        [people.south.id, people.elsewhere.id], "consent", "grant", id="c-form",
        subject=people.pieter, scope=TREAT, form=b"f" * 32,
    )  # fmt: skip
    await grant("c-roel", people.roel)
    index = ConsentIndex(store)
    assert index.catch_up(60)

    def seen(sight):
        return [each.name for each in index.find(sight)]

    assert seen(Sight()) == []
    assert seen(Sight((people.pieter,))) == ["c-own", "c-form"]
    assert seen(Sight((), "east")) == ["c-own", "c-form"]
    assert seen(Sight((), "south")) == ["c-form", "c-roel"]
    assert index.newest("c-own", Sight((), "south")) is None
    assert index.newest("c-own").name == "c-own"
    assert index.newest("c-form").recorder == "south"
    assert [each.name for each in index.changes(Sight((), "south"))] == ["c-roel", "c-form"]


async def test_a_file_is_taken_up_again(grant, people, store, tmp_path):
    path = tmp_path / "index" / "consents.db"
    await grant("c-1")
    first = ConsentIndex(store, path)
    before = all_of(first, people)
    first.close()
    second = ConsentIndex(store, path)
    assert [each.name for each in second.find(Sight((people.pieter,)))] == ["c-1"]
    await grant("c-2")
    assert all_of(second, people) != before
    assert all_of(second, people) == all_of(ConsentIndex(store), people)
    second.close()


async def test_a_file_of_another_chain_is_made_anew(grant, people, store, consortium, tmp_path):  # noqa: F811
    path = tmp_path / "index" / "consents.db"
    await grant("c-1")
    of_this = ConsentIndex(store, path)
    assert of_this.catch_up(60)
    of_this.close()
    other = open_replica(consortium, tmp_path / "index").store
    of_other = ConsentIndex(other, path)
    assert of_other.catch_up(60)
    assert of_other.find(Sight((people.pieter,))) == []
    of_other.close()
    other.close()


async def test_bounds_and_places_of_a_listing(grant, people, store):
    times = [(await grant(f"c-{number}")).time for number in range(5)]
    index = ConsentIndex(store)
    assert index.catch_up(60)
    sight = Sight((people.pieter,))

    def names(**query):
        return [each.name for each in index.find(sight, **query)]

    assert names(since=times[1], until=times[3]) == ["c-1", "c-2", "c-3"]
    assert names(limit=2) == ["c-0", "c-1"]
    last = index.find(sight, limit=2)[-1]
    assert names(after=[last.height, last.name]) == ["c-2", "c-3", "c-4"]
    assert names(after=[last.height, last.name], descending=True) == ["c-0"]
    assert names(subject=people.roel) == []
    changes = index.changes(sight, since=times[3])
    assert [each.name for each in changes] == ["c-4", "c-3"]


async def test_waiting_for_an_index_ends(grant, store):
    await grant("c-1")
    index = ConsentIndex(store)
    with index._lock:
        assert not index.catch_up(0.01)
    assert index.catch_up(60)
