"""Every story that comes with the software."""

from __future__ import annotations

import pytest

from ledger.sim.commands import COMMANDS, build
from ledger.sim.story import STORIES, SUFFIX, Story, load_story, play

NAMES = sorted(path.stem for path in STORIES.glob(f"*{SUFFIX}"))


def story(name: str) -> Story:
    return load_story(STORIES / f"{name}{SUFFIX}")


@pytest.mark.parametrize("name", NAMES)
def test_the_story_ends_as_it_says(name: str) -> None:
    play(story(name), build, COMMANDS)


def test_there_are_at_least_sixty_and_each_has_a_title() -> None:
    told = [story(name) for name in NAMES]
    assert len(told) >= 60
    assert len({one.title for one in told}) == len(told)
    assert all(one.title for one in told)
