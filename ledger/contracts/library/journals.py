"""Journals: how far the logs have come that nodes keep beside the chain.

A node writes down who signed in at it, in a log whose lines hang on each other by hashes. Once a day
it says here how many lines there are and what the hash of the newest is. From then on the log cannot
be written anew: whoever holds its files can hold them against what stands here.
"""

from ledger.contracts.prelude import Map, call, emit, export, height, init, now, query, require, signers

LOGS = ["sign-in"]
HASH_BYTES = 32
# As many marks of the past are kept in the newest state; older ones are in its history.
KEPT = 30

marks = Map("marks")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def mark(log: str, entries: int, hash: bytes) -> None:
    """A node says how many entries a log of its has, and the hash of the newest."""
    require(log in LOGS, "unknown_log", "not a code of the list of logs")
    require(len(hash) == HASH_BYTES, "bad_hash", "a hash has 32 bytes")
    node = call("registry", "holding", key=signers()[0], role="node")
    require(len(node["institutions"]) > 0, "role_missing", "a node speaks for its own log")
    known = marks.get((node["id"], log), {"list": []})["list"]
    require(entries > 0 and (len(known) == 0 or entries > known[-1]["entries"]), "not_further", "a log only grows")
    known.append({"entries": entries, "hash": hash, "height": height(), "time": now()})
    marks[node["id"], log] = {"list": known[-KEPT:]}
    emit("marked", node=node["id"], log=log, entries=entries, hash=hash)


@query
def marks_of(node: str, log: str) -> list:
    """The newest marks of a log, oldest first."""
    return marks.get((node, log), {"list": []})["list"]
