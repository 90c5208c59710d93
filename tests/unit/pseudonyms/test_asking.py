"""Asking holders: the same name for the same person, quotas, liars, and ways through others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.chain.ceremonies import study
from ledger.chain.codec import decode_value, encode
from ledger.chain.evaluation import Question, Reply, ask, read_reply
from ledger.client import pseudonyms
from ledger.client.nationalid import normalised
from ledger.crypto.oprf import group, voprf
from ledger.node.net.frames import Evaluate, Evaluated
from ledger.node.pseudonyms.asker import NoKey
from ledger.node.pseudonyms.usage import OverQuota, Repeated, Usage
from tests.support.contracts import DAY, NODES, World, key_of
from tests.support.contracts.amending import amended
from tests.support.pseudonym_net import DOMAIN, Net
from tests.unit.library.test_library_pseudonyms import study as register_study

NUMBERS = [normalised(number) for number in ("11010519491231002X", "110105491231002")]


@pytest.fixture
def net(tmp_path: Path) -> Net:
    made = Net(tmp_path)
    made.play()
    return made


async def test_two_hospitals_get_the_same_pseudonym_and_other_people_others(net: Net) -> None:
    one = await net.names("city-1", NUMBERS)
    other = await net.names("county-1", NUMBERS[:1])
    assert one[0] == one[1] == other[0]  # one person, written in two ways
    assert pseudonyms.is_pseudonym(one[0])
    assert (await net.names("city-1", ["610602197001010011"]))[0] != one[0]


async def test_the_pseudonym_stays_when_shares_are_renewed(net: Net) -> None:
    before = await net.names("city-1", NUMBERS)
    net.world.later(90 * DAY)
    net.play()
    assert await net.names("city-1", NUMBERS) == before


async def test_nobody_on_the_way_sees_the_id_or_the_same_thing_twice(net: Net) -> None:
    await net.names("city-1", NUMBERS[:1])
    first = len(net.seen)
    await net.names("city-1", NUMBERS[:1])
    assert len(net.seen) > first
    point = voprf.point_of(pseudonyms.ID_TAG + NUMBERS[0].encode())
    assert not any(NUMBERS[0].encode() in raw or point in raw for raw in net.seen)
    assert not set(net.seen[:first]) & set(net.seen[first:])


async def test_a_holder_that_lies_is_named_and_the_name_is_right_all_the_same(net: Net) -> None:
    expected = await net.names("city-1", NUMBERS)

    def lie(reply: Reply) -> Reply:
        return replace_reply(reply, (group.base(group.random_scalar()),) * len(reply.elements))

    for liar in ("city-1", "county-1", "township-1"):
        net.members[liar].bends = lie
        gathered = await net.members[liar].asker.gather(
            DOMAIN, [voprf.blind(b"x").element]
        )  # it asks itself first
        assert gathered.cheats == (liar,)
        assert gathered.enough
        assert await net.names("city-1", NUMBERS) == expected
        net.members[liar].bends = lambda reply: reply


def replace_reply(reply: Reply, elements: tuple[bytes, ...]) -> Reply:
    return Reply(reply.question, reply.holder, elements, reply.proof, reply.refusal, reply.left)


async def test_two_liars_of_four_can_stop_it_and_cannot_falsify_it(net: Net) -> None:
    for liar in ("city-1", "board-1"):
        net.members[liar].bends = lambda reply: replace_reply(
            reply, (group.base(group.of_int(7)),) * len(reply.elements)
        )
    gathered = await net.members["county-1"].asker.gather(DOMAIN, [voprf.blind(b"x").element])
    assert set(gathered.cheats) == {"city-1", "board-1"}
    assert not gathered.enough


async def test_a_silent_holder_is_replaced_by_another(net: Net) -> None:
    net.lines = [(a, b) for a in NODES for b in NODES if a < b and "board-1" not in (a, b)]
    gathered = await net.members["city-1"].asker.gather(DOMAIN, [voprf.blind(b"x").element])
    assert gathered.enough
    assert "board-1" not in {gathered.epoch.nodes[index] for index in gathered.answers}


async def test_without_a_key_there_is_nothing_to_ask(net: Net) -> None:
    with pytest.raises(NoKey):
        await net.members["city-1"].asker.gather("patients.2", [voprf.blind(b"x").element])


# --- Ways -----------------------------------------------------------------------------------------


async def test_a_follower_asks_through_the_nodes_above_it(tmp_path: Path) -> None:
    world = World()
    between = [(a, b) for a in NODES for b in NODES if a < b]
    net = Net(
        tmp_path, world, others=("uni-1", "home-1"),
        lines=[*between, ("uni-1", "city-1"), ("home-1", "uni-1")],
        above={"uni-1": ["city-1"], "home-1": ["uni-1"]},
    )  # fmt: skip
    net.play()
    nothing = await net.members["home-1"].switch.ask("county-1", b"not a question", 0.2)
    assert nothing is None  # nobody can reply to what is no question
    for holder in NODES:
        raw = await net.members["home-1"].switch.ask(
            holder, encode(signed(net, holder=holder)), 5.0
        )
        assert raw is not None
        assert (read_reply(raw).holder, read_reply(raw).refusal) == (holder, "")
    assert not net.members["home-1"].switch._pending
    assert not [one for one in net.members["uni-1"].switch._pending.values() if one.origin is None]


def signed(
    net: Net, asker: str = "city-1", holder: str = "county-1", **changes: object
) -> Question:
    fields = {
        "chain": net.world.chain, "asker": asker, "holder": holder, "domain": DOMAIN, "epoch": 1,
        "height": net.world.height, "nonce": net.random(16),
        "elements": (voprf.blind(b"x").element,), **changes,
    }  # fmt: skip
    return ask(key_of(asker), **fields)  # type: ignore[arg-type]


async def test_an_answer_from_where_the_question_did_not_go_is_passed_over(net: Net) -> None:
    switch = net.members["city-1"].switch
    net.members["county-1"].answer = lambda raw: None  # type: ignore[method-assign]
    net.members["county-1"].switch._answer = lambda raw: None
    waiting = asyncio.ensure_future(switch.ask("county-1", encode(signed(net)), 0.3))
    await asyncio.sleep(0)
    ((holder, ticket),) = switch._pending
    switch.arrived("board-1", Evaluated(holder, ticket, b"forged"))
    assert await waiting is None


async def test_one_peer_has_no_more_than_64_questions_on_their_way(net: Net) -> None:
    switch = net.members["city-1"].switch
    net.lines = [("city-1", "county-1"), ("city-1", "uni-1")]
    sent: list[str] = []
    switch._send = lambda to, frame: bool(sent.append(to)) or True
    for number in range(100):
        switch.asked("uni-1", Evaluate("county-1", number.to_bytes(16, "big"), 3, b"q"))
    assert sent == ["county-1"] * 64
    switch.lost("uni-1")
    switch.asked("uni-1", Evaluate("county-1", bytes(16), 3, b"q"))
    assert len(sent) == 65


# --- What a holder refuses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"chain": bytes(32)}, "malformed"),
        ({"holder": "board-1"}, "malformed"),
        ({"height": 5_000}, "stale"),
        ({"domain": "patients.2"}, "no_share"),
        ({"domain": "patients.1/../x"}, "malformed"),
        ({"epoch": 2}, "another_epoch"),
        ({"elements": (bytes(32),)}, "malformed"),
        ({"elements": (b"\xff" * 32,)}, "malformed"),
    ],
)
def test_questions_that_are_refused(net: Net, changes: dict[str, object], refusal: str) -> None:
    reply = net.members["county-1"].evaluator.answer(encode(signed(net, **changes)))  # type: ignore[arg-type]
    assert reply is not None
    assert (reply.refusal, reply.elements) == (refusal, ())


def test_a_question_that_its_asker_did_not_sign_is_refused_and_charged_to_nobody(net: Net) -> None:
    good = signed(net)
    holder = net.members["county-1"]
    stolen = [
        Question(*(getattr(good, name) for name in good.__struct_fields__[:-1]), bytes(64)),
        signed(net, asker="he"),
        ask(
            key_of("he"), chain=net.world.chain, asker="city-1", holder="county-1", domain=DOMAIN,
            epoch=1, height=net.world.height, nonce=bytes(16), elements=good.elements,
        ),
    ]  # fmt: skip
    for question in stolen:
        reply = holder.evaluator.answer(encode(question))
        assert reply is not None
        assert reply.refusal == "not_a_member"
    assert holder.usage.of_day(net.world.time // DAY) == {}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_question_with_any_byte_changed_is_answered_by_nobody(
    net: Net, place: int, change: int
) -> None:
    raw = bytearray(encode(signed(net)))
    raw[place % len(raw)] ^= change
    reply = net.members["county-1"].evaluator.answer(bytes(raw))
    assert reply is None or (reply.refusal and not reply.elements)
    assert net.members["county-1"].usage.of_day(net.world.time // DAY) == {}


def test_bytes_that_are_no_question_get_no_reply(net: Net) -> None:
    for raw in (b"", b"\xc0", encode(signed(net))[:-1], bytes(20_000)):
        assert net.members["county-1"].evaluator.answer(raw) is None


def test_the_quota_of_a_day_is_enforced_by_each_holder_and_begins_anew(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    amended(net.world, "pseudonyms", quota=5)
    holder = net.members["county-1"]
    elements = tuple(voprf.blind(b"x").element for _ in range(3))
    first = holder.evaluator.answer(encode(signed(net, elements=elements)))  # type: ignore[arg-type]
    second = holder.evaluator.answer(encode(signed(net, elements=elements)))  # type: ignore[arg-type]
    assert first is not None
    assert second is not None
    assert (first.refusal, first.left) == ("", 2)
    assert (second.refusal, second.left) == ("quota", 2)
    net.world.later(DAY)
    third = holder.evaluator.answer(encode(signed(net, elements=elements)))  # type: ignore[arg-type]
    assert third is not None
    assert third.refusal == ""
    holder.usage.close()
    again = Usage(holder.home / "pseudonyms" / "usage.db")
    assert again.of_day(net.world.time // DAY) == {"city": 3}


def test_the_same_question_again_is_answered_but_not_charged_and_not_for_ever(net: Net) -> None:
    holder, question = net.members["county-1"], encode(signed(net))
    replies = [holder.evaluator.answer(question) for _ in range(4)]
    assert [reply.refusal for reply in replies if reply is not None] == ["", "", "", "repeated"]
    assert holder.usage.of_day(net.world.time // DAY) == {"city": 1}


def test_accounts_of_days_that_are_over_are_told_once(tmp_path: Path) -> None:
    usage = Usage(tmp_path / "usage.db")
    for day, institution, count in ((5, "a", 3), (5, "b", 1), (6, "a", 2), (7, "a", 9)):
        usage.charge(
            f"{day}{institution}".encode(), institution, DOMAIN, day, 1, count=count, quota=10,
            window=10,
        )  # fmt: skip
    assert usage.unaccounted(7, 7) == {5: {"a": 3, "b": 1}, 6: {"a": 2}}
    usage.accounted(5)
    usage.accounted(5)
    assert usage.unaccounted(7, 7) == {6: {"a": 2}}
    with pytest.raises(OverQuota):
        usage.charge(b"x", "a", DOMAIN, 7, 1, count=2, quota=10, window=10)
    for _ in range(2):
        usage.charge(b"7a", "a", DOMAIN, 7, 1, count=9, quota=10, window=10)
    with pytest.raises(Repeated):
        usage.charge(b"7a", "a", DOMAIN, 7, 1, count=9, quota=10, window=10)


# --- Generations and studies ----------------------------------------------------------------------


async def test_a_new_generation_carries_old_pseudonyms_over_with_proof(net: Net) -> None:
    old = await net.names("city-1", NUMBERS[:1])
    amended(net.world, "pseudonyms", generation=2)
    epoch = net.play("patients.2")
    new = await net.names("county-1", NUMBERS[:1], generation=2)
    deriver = net.deriver("city-1")
    link = await asyncio.to_thread(deriver.link, old, 2)
    assert list(link.new) == new
    again = pseudonyms.read_link(pseudonyms.write_link(link))
    pseudonyms.check_link(again, epoch)
    for changed in (
        replace(again, new=("p-" + "0" * 32,)),
        replace(again, old=("p-" + "0" * 32,)),
        replace(again, epoch=2),
        replace(again, old=()),
    ):
        with pytest.raises(pseudonyms.NotAnswered):
            pseudonyms.check_link(changed, epoch)


async def test_a_study_has_names_of_its_own_that_its_team_cannot_ask_for(net: Net) -> None:
    register_study(net.world, team="he", at="city")
    net.play(study("S1"))
    names = await net.names("county-1", NUMBERS[:1])
    deriver = net.deriver("county-1")
    studied = await asyncio.to_thread(deriver.of_study, names, "S1")
    assert pseudonyms.is_pseudonym(studied[0], "s")
    assert studied[0][2:] != names[0][2:]
    team = await net.members["city-1"].asker.gather(study("S1"), [voprf.blind(b"x").element])
    assert set(team.refusals.values()) == {"not_allowed"}
    net.world.does("ethics", "research", "finish", id="S1", reason="finished")
    over = await net.members["county-1"].asker.gather(study("S1"), [voprf.blind(b"x").element])
    assert set(over.refusals.values()) == {"not_allowed"}


# --- By itself ------------------------------------------------------------------------------------


async def conducted(
    net: Net,
    done: object,
    seconds: float = 20.0,
    names: Sequence[str] = tuple(NODES),
    *,
    ticking: bool = False,
) -> None:
    """Let all validators do what there is to do, until something is so."""
    jobs = [asyncio.ensure_future(net.members[name].conduct.run()) for name in names]
    try:
        async with asyncio.timeout(seconds):
            while not done():  # type: ignore[operator]
                for name in names:
                    net.members[name].conduct.follow([b"pseudonyms/x"], net.world.time)
                if ticking:
                    net.world.later(500)
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError([job.exception() for job in jobs if job.done()]) from None
    finally:
        for job in jobs:
            job.cancel()
        ended = await asyncio.gather(*jobs, return_exceptions=True)
    # A job that fails ends the process of a node.
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


async def test_validators_make_a_key_as_soon_as_somebody_begins(tmp_path: Path) -> None:
    net = Net(tmp_path)
    net.open()
    await conducted(net, lambda: net.board.epoch(DOMAIN) is not None)
    epoch = net.board.epoch(DOMAIN)
    assert epoch is not None
    assert len(epoch.nodes) == 4


async def test_old_shares_are_renewed_and_days_accounted_for_without_anybody_asking(
    net: Net,
) -> None:
    await net.names("city-1", NUMBERS)
    day = net.world.time // DAY
    net.world.later(2 * DAY)
    await conducted(
        net, lambda: sum(net.board.value("usage", day, name) is not None for name in NODES) >= 3
    )
    assert {"city": 2} in [net.board.value("usage", day, name) for name in NODES]
    net.world.later(90 * DAY)
    await conducted(net, lambda: net.board.value("current", DOMAIN) == 2)


async def test_a_holder_that_lost_its_share_gets_another_within_a_day(net: Net) -> None:
    holder = net.members["city-1"]
    holder.safe.drop(f"share-{DOMAIN}-1")
    assert holder.party.share(net.board, DOMAIN) is None
    net.world.later(DAY // 2)
    assert not holder.conduct._should_renew(net.board, DOMAIN)
    net.world.later(DAY // 2)
    # It has nothing to deal, and is not waited for longer than a stage.
    await conducted(net, lambda: net.board.value("current", DOMAIN) == 2, ticking=True)
    await conducted(net, lambda: holder.party.share(net.board, DOMAIN) is not None)


async def test_the_shares_of_a_study_that_is_over_are_deleted(net: Net) -> None:
    register_study(net.world)
    net.play(study("S1"))
    net.world.does("ethics", "research", "finish", id="S1", reason="finished")
    kept = f"share-{DOMAIN}-1"
    await conducted(net, lambda: all(net.members[name].safe.names() == [kept] for name in NODES))
    assert net.board.epoch(study("S1")) is None


async def test_a_validator_that_takes_a_seat_gets_a_share_and_one_that_leaves_loses_its_own(
    tmp_path: Path,
) -> None:
    net = Net(tmp_path, others=("uni-1",))
    net.play()
    before = net.board.epoch(DOMAIN)
    assert before is not None
    seat(net, "uni-1", instead_of="board-1")
    # Who leaves is a node still, and deals; it is not waited for longer than a stage.
    await conducted(
        net, lambda: net.board.value("current", DOMAIN) == 2, names=(*NODES, "uni-1"), ticking=True
    )
    after = net.board.epoch(DOMAIN)
    assert after is not None
    assert after.holders.public == before.holders.public
    assert set(after.nodes.values()) == {"city-1", "county-1", "township-1", "uni-1"}
    await conducted(
        net,
        lambda: (
            not net.members["board-1"].safe.names()
            and net.members["uni-1"].party.share(net.board, DOMAIN) is not None
        ),
        names=(*NODES, "uni-1"),
    )


def seat(net: Net, node: str, *, instead_of: str) -> None:
    """As a vote of the members would: another node validates in the place of one."""
    state = net.world.state
    key = key_of(node).public.hex()
    state[b"governance/node_keys/" + key.encode()] = encode(
        {"node": node, "institution": "uni", "from": 0, "until": 0}
    )
    schedule = decode_value(state[b"governance/validators"], limit=10**6)
    members = schedule[0]["members"]  # type: ignore[index, call-overload]
    left = [member for member in members if member["node"] != instead_of]  # type: ignore[index, union-attr, call-overload]
    left.append({"node": node, "institution": "uni", "key": key})  # type: ignore[arg-type]
    state[b"governance/validators"] = encode([{"from": 0, "members": left}])
    net.seated = [member["node"] for member in left]  # type: ignore[index, misc, call-overload]
