"""Writes the OpenAPI document of the interface without a node: what clients are generated from.

python scripts/openapi.py [FILE]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from ledger.api.app import create_app
from ledger.api.service import NodeService


def document() -> dict[str, Any]:
    """Everything under ``/v1``, as every node has it."""
    nobody = SimpleNamespace(
        node="node", institution="institution", network="network", metrics=CollectorRegistry(),
        damaged=lambda error: None, reading=None, webhooks=None, notices=None, chain=bytes(32),
    )  # fmt: skip
    found = create_app(cast(NodeService, nobody)).openapi()
    found["paths"] = {
        path: operations for path, operations in found["paths"].items() if path.startswith("/v1")
    }
    return _used(found)


def _used(found: dict[str, Any]) -> dict[str, Any]:
    """The document without the schemas that nothing in it refers to."""
    schemas = found["components"]["schemas"]
    wanted: set[str] = {"StreamedEvent"}
    before = -1
    while before != len(wanted):
        before = len(wanted)
        text = json.dumps([found["paths"], [schemas[name] for name in sorted(wanted)]])
        wanted |= {name for name in schemas if f'"#/components/schemas/{name}"' in text}
    found["components"]["schemas"] = {name: schemas[name] for name in sorted(wanted)}
    return found


def main() -> None:
    text = json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
