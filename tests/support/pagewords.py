"""The words of the patients' page, from those of `ledger.decisions`.

Run as a module to write them: ``python -m tests.support.pagewords``.
"""

from __future__ import annotations

import json
from pathlib import Path

from ledger.decisions import declaration, words

PLACE = Path(__file__).parents[2] / "ledger" / "api" / "pages" / "words.js"
_HEAD = """\
// Codes and sentences in English and Chinese. Made by tests/support/pagewords.py from
// ledger/decisions; do not edit.

export const WORDS = """


def text() -> str:
    """The file as it is to be."""
    tables = {
        "purposes": words.PURPOSES,
        "classes": words.CLASSES,
        "reaches": declaration.REACHES,
        "reasons": declaration.REASONS,
        "sentences": declaration.SENTENCES,
        "fixed": {
            "anybody": declaration.ANYBODY,
            "anything": declaration.ANYTHING,
            "anyPurpose": declaration.ANY_PURPOSE,
            "forever": declaration.FOREVER,
            "until": declaration.UNTIL,
        },
    }
    return f"{_HEAD}{json.dumps(tables, ensure_ascii=False, indent=1)};\n"


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
