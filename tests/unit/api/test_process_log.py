"""How a node process writes its log."""

from __future__ import annotations

import io
import json
import sys

import pytest
import structlog

from ledger.api import process


class Stream(io.StringIO):
    """Notes what each write brings."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_a_line_is_written_with_its_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    before = structlog.get_config()
    process._configure_logging()
    try:
        structlog.get_logger("a test").info("peer_lost", peer="east-1")
    finally:
        structlog.configure(**before)
    (line,) = stream.writes
    assert line.endswith("}\n")
    assert json.loads(line)["event"] == "peer_lost"
