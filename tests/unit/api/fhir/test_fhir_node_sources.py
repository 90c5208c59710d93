"""How the facade asks the node, and what it says of what the node answers."""

from __future__ import annotations

import pytest

from ledger.api.fhir.nodesources import NodeSources
from ledger.api.fhir.purpose import Purpose
from ledger.api.fhir.sources import CannotAct, Denied, FetchBroken
from ledger.api.principal import Kind
from ledger.chain.exchange import Shown
from ledger.node import retrieval
from ledger.node.custody import NoHeldKey
from ledger.node.holders import Failure, HolderFailed
from ledger.node.retrieval import ActFailed, Emergency, Found, HolderProblem, Retrieved
from tests.support.anchored import pointer_of
from tests.support.fhir import principal

XUE = principal(Kind.STAFF, "xue", "east", "physician")
TREAT = Purpose("TREAT", "case-1")
SHOWN = Shown(pointer_of("p-" + "a" * 32), {})


class Node:
    """A node that answers as it is told, and notes how it was asked."""

    institution = "east"
    own_records = None

    def __init__(self, answer):
        self.answer = answer
        self.asked = None

    async def search_records(self, *given, **more):
        self.asked = (given, more)
        return self._answered()

    async def fetch_record(self, *given, **more):
        self.asked = (given, more)
        return self._answered()

    def _answered(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def pieces(*found):
    for each in found:
        if isinstance(each, Exception):
            raise each
        yield each


def retrieved(*found):
    return Retrieved("d-1", "text/plain", 3, (), pieces(*found), lambda: b"salt")


def problems(*codes):
    return [HolderProblem(f"h-{code}", code, "inner words") for code in codes]


async def test_a_search_is_made_in_the_caller_s_name_for_what_she_said():
    node = Node(Found("q-1", [SHOWN], []))
    answer = await NodeSources(node).elsewhere(XUE, "p-1", TREAT, ("south",))
    assert list(answer.shown) == [SHOWN]
    assert node.asked[0] == ("xue", "east", "p-1", "TREAT", ("south",))
    assert node.asked[1] == {"case": "case-1", "emergency": None}
    broken = Purpose("BTG", reason="unconscious", note=b"n" * 32)
    await NodeSources(node).elsewhere(XUE, "p-1", broken, ())
    assert node.asked[0][-1] is None
    assert node.asked[1]["emergency"] == Emergency("unconscious", b"n" * 32)


async def test_a_holder_that_refuses_looks_like_one_that_has_nothing():
    node = Node(Found("q-1", [], problems(Failure.REFUSED)))
    assert list((await NodeSources(node).elsewhere(XUE, "p-1", TREAT, ())).problems) == []


@pytest.mark.parametrize("failure", [each for each in Failure if each is not Failure.REFUSED])
async def test_every_other_failure_is_said_in_our_own_words(failure):
    node = Node(Found("q-1", [], problems(failure)))
    (issue,) = (await NodeSources(node).elsewhere(XUE, "p-1", TREAT, ())).problems
    assert issue.text.startswith(f"h-{failure} ")
    assert "inner words" not in issue.text
    assert "gave nothing" not in issue.text


FAILURES = [
    (NoHeldKey("no key is held for xue"), "no key in your name"),
    (PermissionError("halted: diverged"), "takes nothing in"),
    (TimeoutError("late"), "not decided in time"),
]


@pytest.mark.parametrize(("error", "said"), FAILURES)
async def test_what_keeps_the_node_from_acting_is_said(error, said):
    with pytest.raises(CannotAct, match=said):
        await NodeSources(Node(error)).elsewhere(XUE, "p-1", TREAT, ())
    with pytest.raises(CannotAct, match=said):
        await NodeSources(Node(error)).fetch(XUE, SHOWN, TREAT)


async def test_what_the_chain_refuses_is_a_refusal_with_its_code():
    with pytest.raises(Denied) as refused:
        await NodeSources(Node(ActFailed("role_not_suited: no"))).elsewhere(XUE, "p-1", TREAT, ())
    assert refused.value.rule == "role_not_suited"
    with pytest.raises(CannotAct, match="not_affiliated"):
        await NodeSources(Node(ActFailed("not_affiliated: no"))).fetch(XUE, SHOWN, TREAT)
    denied = retrieval.Denied({"id": "d-9", "rule": "consent:patient-denies"})
    with pytest.raises(Denied) as refused:
        await NodeSources(Node(denied)).fetch(XUE, SHOWN, TREAT)
    assert (refused.value.decision, refused.value.rule) == ("d-9", "consent:patient-denies")


async def test_a_record_comes_with_its_salt_and_to_its_end():
    fetched = await NodeSources(Node(retrieved(b"a", b"bc"))).fetch(XUE, SHOWN, TREAT)
    assert (fetched.decision, fetched.salt) == ("d-1", b"salt")
    assert [piece async for piece in fetched.pieces] == [b"a", b"bc"]
    empty = await NodeSources(Node(retrieved(b""))).fetch(XUE, SHOWN, TREAT)
    assert b"".join([piece async for piece in empty.pieces]) == b""


async def test_a_holder_that_gives_nothing_is_known_before_the_answer_begins():
    with pytest.raises(FetchBroken, match="does not hand it over"):
        await NodeSources(Node(retrieved(HolderFailed(Failure.REFUSED)))).fetch(XUE, SHOWN, TREAT)
    half = retrieved(b"a", HolderFailed(Failure.TIMEOUT))
    fetched = await NodeSources(Node(half)).fetch(XUE, SHOWN, TREAT)
    with pytest.raises(FetchBroken, match="in time"):
        assert [piece async for piece in fetched.pieces]


@pytest.mark.parametrize("kind", [Kind.PATIENT, Kind.SYSTEM, Kind.OPERATOR])
async def test_nobody_but_staff_asks_through_the_node(kind):
    node = Node(AssertionError())
    with pytest.raises(CannotAct):
        await NodeSources(node).elsewhere(principal(kind, "x", "east"), "p-1", TREAT, ())
    with pytest.raises(CannotAct):
        await NodeSources(node).fetch(principal(kind, "x", "east"), SHOWN, TREAT)


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (principal(Kind.PATIENT, "p-1"), True),
        (principal(Kind.PATIENT, "p-2"), False),
        (principal(Kind.STAFF, "p-1", "east", "registrar"), False),
        (principal(Kind.STAFF, "xue", "east", "nurse"), True),
        (principal(Kind.STAFF, "xue", "south", "physician"), False),
        (principal(Kind.SYSTEM, "c", "east"), True),
        (principal(Kind.SYSTEM, "c", "south"), False),
        (principal(Kind.OPERATOR, "o", "east"), False),
    ],
)
def test_who_may_know_of_every_record_of_a_patient_here(who, may):
    assert NodeSources(Node(None)).may_know(who, "p-1") is may


async def test_a_node_that_keeps_no_records_has_none():
    sources = NodeSources(Node(None))
    assert list(await sources.own("p-1")) == []
    for answer in (sources.own_record, sources.opening, sources.content):
        assert await answer(b"\0" * 32) is None
