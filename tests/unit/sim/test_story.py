"""The line language of stories."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.sim.commands import COMMANDS, build
from ledger.sim.expectations import EXPECTATIONS
from ledger.sim.story import (
    InvalidStory,
    Unmet,
    bytes_per_second,
    milliseconds,
    play,
    read_story,
    share,
)

PAGE = Path(__file__).parents[3] / "docs" / "operators" / "stories.md"


def told(*lines: str) -> str:
    return "\n".join(("# A title.", "network 4 validators", *lines))


def played(*lines: str, seed: int = 1):
    return play(read_story(told(*lines), "test"), build, COMMANDS, seed=seed)


def test_prose_is_passed_over_and_its_first_paragraph_is_the_title():
    story = read_story(
        "# One line,\n# and another.\n\n# Later prose.\nnetwork 4 validators\nrun 1s # why\n"
    )
    assert story.title == "One line, and another."
    assert [step.words for step in story.steps] == [("network", "4", "validators"), ("run", "1s")]
    assert story.steps[1].line == 6


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# only prose", 1),
        ("run 1s", 1),
        ('network 4 validators\nsubmit "A', 2),
    ],
)
def test_a_text_that_is_no_story_is_refused_with_its_line(text, line):
    with pytest.raises(InvalidStory) as found:
        read_story(text)
    assert found.value.line == line


@pytest.mark.parametrize(
    "line",
    [
        "explode A",
        "start Z",
        "start",
        "run quickly",
        "cut A B",
        "clock A sideways",
        "disk A upside-down",
        "expect miracles",
        "expect height ? 3",
        "again nothing at A",
        "restore A",
        "partition A | Q",
        "submit A twice",
        "software A rules",
    ],
)
def test_a_line_that_says_nothing_is_refused_with_its_number(line):
    with pytest.raises(InvalidStory, match="line 4"):
        played("start all", line)


@pytest.mark.parametrize("words", ["3 hospitals", "validators", "4 validators twice", ""])
def test_a_network_that_is_none_is_refused(words):
    with pytest.raises(InvalidStory, match="line 1"):
        play(read_story(f"network {words}\nstart all"), build, COMMANDS)


def test_what_does_not_come_is_told_with_the_line_and_the_trace():
    with pytest.raises(Unmet) as found:
        played("start all", "expect height >= 99 on all within 5s")
    text = str(found.value)
    assert "line 4: expect height >= 99 on all within 5s" in text
    assert "A at 0" in text
    assert "peer_connected" in text


def test_the_same_seed_plays_the_same_and_another_one_plays_otherwise():
    lines = ("start all", "submit A as t", "expect final t within 20s")
    digests = [played(*lines, seed=seed).trace.digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_durations_shares_and_rates():
    assert [milliseconds(text) for text in ("200ms", "5s", "-1min", "1h")] == [
        200, 5_000, -60_000, 3_600_000,
    ]  # fmt: skip
    assert share("20%") == 0.2
    assert bytes_per_second("1Mbit/s") == 125_000
    for broken in (milliseconds, share, bytes_per_second):
        with pytest.raises(ValueError, match="is no"):
            broken("20")


def test_the_page_has_every_command_and_everything_that_can_be_expected():
    text = PAGE.read_text(encoding="utf-8")
    said = set(re.findall(r"`([a-z-]+)", text))
    assert set(COMMANDS) <= said
    assert set(EXPECTATIONS) <= said
