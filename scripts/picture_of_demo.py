"""Draws what the demo says as a picture for the README: an SVG of a terminal.

    .venv/bin/python scripts/picture_of_demo.py --lang en docs/images/demo.svg

It runs the demo, unless `--narration` names a file with what a run of it has said.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ledger.demo.narration import LINES, Language

WIDTH = 104
INDENT = 4
#: How many of several lines of one kind are shown; the others become one "…".
SHOWN = {"consent_rules": 2, "consent_refused": 2}
#: Where this run kept its files says nothing to a reader.
LEFT_OUT = frozenset({"home", "staying", "stopped"})
STYLES = {
    "founding": "bold",
    "starting": "bold",
    "anchoring": "bold",
    "permitted": "green",
    "denied": "red",
    "nothing_left": "red",
    "withheld": "red",
    "consent_refused": "yellow",
    "killed": "bold red",
    "back": "bold green",
    "agree": "bold green",
    "verified": "green",
    "receipt": "green",
    "node": "dim",
}
FIELD = re.compile(r"\\\{[a-z_]+\\\}")
FONT_FROM_AFAR = re.compile(r"\s*@font-face \{[^}]*\}")
#: Unlike the indentation's, so that both stay apart: some viewers drop blanks that begin a text.
PLAIN = "not bold"


def kinds(language: Language) -> dict[str, re.Pattern[str]]:
    """Each kind of line with what a line of that kind looks like."""
    place = 0 if language == "en" else 1
    return {
        kind: re.compile(FIELD.sub(".*", re.escape(texts[place]))) for kind, texts in LINES.items()
    }


def kind_of(line: str, known: dict[str, re.Pattern[str]]) -> str:
    """The kind of a line of the narration; empty for a blank line."""
    found = [kind for kind, pattern in known.items() if pattern.fullmatch(line)]
    if not found and line.strip():
        raise SystemExit(f"the demo never says: {line}")
    return found[0] if found else ""


def draw(narration: str, language: Language) -> str:
    """The SVG text of a narration."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    known = kinds(language)
    counts = dict.fromkeys(SHOWN, 0)
    skipping = False
    console.print(Text("$ make demo", style="bold cyan"))
    for line in narration.splitlines():
        kind = kind_of(line, known)
        if not kind or kind in LEFT_OUT:
            continue
        if kind in SHOWN:
            counts[kind] += 1
            if counts[kind] > SHOWN[kind]:
                if not skipping:
                    console.print(Text("  ").append("…", style=PLAIN))
                skipping = True
                continue
        skipping = False
        style = STYLES.get(kind, "bold cyan" if kind.startswith("scene_") else PLAIN)
        words = line.lstrip()
        indent = len(line) - len(words)
        for piece in Text(words, style=style).wrap(console, WIDTH - INDENT):
            console.print(Text(" " * indent).append_text(piece))
            indent = INDENT
    return FONT_FROM_AFAR.sub("", console.export_svg(title="health-ledger"))


def narrate(language: Language) -> str:
    """Play the demo; what it says."""
    command = [str(Path(sys.executable).parent / "health-ledger"), "demo", "--once"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--lang", language], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--lang", choices=("en", "zh"), default="en")
    parser.add_argument("--narration", type=Path)
    given = parser.parse_args()
    said = given.narration.read_text("utf-8") if given.narration else narrate(given.lang)
    svg = draw(said, given.lang)
    lines = [line.rstrip() for line in svg.splitlines()]
    given.picture.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
