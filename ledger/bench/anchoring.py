"""How fast a holder's records are taken in and put into batches, and in how much memory.

    python -m ledger.bench.anchoring 200000

Makes so many small laboratory results in files, takes them in twice (all new, then all as they
were) against a chain that accepts at once, and prints one JSON object per pass. What a real chain
adds is one block for sixteen batches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node.anchoring import anchor
from ledger.node.clock import now_ms
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.vault import Vault

#: Files in one directory.
FOLDER = 1_000
PATIENTS = 5_000


def make_records(root: Path, count: int) -> None:
    """Write so many results of 5,000 patients, a thousand to a directory."""
    for number in range(count):
        folder = root / f"{number // FOLDER:06}"
        if number % FOLDER == 0:
            folder.mkdir(parents=True)
        content = {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": f"Patient/{number % PATIENTS}"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
            "effectiveDateTime": "2026-01-02T03:04:05Z",
            "valueQuantity": {"value": number, "unit": "g/L"},
        }
        (folder / f"{number}.json").write_text(json.dumps(content))


def measure(directory: Path, count: int) -> Iterator[dict[str, Any]]:
    """Two passes over so many records; what each took."""
    make_records(directory / "records", count)
    subjects = {f"Patient/{number}": f"p-{number:032x}" for number in range(PATIENTS)}
    vault = Vault.open(directory / "vault.db", DirectoryConnector(directory / "records", settled=0))
    before = _peak()
    try:
        for what in ("new", "unchanged"):
            cpu, wall = time.process_time(), time.monotonic()
            report = asyncio.run(anchor(vault, "holder", subjects, now_ms(), _accept))
            cpu = time.process_time() - cpu
            yield {
                "records": count,
                what: getattr(report, what),
                "cpu_seconds": round(cpu, 1),
                "seconds": round(time.monotonic() - wall, 1),
                "records_per_cpu_second": round(count / cpu),
                "peak_grew_mib": _peak() - before,
                "bytes_per_record": sum(p.stat().st_size for p in directory.glob("*.db*")) // count,
            }
    finally:
        vault.close()


async def _accept(_call: Call) -> tuple[int, CallResult]:
    return 1, CallResult(True, "", None, 1, ())


def _peak() -> int:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int)
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory() as directory:
        for found in measure(Path(directory), options.records):
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
