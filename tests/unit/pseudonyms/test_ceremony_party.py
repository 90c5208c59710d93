"""A validator in a ceremony: honest ones come to a key, whatever silent and lying ones do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import pytest

from ledger.chain.ceremonies import NotReproduced, check_epoch
from ledger.chain.transaction import Call
from ledger.crypto.keys import SigningKey
from ledger.crypto.oprf import group
from ledger.node.pseudonyms.party import Party
from ledger.node.pseudonyms.safe import Safe, SafeUnusable
from tests.support.contracts import DAY, NODES
from tests.support.pseudonym_net import DOMAIN, Net


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(tmp_path)


def shares(net: Net) -> dict[str, tuple[int, int, bytes]]:
    found = {name: net.members[name].party.share(net.board, DOMAIN) for name in NODES}
    return {name: share for name, share in found.items() if share is not None}


def test_four_validators_make_a_key_and_each_keeps_its_share(net: Net) -> None:
    epoch = net.play()
    assert len(shares(net)) == 4
    for name, (number, index, share) in shares(net).items():
        assert (number, epoch.nodes[index]) == (1, name)
        assert group.base(share) == epoch.holders.verification[index]
    assert check_epoch(net.board, epoch).qualified == tuple(NODES)


def test_who_confirms_too_late_has_its_share_all_the_same(net: Net) -> None:
    number = net.open()
    while net.board.ceremony(number)["stage"] != "done":
        net.step(number)
    assert net.board.value("confirmed", number, "board-1") is None
    assert "board-1" not in shares(net)
    net.members["board-1"].party.tidy(net.board)
    assert "board-1" in shares(net)


def test_what_a_ceremony_needed_is_deleted_when_it_is_over(net: Net) -> None:
    net.play()
    for name in NODES:
        assert net.members[name].safe.names() == [f"share-{DOMAIN}-1"]


def test_a_silent_validator_costs_time_and_nothing_else(net: Net) -> None:
    epoch = net.play(present=("city-1", "county-1", "township-1"))
    assert list(epoch.nodes.values()) == ["city-1", "county-1", "township-1"]
    assert set(shares(net)) == {"city-1", "county-1", "township-1"}


def bent(call: Call, **changes: object) -> Call:
    return Call(call.contract, call.method, {**call.arguments, **changes})


def through(net: Net, number: int, bend: dict[str, object]) -> None:
    """Play on, with the first dealing of board-1 changed and no answer of it to complaints."""
    for _ in range(40):
        if net.board.ceremony(number)["stage"] in ("done", "failed"):
            for name in NODES:
                net.members[name].party.tidy(net.board)
            return
        spoke = False
        for name in NODES:
            call = net.members[name].next(number)
            if call is None or (name == "board-1" and call.method == "answer"):
                continue
            if name == "board-1" and call.method == "deal":
                call = bent(call, **bend)
            _height, result = net.perform(name, call)
            assert result.ok, result.error
            spoke = True
        if not spoke:
            net.world.later(120_000)
    raise AssertionError("the ceremony does not end")


def test_a_dealer_that_seals_nonsense_to_one_is_left_out_when_it_does_not_show_the_share(
    net: Net,
) -> None:
    number = net.open()
    assert net.step(number)
    sealed = dict(net.members["board-1"].next(number).arguments["sealed"])  # type: ignore[union-attr]
    through(net, number, {"sealed": {**sealed, "city-1": bytes(80)}})
    epoch = net.board.epoch(DOMAIN)
    assert epoch is not None
    assert epoch.qualified == ("city-1", "county-1", "township-1")
    # It is a member all the same, and holds a share.
    assert len(shares(net)) == 4


def test_a_dealer_whose_commitments_are_no_elements_is_left_out_without_a_complaint(
    net: Net,
) -> None:
    number = net.open()
    assert net.step(number)
    through(net, number, {"commitments": [b"\xff" * 32] * 3})
    epoch = net.board.epoch(DOMAIN)
    assert epoch is not None
    assert epoch.qualified == ("city-1", "county-1", "township-1")


def test_a_false_complaint_is_answered_and_drives_nobody_out(net: Net) -> None:
    number = net.open()
    while net.board.ceremony(number)["stage"] != "judge":
        net.step(number)
    liar = Call("pseudonyms", "judge", {"number": number, "complaints": ["city-1", "county-1"]})
    assert net.perform("board-1", liar)[1].ok
    net.step(number)
    assert net.board.ceremony(number)["stage"] == "answer"
    while net.step(number):
        pass
    epoch = net.board.epoch(DOMAIN)
    assert epoch is not None
    assert epoch.qualified == tuple(NODES)


def test_a_crash_before_the_dealing_is_sent_leads_to_the_same_dealing(net: Net) -> None:
    number = net.open()
    net.step(number)
    first = net.members["city-1"].next(number)
    again = Party("city-1", net.members["city-1"].safe, net.random).next(
        net.board, number, net.world.time
    )
    assert first is not None
    assert again is not None
    assert again.arguments["commitments"] == first.arguments["commitments"]


def test_shares_are_renewed_and_the_old_ones_are_gone(net: Net) -> None:
    first = net.play()
    old = shares(net)
    net.world.later(90 * DAY)
    second = net.play()
    assert (second.number, second.holders.public) == (2, first.holders.public)
    assert all(net.members[name].safe.names() == [f"share-{DOMAIN}-2"] for name in NODES)
    assert all(shares(net)[name][2] != share for name, (_e, _i, share) in old.items())


def test_a_node_that_catches_up_keeps_shares_of_what_it_has_not_come_to_yet(net: Net) -> None:
    before = dict(net.world.state)
    net.play()
    late = net.members["city-1"]
    now, net.world.state = net.world.state, before
    late.party.tidy(net.board)
    net.world.state = now
    assert "city-1" in shares(net)


def test_a_key_that_is_not_what_the_ceremony_comes_to_is_noticed(net: Net) -> None:
    epoch = net.play()
    other = replace(epoch.holders, public=group.base(group.of_int(3)))
    with pytest.raises(NotReproduced):
        check_epoch(net.board, replace(epoch, holders=other))
    with pytest.raises(NotReproduced):
        check_epoch(net.board, replace(epoch, transcript=bytes(32)))


# --- The safe -----------------------------------------------------------------------------------


def key(number: int) -> SigningKey:
    return SigningKey(bytes([number]) * 32)


def test_secrets_are_sealed_and_open_with_the_signing_key(tmp_path: Path) -> None:
    safe = Safe(tmp_path / "p", lambda: [key(1)], token_bytes)
    safe.put("share-a-1", b"very secret")
    assert safe.get("share-a-1") == b"very secret"
    assert safe.get("share-a-2") is None
    for path in (tmp_path / "p").iterdir():
        assert b"very secret" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(SafeUnusable):
        Safe(tmp_path / "p", lambda: [key(2)], token_bytes).get("share-a-1")


def test_a_new_signing_key_opens_what_the_old_one_sealed(tmp_path: Path) -> None:
    Safe(tmp_path, lambda: [key(1)], token_bytes).put("share-a-1", b"s")
    Safe(tmp_path, lambda: [key(1), key(2)], token_bytes).rewrap()
    assert Safe(tmp_path, lambda: [key(2)], token_bytes).get("share-a-1") == b"s"


@pytest.mark.parametrize("cut", [0, 10, 30, -1])
def test_a_changed_box_or_one_under_another_name_does_not_open(tmp_path: Path, cut: int) -> None:
    safe = Safe(tmp_path, lambda: [key(1)], token_bytes)
    safe.put("share-a-1", b"s" * 40)
    box = tmp_path / "share-a-1.box"
    (tmp_path / "share-a-2.box").write_bytes(box.read_bytes())
    with pytest.raises(SafeUnusable):
        safe.get("share-a-2")
    box.write_bytes(box.read_bytes()[:cut])
    with pytest.raises(SafeUnusable):
        safe.get("share-a-1")


@pytest.mark.parametrize("name", ["../x-1", "share", "share-a-", "Share-a-1", "share-a/b-1"])
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        Safe(tmp_path, lambda: [key(1)], token_bytes).put(name, b"s")
