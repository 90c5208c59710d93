"""A log whose lines hang on each other: what was changed in it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.node.journal import BEGINNING, Journal, JournalBroken, check

SMALL = 1000  # bytes to a file: about five entries


def made(directory: Path, entries: int, **options: int) -> Journal:
    journal = Journal(directory, lambda: 7, **options)
    for number in range(entries):
        journal.add("signed-in", who=f"person-{number}", why="")
    return journal


def lines(directory: Path) -> list[tuple[Path, int, bytes]]:
    return [
        (path, place, line)
        for path in sorted(directory.iterdir())
        for place, line in enumerate(path.read_bytes().splitlines())
    ]


def rewrite(path: Path, change) -> None:
    content = path.read_bytes().splitlines()
    path.write_bytes(b"".join(line + b"\n" for line in change(content)))


def test_entries_come_back_in_order_and_say_what_was_written(tmp_path):
    journal = made(tmp_path, 12, file_bytes=SMALL)
    assert journal.head.entries == 12
    assert check(tmp_path) == journal.head
    assert len(list(tmp_path.iterdir())) > 1
    found = journal.entries()
    assert [entry["n"] for entry in found] == list(range(1, 13))
    assert found[3]["who"] == "person-3"
    assert "why" not in found[3]
    assert [entry["n"] for entry in journal.entries(5, 3)] == [6, 7, 8]
    assert journal.entries(12) == []


def test_a_journal_that_is_opened_again_goes_on(tmp_path):
    head = made(tmp_path, 7, file_bytes=SMALL).head
    again = Journal(tmp_path, lambda: 8, file_bytes=SMALL)
    assert again.head == head
    again.add("more")
    assert check(tmp_path).entries == 8


def test_a_line_that_a_crash_cut_off_is_taken_back(tmp_path):
    head = made(tmp_path, 3).head
    (path,) = tmp_path.iterdir()
    with path.open("ab") as stream:
        stream.write(b'{"event":"signed-in","n":4,"pre')
    again = Journal(tmp_path, lambda: 8)
    assert again.head == head
    assert again.add("more").entries == 4


def test_the_oldest_files_go_and_the_rest_still_holds_together(tmp_path):
    journal = made(tmp_path, 60, file_bytes=SMALL, files=3)
    assert len(list(tmp_path.iterdir())) == 3
    first = journal.entries()[0]["n"]
    assert first > 30
    assert check(tmp_path) == journal.head
    assert Journal(tmp_path, lambda: 7, file_bytes=SMALL, files=3).head == journal.head


@given(st.data())
@settings(max_examples=80)
def test_whatever_is_done_to_the_lines_shows(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("journal")
    journal = made(directory, 12, file_bytes=SMALL)
    heads = {journal.head.entries: journal.head.hash}
    places = lines(directory)
    path, place, line = data.draw(st.sampled_from(places))
    what = data.draw(st.sampled_from(["change", "drop", "repeat", "swap", "unlink", "cut"]))

    def change(content: list[bytes]) -> list[bytes]:
        if what == "change":
            where = data.draw(st.integers(0, len(line) - 1))
            other = line[:where] + bytes([line[where] ^ 1]) + line[where + 1 :]
            return [*content[:place], other, *content[place + 1 :]]
        if what == "drop":
            return content[:place] + content[place + 1 :]
        if what == "repeat":
            return [*content[:place], line, *content[place:]]
        if what == "swap":
            return [*content[:place], *content[place + 1 :], line]
        return content[: place + 1]

    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    if what == "unlink":
        path.unlink()
    else:
        rewrite(path, change)
    after = {path.name: path.read_bytes() for path in directory.iterdir()}
    if after == before or (what == "unlink" and path.name == min(before)):
        return  # nothing was done, or what is no longer kept
    with pytest.raises(JournalBroken):
        check(directory, heads)


def test_somebody_who_writes_everything_anew_is_caught_by_the_chain(tmp_path):
    journal = made(tmp_path / "real", 5)
    anchored = {journal.head.entries: journal.head.hash}
    journal.add("signed-in", who="later")
    assert check(tmp_path / "real", anchored) == journal.head
    forged = Journal(tmp_path / "forged", lambda: 7)
    for _ in range(6):
        forged.add("signed-in", who="somebody else")
    check(tmp_path / "forged")
    with pytest.raises(JournalBroken, match="another hash"):
        check(tmp_path / "forged", anchored)
    with pytest.raises(JournalBroken, match="knows of 5"):
        check(tmp_path / "nothing", anchored)
    assert check(tmp_path / "nothing") == BEGINNING


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"x", b'{"n":1,"prev":"zz"}', b"[" * 9999])
def test_what_is_no_entry_is_not_read_as_one(tmp_path, line):
    made(tmp_path, 2)
    (path,) = tmp_path.iterdir()
    with path.open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(JournalBroken):
        Journal(tmp_path, lambda: 7)


def test_text_from_outside_is_cut_and_stays_in_its_line(tmp_path):
    journal = Journal(tmp_path, lambda: 7)
    journal.add("refused", who='x\n{"n":9}\r\x85\u2028' + "y" * 1000)
    (path,) = tmp_path.iterdir()
    (line,) = path.read_bytes().splitlines()
    assert line.isascii()
    assert len(json.loads(line)["who"]) == 256
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="short"):
        journal.add("x", **{f"f{number}": "y" * 256 for number in range(30)})
    assert check(tmp_path).entries == 1
