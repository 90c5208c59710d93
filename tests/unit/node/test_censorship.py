"""Transactions that a proposer leaves out are forwarded first, then complained of."""

from __future__ import annotations

from ledger.node.censorship import DOUBLINGS, FRONT, PATIENCE, Watch

TIMEOUT = 2.0


def ids(*names: str) -> list[bytes]:
    return [name.encode() for name in names]


class Line:
    """A watch, and the transactions that wait at its node; a block every second."""

    def __init__(self, *names: str) -> None:
        self.watch = Watch()
        self.waiting = ids(*names)
        self.now = 0.0

    def block(self, *included: str) -> bool:
        """A block comes; whether the node complains of its proposer."""
        self.now += 1.0
        taken = [one for one in ids(*included) if one in self.waiting]
        self.watch.block(taken, list(self.waiting), self.now)
        self.waiting = [one for one in self.waiting if one not in taken]
        self.watch.gone(self.waiting.__contains__)
        return self.watch.complains(TIMEOUT, self.now)

    def until_complaint(self, *fillers: str, limit: int = 1_000) -> int:
        """How many blocks it takes that each include some others."""
        for count in range(1, limit):
            arrivals = [f"{count}-{filler}" for filler in fillers]
            self.waiting += ids(*arrivals)
            if self.block(*arrivals):
                return count
        return limit


def test_a_proposer_that_includes_all_but_one_victim_is_complained_of() -> None:
    line = Line("victim")
    assert line.until_complaint("a", "b") == 1 + PATIENCE * TIMEOUT + 1


def test_a_victim_behind_another_victim_is_not_forgotten() -> None:
    """A proposer that lets one victim in at the last moment gains no time with the next."""
    line = Line("first", "second")
    for _ in range(4):
        line.waiting += ids("other")
        assert not line.block("other")
    line.waiting += ids("other")
    assert not line.block("first", "other")
    assert line.block()


def test_an_empty_block_in_between_does_not_start_the_time_anew() -> None:
    line = Line("x", "victim")
    line.waiting += ids("later")
    line.block("later")
    complained = [line.block() for _ in range(5)]
    assert complained == [False, False, False, False, True]


def test_empty_blocks_while_something_waits_are_complained_of() -> None:
    line = Line("victim")
    assert line.until_complaint() == 1 + PATIENCE * TIMEOUT + 1


def test_a_long_line_served_in_order_is_nobodys_fault() -> None:
    line = Line(*(f"tx{number}" for number in range(400)))
    for number in range(400):
        assert not line.block(f"tx{number}")


def test_an_order_that_differs_a_little_between_nodes_is_nobodys_fault() -> None:
    line = Line(*(f"tx{number}" for number in range(400)))
    for number in range(0, 400, 2):
        assert not line.block(f"tx{number + 1}")
        assert not line.block(f"tx{number}")


def test_what_expired_is_no_reason_to_complain() -> None:
    line = Line("victim")
    line.block()
    line.waiting.clear()
    assert line.until_complaint("a", limit=50) == 50


def test_patience_doubles_with_each_complaint_and_comes_back_in_calm() -> None:
    line = Line("flood")
    times = [line.until_complaint("a") for _ in range(3)]
    assert times == [6, 10, 18]
    line.waiting.clear()
    for _ in range(400):
        assert not line.block()
    line.waiting += ids("victim")
    assert line.until_complaint("a") == 6


def test_a_flood_of_what_cannot_be_included_buys_few_view_changes() -> None:
    line = Line(*(f"flood{number}" for number in range(500)))
    complaints = sum(line.block() for _ in range(3_600))
    assert complaints <= 3_600 / (PATIENCE * TIMEOUT * 2**DOUBLINGS) + DOUBLINGS


def test_what_does_not_move_is_forwarded_to_the_proposer_once() -> None:
    watch, line = Watch(), ids("a", "b")
    assert watch.reminders(line, "n1") == []
    assert watch.reminders([*line, b"new"], "n1") == line
    assert watch.reminders(line, "n1") == []


def test_the_next_proposer_is_reminded_too() -> None:
    watch, line = Watch(), ids("a")
    watch.reminders(line, "n1")
    assert watch.reminders(line, "n1") == line
    assert watch.reminders(line, "n2") == line


def test_a_line_that_moves_is_not_forwarded() -> None:
    watch = Watch()
    for start in range(0, 10 * FRONT, FRONT):
        line = [b"%d" % number for number in range(start, start + 2 * FRONT)]
        assert watch.reminders(line, "n1") == []


def test_what_was_passed_over_is_forwarded_from_further_back_in_line() -> None:
    line = Line(*(f"tx{number}" for number in range(2 * FRONT)), "last")
    line.block("last")
    line.watch.reminders(iter(ids("tx0")), "n1")
    assert ids(f"tx{FRONT - 1}")[0] in line.watch.reminders(iter(ids("tx0")), "n2")
