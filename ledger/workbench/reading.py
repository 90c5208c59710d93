"""A decision tree as indented text, to be read from top to bottom."""

from __future__ import annotations

import json
from typing import Any, Final

from ledger.workbench.tree import Branch, Leaf, Loop, Node, Step, Tree

#: How people say the effects.
EFFECTS: Final = {
    "permit": "permits",
    "oblige": "obliges by law",
    "limit": "limits",
    "deny": "denies",
    "forbid": "forbids",
    "none": "says nothing",
}
_INDENT: Final = "    "
_SHOWN_ITEMS: Final = 12


def verdict_words(leaf: Leaf) -> list[str]:
    """A verdict in a few lines: what and by which rule, then until when, bound to what, and why."""
    fields = dict(leaf.fields)
    lines = [f"{EFFECTS[leaf.effect]}: {leaf.rule}"]
    for name, words in (("until", "until"), ("duties", "bound to"), ("tell", "also told:"),
                        ("review_by", "reviewed by"), ("delete_by", "deleted by")):  # fmt: skip
        if name in fields:
            lines.append(f"{words} {fields.pop(name)}")
    if fields:
        relied = [name if name == text else f"{name} = {text}" for name, text in fields.items()]
        lines.append(f"relying on {', '.join(relied)}")
    return lines


def as_text(tree: Tree) -> str:
    """The tree, one condition or verdict a line with its line in the source, and the constants."""
    lines = [f"{tree.function}: {tree.doc}" if tree.doc else tree.function, ""]
    _write(tree.nodes, 0, lines)
    if tree.constants:
        lines.append("")
        lines += [f"where {name} is {shown(value)}" for name, value in tree.constants.items()]
    if tree.helpers:
        lines.append("")
        lines += [f"{name}: {doc}" if doc else name for name, doc in tree.helpers.items()]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A constant in a line, cut where it is long."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        more = f", and {len(value) - _SHOWN_ITEMS} more" if len(value) > _SHOWN_ITEMS else ""
        return ", ".join(value[:_SHOWN_ITEMS]) + more
    if isinstance(value, dict) and len(value) > _SHOWN_ITEMS:
        return f"a table of {len(value)} entries"
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, str | int | list | tuple | dict) or value is None:
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _write(nodes: tuple[Node, ...], depth: int, lines: list[str]) -> None:
    for node in nodes:
        match node:
            case Leaf():
                first, *rest = verdict_words(node)
                _line(lines, node.line, depth, f"→ {first}")
                for more in rest:
                    _line(lines, None, depth, f"    {more}")
            case Step():
                _line(lines, node.line, depth, node.text)
                _write(node.inside, depth + 1, lines)
            case Loop():
                _line(lines, node.line, depth, node.text)
                _write(node.body, depth + 1, lines)
            case Branch():
                word = "if"
                for case in node.cases:
                    _line(lines, case.line, depth, f"{word} {case.text}")
                    _write(case.then, depth + 1, lines)
                    word = "or else if"
                if node.otherwise:
                    _line(lines, None, depth, "otherwise")
                    _write(node.otherwise, depth + 1, lines)


def _line(lines: list[str], number: int | None, depth: int, text: str) -> None:
    lines.append(f"{number or '':>4}  {_INDENT * depth}{text}")
