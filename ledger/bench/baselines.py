"""What the machine can do, measured in the same run, so that every other figure is a ratio."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import sqlalchemy

from ledger.crypto import suites
from ledger.crypto.keys import SigningKey


def verifications_per_second(seconds: float = 1.0) -> float:
    """Ed25519 signatures of 32-byte messages under different keys, verified on one core."""
    signed = []
    for number in range(64):
        key = SigningKey.generate()
        message = number.to_bytes(32, "big")
        signed.append((key.public, message, key.sign(message)))
    count = 0
    start = time.process_time()
    while time.process_time() - start < seconds:
        for public, message, signature in signed:
            if not suites.verify(public, message, signature):
                raise AssertionError("a good signature was refused")
        count += len(signed)
    return count / (time.process_time() - start)


def durable_commits_per_second(seconds: float = 1.0) -> float:
    """Transactions of one 500-byte row that SQLite (WAL, full sync) puts on this disk."""
    with tempfile.TemporaryDirectory(prefix="health-ledger-") as directory:
        engine = sqlalchemy.create_engine(f"sqlite:///{Path(directory) / 'commits.db'}")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
            connection.exec_driver_sql("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
            connection.commit()
            body = bytes(500)
            count = 0
            start = time.perf_counter()
            while time.perf_counter() - start < seconds:
                connection.exec_driver_sql("INSERT INTO rows (body) VALUES (?)", (body,))
                connection.commit()
                count += 1
            rate = count / (time.perf_counter() - start)
        engine.dispose()
    return rate
