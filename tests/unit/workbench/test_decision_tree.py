"""The tree of a contract holds every verdict that can come out of it; its drawing is legible."""

import ast
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from ledger.cli.main import app
from ledger.contracts.checker import read_contract
from ledger.contracts.grammar import VERDICTS
from ledger.contracts.sources import library_sources
from ledger.workbench.drawing import _WIDTH, Layout, draw
from ledger.workbench.reading import as_text, shown
from ledger.workbench.tree import Branch, NoSuchFunction, ends, read_tree

DECIDING = {
    name: source
    for name, source in library_sources().items()
    if "decide" in read_contract(source).functions
}
JOINING = '''"""Ways that part and join."""
from ledger.contracts.prelude import denies, permits, query, require, silent

KINDS = ["a", "b"]

@query
def decide(request: dict) -> dict:
    """Show how ways
    join again.

    More."""
    level = 1
    if request["kind"] == "a":
        level = 2
        if request["purpose"] == "TREAT":
            level = 3
    elif request["kind"] in KINDS:
        while level < 5:
            level += 1
            if is_odd(level):
                continue
            break
    require(level != 4, "four")
    if level == 3:
        return helper(request)
    found = helper(request)
    if found["effect"] == "deny":
        return found
    return permits("x<&>"[0:1], until=5) if level == 2 else silent("y")


def helper(request: dict) -> dict:
    if request["case"] == "":
        return silent("no-case")
    return denies(request["case"], why="<&>", when=[
        1,
        2,
    ])


def is_odd(number: int) -> bool:
    """Whether a number is odd."""
    return number % 2 == 1
'''


def verdict_lines(source: str) -> set[int]:
    """The lines of verdicts in the functions that ``decide`` reaches, found another way."""
    functions = read_contract(source).functions
    reached, waiting = set(), ["decide"]
    lines = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for node in ast.walk(functions[name].node):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in VERDICTS:
                    lines.add(node.lineno)
                elif node.func.id in functions:
                    waiting.append(node.func.id)
    return lines


@pytest.mark.parametrize("name", DECIDING)
def test_every_verdict_of_the_library_is_in_its_tree(name: str) -> None:
    tree = read_tree(DECIDING[name])
    assert {leaf.line for leaf in tree.leaves()} == verdict_lines(DECIDING[name])
    assert ends(tree.nodes)


def test_a_tree_reads_like_its_source() -> None:
    assert (
        as_text(read_tree(JOINING))
        == """\
decide: Show how ways join again.

  12  level = 1
  13  if kind == "a"
  14      level = 2
  15      if purpose == "TREAT"
  16          level = 3
  17  or else if kind in KINDS
  18      while level < 5
  19          level += 1
  20          if is_odd(level)
  21              go on with the next
  22          leave the loop
  23  require(level != 4, "four")
  24  if level == 3
  25      as helper(request) says
  33      if case == ""
  34          → says nothing: no-case
  35      → denies: case
              relying on why = "<&>", when = [1, 2]
  26  found = helper(request)
  33      if case == ""
  34          → says nothing: no-case
  35      → denies: case
              relying on why = "<&>", when = [1, 2]
  27  if found["effect"] == "deny"
  28      answer found
  29  if level == 2
  29      → permits: "x<&>"[0:1]
              until 5
      otherwise
  29      → says nothing: y

where KINDS is a, b

is_odd: Whether a number is odd."""
    )


def test_a_guard_ends_and_a_condition_that_falls_through_does_not() -> None:
    tree = read_tree(JOINING)
    first, last = (node for node in (tree.nodes[1], tree.nodes[-1]))
    assert isinstance(first, Branch)
    assert not ends((first,))
    assert ends((last,))


def test_long_constants_are_cut() -> None:
    assert shown(["x"] * 20).endswith(", x, and 8 more")
    assert shown({str(number): number for number in range(99)}) == "a table of 99 entries"
    assert shown(b"\x01\xff") == "0x01ff"


def test_a_function_that_is_not_there_is_named() -> None:
    with pytest.raises(NoSuchFunction, match="no function judged"):
        read_tree(JOINING, "judged")


@pytest.mark.parametrize("source", [*DECIDING.values(), JOINING], ids=[*DECIDING, "joining"])
def test_boxes_do_not_overlap_and_arrows_cross_none(source: str) -> None:
    layout = Layout(read_tree(source).nodes, 40)
    assert layout.boxes
    for one, other in combinations(layout.boxes, 2):
        apart = (
            one.x + _WIDTH < other.x or other.x + _WIDTH < one.x
            or one.bottom < other.y or other.bottom < one.y
        )  # fmt: skip
        assert apart, (one, other)
    for arrow in layout.arrows:
        for (x, y), (to_x, to_y) in zip(arrow.points, arrow.points[1:], strict=False):
            for box in layout.boxes:
                outside = (
                    max(x, to_x) <= box.x or min(x, to_x) >= box.right
                    or max(y, to_y) <= box.y or min(y, to_y) >= box.bottom
                )  # fmt: skip
                assert outside, (arrow, box)


@pytest.mark.parametrize("source", [*DECIDING.values(), JOINING], ids=[*DECIDING, "joining"])
def test_a_drawing_is_well_formed_and_inside_its_frame(source: str) -> None:
    tree = read_tree(source)
    root = ElementTree.fromstring(draw(tree, "a & b"))
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    rectangles = [found for found in root.iter() if found.tag.endswith("rect")]
    assert len(rectangles) > len(list(tree.leaves()))
    for found in rectangles:
        assert int(found.get("x", 0)) + int(found.attrib["width"]) <= width
        assert int(found.get("y", 0)) + int(found.attrib["height"]) <= height
    words = " ".join(
        "".join(found.itertext()) for found in root.iter() if found.tag.endswith("text")
    )
    for leaf in tree.leaves():
        assert leaf.rule.split()[0][:20] in words


def test_the_command_writes_text_and_drawing(tmp_path: Path) -> None:
    file, drawing = tmp_path / "mine.py", tmp_path / "mine.svg"
    file.write_text(JOINING)
    result = CliRunner().invoke(app, ["contract", "explain", str(file), "--drawing", str(drawing)])
    assert result.exit_code == 0
    assert result.output.startswith("mine.decide: Show how ways join again.\n")
    assert ElementTree.parse(drawing).getroot().tag.endswith("svg")
    result = CliRunner().invoke(app, ["contract", "explain", "recognition"])
    assert "→ permits: patient-is-checked-in" in result.output


def test_the_command_ends_with_its_code(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import os\n")
    for arguments, code in (
        ([str(file)], 1),
        (["access"], 2),
        ([str(tmp_path / "none.py")], 3),
    ):
        assert CliRunner().invoke(app, ["contract", "explain", *arguments]).exit_code == code
