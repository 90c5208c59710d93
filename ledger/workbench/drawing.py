"""A decision tree as a drawing: SVG, made here, readable in every browser.

The main way goes down. What follows from a condition that is true stands to its right, verdicts are
coloured by their effect, and a dashed line shows where the way goes on. Nothing overlaps, because
what comes next begins below everything that stands to the right of what came before.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Final

from ledger.workbench.reading import shown, verdict_words
from ledger.workbench.tree import Branch, Case, Leaf, Loop, Node, Step, Tree

#: Characters in a line of a box, and pixels of one in the font below.
_COLUMNS: Final = 38
_CHARACTER: Final = 7.25
_LINE: Final = 16
_PAD: Final = 10
_WIDTH: Final = round(_COLUMNS * _CHARACTER) + 2 * _PAD
_GAP_X: Final = 64
_GAP_Y: Final = 30
_MARGIN: Final = 24
_HEADER_COLUMNS: Final = 100
_MOST_LINES: Final = 7

#: Kind of box: fill, border, text.
_COLOURS: Final = {
    "condition": ("#ffffff", "#475569", "#0f172a"),
    "loop": ("#f5f3ff", "#7c3aed", "#2e1065"),
    "step": ("#f8fafc", "#cbd5e1", "#475569"),
    "permit": ("#dcfce7", "#15803d", "#14532d"),
    "oblige": ("#dbeafe", "#1d4ed8", "#1e3a8a"),
    "limit": ("#fef3c7", "#b45309", "#78350f"),
    "deny": ("#fee2e2", "#b91c1c", "#7f1d1d"),
    "forbid": ("#7f1d1d", "#450a0a", "#ffffff"),
    "none": ("#e2e8f0", "#64748b", "#334155"),
}
_ROUND: Final = frozenset({"permit", "oblige", "limit", "deny", "forbid", "none"})


@dataclass(frozen=True, slots=True)
class Box:
    """A box at its place, in pixels. ``kind``: of the colours; ``number``: line of the source."""

    x: int
    y: int
    height: int
    kind: str
    number: int
    lines: tuple[str, ...]

    @property
    def right(self) -> int:
        return self.x + _WIDTH

    @property
    def bottom(self) -> int:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line through points to the next box. ``back``: from a side way to the main one."""

    points: tuple[tuple[int, int], ...]
    label: str
    back: bool


@dataclass(frozen=True, slots=True)
class _Exit:
    """A way out of a box that leads on. ``side``: from a column to the right of what follows."""

    box: Box
    label: str
    side: bool = False
    rightwards: bool = False


class Layout:
    """The boxes and arrows of some nodes."""

    def __init__(self, nodes: tuple[Node, ...], top: int) -> None:
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self._place(nodes, _MARGIN, top, [])

    @property
    def width(self) -> int:
        return max((box.right for box in self.boxes), default=_MARGIN) + _MARGIN

    @property
    def bottom(self) -> int:
        return max((box.bottom for box in self.boxes), default=_MARGIN)

    def _place(
        self, nodes: tuple[Node, ...], x: int, y: int, entries: list[_Exit]
    ) -> tuple[int, list[_Exit]]:
        """Put nodes below each other; returns where they end and the ways that lead on."""
        waiting = list(nodes)
        while waiting:
            node = waiting.pop(0)
            match node:
                case Leaf():
                    box = self._box(x, y, node.effect, node.line, verdict_words(node), entries)
                    y, entries = box.bottom + _GAP_Y, []
                case Step():
                    texts = [node.text]
                    while not node.inside and not node.ends and waiting and _is_plain(waiting[0]):
                        node = waiting.pop(0)
                        assert isinstance(node, Step)
                        texts.append(node.text)
                    box = self._box(x, y, "step", node.line, texts, entries)
                    y = self._beside(node.inside, box, "")[0]
                    entries = [] if node.ends else [_Exit(box, "")]
                case Loop():
                    box = self._box(x, y, "loop", node.line, [node.text], entries)
                    y = self._beside(node.body, box, "each")[0]
                    entries = [_Exit(box, "then")]
                case Branch():
                    y, entries = self._branch(node, x, y, entries)
        return y, entries

    def _branch(
        self, node: Branch, x: int, y: int, entries: list[_Exit]
    ) -> tuple[int, list[_Exit]]:
        leaving: list[_Exit] = []
        for case in node.cases:
            box = self._box(x, y, "condition", case.line, [_question(case)], entries)
            y, exits = self._beside(case.then, box, "yes")
            leaving += [_Exit(found.box, found.label, side=True) for found in exits]
            entries = [_Exit(box, "no")]
        y, exits = self._place(node.otherwise, x, y, entries)
        return y, exits + leaving

    def _beside(self, nodes: tuple[Node, ...], box: Box, label: str) -> tuple[int, list[_Exit]]:
        """Put nodes to the right of a box; returns where the next may begin, and the ways on."""
        entry = [_Exit(box, label, rightwards=True)]
        bottom, exits = self._place(nodes, box.right + _GAP_X, box.y, entry)
        return max(bottom, box.bottom + _GAP_Y), exits if nodes else []

    def _box(
        self, x: int, y: int, kind: str, number: int, texts: list[str], entries: list[_Exit]
    ) -> Box:
        lines = [
            piece
            for text in texts
            for piece in wrap(text, _COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
        ]
        if len(lines) > _MOST_LINES:
            lines = [*lines[: _MOST_LINES - 1], "  …"]
        box = Box(x, y, len(lines) * _LINE + 2 * _PAD, kind, number, tuple(lines))
        self.boxes.append(box)
        for entry in entries:
            self.arrows.append(_arrow(entry, box))
        return box


def _is_plain(node: Node) -> bool:
    return isinstance(node, Step) and not node.inside and not node.ends


def _question(case: Case) -> str:
    return f"{case.text}?"


def _arrow(entry: _Exit, to: Box) -> Arrow:
    box = entry.box
    if entry.rightwards:
        middle = min(box.y + _LINE, to.y + _LINE)
        return Arrow(((box.right, middle), (to.x, middle)), entry.label, False)
    if not entry.side:
        centre = box.x + 2 * _PAD
        return Arrow(((centre, box.bottom), (centre, to.y)), entry.label, False)
    # Out of the box's lower left corner, down between the columns, and in above the next box.
    start = box.x + _PAD
    gutter = box.x - _GAP_X // 3
    above = to.y - _GAP_Y // 2
    end = to.x + _WIDTH // 2
    points = (
        (start, box.bottom), (start, box.bottom + _GAP_Y // 4), (gutter, box.bottom + _GAP_Y // 4),
        (gutter, above), (end, above), (end, to.y),
    )  # fmt: skip
    return Arrow(points, entry.label, True)


def draw(tree: Tree, title: str) -> str:
    """The drawing of a tree as one SVG document."""
    head = [title, *wrap(tree.doc, _HEADER_COLUMNS)]
    layout = Layout(tree.nodes, _MARGIN + len(head) * (_LINE + 4) + _GAP_Y // 2)
    foot = [
        piece
        for text in [
            *(f"where {name} is {shown(value)}" for name, value in tree.constants.items()),
            *(f"{name}: {doc}" for name, doc in tree.helpers.items() if doc),
        ]
        for piece in wrap(text, _HEADER_COLUMNS, subsequent_indent="    ", break_on_hyphens=False)
    ]
    below = layout.bottom + _GAP_Y
    height = below + len(foot) * _LINE + _MARGIN
    width = max(layout.width, round(_HEADER_COLUMNS * _CHARACTER) + 2 * _MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="DejaVu Sans Mono, Menlo, monospace" '
        f'font-size="12" role="img" aria-label="{escape(title, quote=True)}">',
        "<defs>"
        '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#475569"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, text in enumerate(head):
        weight = ' font-weight="bold" font-size="15"' if place == 0 else ""
        parts.append(_text(_MARGIN, _MARGIN + place * (_LINE + 4) + 6, text, "#0f172a", weight))
    parts += [_drawn_arrow(arrow) for arrow in layout.arrows]
    parts += [_drawn_box(box) for box in layout.boxes]
    for place, text in enumerate(foot):
        parts.append(_text(_MARGIN, below + place * _LINE + 12, text, "#475569"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: int, y: int, text: str, colour: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" xml:space="preserve"{more}>{escape(text)}</text>'


def _drawn_box(box: Box) -> str:
    fill, border, ink = _COLOURS[box.kind]
    corner = 14 if box.kind in _ROUND else 3
    parts = [
        f'<rect x="{box.x}" y="{box.y}" width="{_WIDTH}" height="{box.height}" rx="{corner}" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.3"/>'
    ]
    for place, text in enumerate(box.lines):
        bold = ' font-weight="bold"' if box.kind in _ROUND and place == 0 else ""
        parts.append(
            _text(
                box.x + _PAD,
                box.y + _PAD + place * _LINE + 12,
                text.replace("  ", "\u00a0\u00a0"),
                ink,
                bold,
            )
        )
    parts.append(
        f'<text x="{box.right - 4}" y="{box.y - 3}" font-size="9" text-anchor="end" '
        f'fill="#94a3b8">{box.number}</text>'
    )
    return "".join(parts)


def _drawn_arrow(arrow: Arrow) -> str:
    path = " ".join(
        f"{'M' if place == 0 else 'L'}{x} {y}" for place, (x, y) in enumerate(arrow.points)
    )
    style = ' stroke-dasharray="5 4" stroke="#94a3b8"' if arrow.back else ' stroke="#475569"'
    parts = [f'<path d="{path}" fill="none"{style} stroke-width="1.3" marker-end="url(#head)"/>']
    if arrow.label and not arrow.back:
        (x, y), (to_x, _) = arrow.points[0], arrow.points[-1]
        if x == to_x:
            parts.append(_text(x + 6, y + 19, arrow.label, "#475569", ' font-size="11"'))
        else:
            parts.append(_text(x + 8, y - 5, arrow.label, "#475569", ' font-size="11"'))
    return "".join(parts)
