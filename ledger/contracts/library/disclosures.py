"""Disclosures: for each patient, a log of everything about her data that she is told of.

Whoever decides about a patient's data puts an entry at the end of her log: `access` each decision,
`enquiry` each question which records there are. The state keeps of a log how many entries it has and
the roots of its complete subtrees, in the tree of RFC 9162 over the entries. So a list that somebody
shows to the patient is either exactly her log up to a height, or she sees that it is not; and a page
of a long list can be proved without the rest of it.

An entry that she is to be told of later, by a legal duty, is put there on the day she is told.
"""

from ledger.contracts.prelude import Map, caller, digest, encode, export, init, query, require

# Who writes: contracts that decide about the data of patients.
WRITERS = ["access", "enquiry"]

LEAF_TAG = b"\x00"
NODE_TAG = b"\x01"

# Patient → how many entries there are, and the roots of the complete subtrees, largest first.
logs = Map("logs")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def record(subject: str, entry: dict) -> int:
    """Put an entry at the end of a patient's log; returns its number there, from 0.

    The contract that calls keeps the number beside what the entry was made of, because only the
    entry's hash is kept here.
    """
    writer = caller()
    require(writer in WRITERS, "not_a_writer", "contracts that decide about patients' data write here")
    log = logs.get(subject)
    if log is None:
        log = {"count": 0, "peaks": []}
    number = log["count"]
    node = digest(LEAF_TAG + encode({"by": writer, "entry": entry}))
    peaks = log["peaks"]
    rest = number
    while rest % 2 == 1:
        node = digest(NODE_TAG + peaks.pop() + node)
        rest = rest // 2
    peaks.append(node)
    logs[subject] = {"count": number + 1, "peaks": peaks}
    return number


@query
def log(subject: str) -> dict:
    """How many entries the log of a patient has, and the roots of its complete subtrees."""
    found = logs.get(subject)
    return {"count": 0, "peaks": []} if found is None else found
