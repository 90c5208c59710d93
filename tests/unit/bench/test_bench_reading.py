"""The bench of lists reads the same rows both ways, and its figures are whole."""

from __future__ import annotations

from pathlib import Path

from ledger.bench.reading import measure


def test_every_question_is_asked_of_both_and_answered_alike(tmp_path: Path) -> None:
    found = measure(2_000, 8, tmp_path)
    assert found.entries == 2_000
    assert len(found.timings) == 5
    assert all(one.p99 >= one.p50 > 0 for one in found.timings)
    assert sum(one.lines > 0 for one in found.timings) >= 4
    assert sum(one.plain > 0 for one in found.timings) == 4
    assert not list(tmp_path.iterdir())
