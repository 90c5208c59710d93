"""A node notices that its clock is wrong."""

from ledger.node.clockwatch import ClockWatch

VALIDATORS = ["a", "b", "c"]


def watch(*told):
    watch = ClockWatch(lambda: 1_000_000)
    for peer, ahead in told:
        watch.heard(peer, 1_000_000 + ahead)
    return watch


def test_the_median_of_the_validators_counts():
    assert watch(("a", 30_000), ("b", 31_000), ("c", 32_000)).behind(VALIDATORS) == 31_000
    assert watch(("a", -30_000), ("b", -31_000), ("c", -32_000)).behind(VALIDATORS) == -31_000


def test_one_liar_does_not_make_a_good_clock_look_wrong():
    assert watch(("a", 10), ("b", 10**12), ("c", -10)).behind(VALIDATORS) == 10


def test_a_single_clock_and_those_of_others_say_nothing():
    assert watch(("a", 60_000)).behind(VALIDATORS) == 0
    assert watch(("f1", 60_000), ("f2", 60_000)).behind(VALIDATORS) == 0


def test_a_peer_that_is_gone_or_does_not_tell_no_longer_counts():
    clocks = watch(("a", 60_000), ("b", 60_000))
    clocks.lost("a")
    clocks.heard("c", 0)
    assert clocks.behind(VALIDATORS) == 0
