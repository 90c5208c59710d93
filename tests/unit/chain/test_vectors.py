"""The examples of the protocol's description are what the code computes."""

import json
from pathlib import Path

from tests.support.vectors import vectors

PAGE = Path(__file__).parents[3] / "docs" / "protocol" / "chain.md"


def test_the_examples_in_the_protocol_are_computed():
    text = PAGE.read_text(encoding="utf-8")
    block = text.split("```json\n")[-1].split("```")[0]
    assert json.loads(block) == vectors()
