"""The tables of the index.

Everything that repeats (people, institutions, purposes, rules) is a number here and a text once, in
``names``; at ten million accesses that is the difference between one gigabyte and five. Lists are
in the order of time, and where times are equal in that of ``id``, so every index ends with both.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

#: What the tables below are. An index of another form is made anew, not migrated.
FORM: Final = 2

metadata = MetaData()

_ROW = BigInteger().with_variant(Integer, "sqlite")


def _word(length: int) -> String:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


#: ``form``; ``chain``: its id; ``mark``: a random name of this making of the index; ``row``,
#: ``height``: up to where the state of the store is in it, 8 bytes big-endian.
meta = Table(
    "reading_meta",
    metadata,
    Column("name", _word(16), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

names = Table(
    "reading_names",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("name", _word(200), nullable=False),
)
Index("reading_names_by_name", names.c.name, unique=True)

#: Decisions of ``access`` and questions of ``enquiry``. ``key``: the number of the state entry,
#: by which a row is found when the entry changes. ``request``: the id of the entry, packed.
#: ``entry``: its number in the patient's log of disclosures, null while she is not told.
#: ``leaf``: the hash of that entry. ``released``, ``received``: block times.
accesses = Table(
    "reading_accesses",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("key", BigInteger, nullable=False),
    Column("request", LargeBinary(80), nullable=False),
    Column("what", SmallInteger, nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("entry", BigInteger),
    Column("time", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("requester", BigInteger, nullable=False),
    Column("institution", BigInteger, nullable=False),
    Column("holder", BigInteger, nullable=False),
    Column("purpose", BigInteger, nullable=False),
    Column("outcome", BigInteger, nullable=False),
    Column("rule", BigInteger, nullable=False),
    Column("kind", BigInteger, nullable=False),
    Column("record", LargeBinary(32), nullable=False),
    Column("case", _word(80), nullable=False),
    Column("released", BigInteger),
    Column("received", BigInteger),
    Column("leaf", LargeBinary(32)),
)
Index("reading_accesses_by_key", accesses.c.key)
Index("reading_accesses_by_subject", accesses.c.subject, accesses.c.entry)
for _column in ("requester", "institution", "holder"):
    Index(f"reading_accesses_by_{_column}", accesses.c[_column], accesses.c.time, accesses.c.id)

emergencies = Table(
    "reading_emergencies",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("key", BigInteger, nullable=False),
    Column("request", LargeBinary(80), nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("person", BigInteger, nullable=False),
    Column("institution", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("reason", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("reviewed", BigInteger),
)
Index("reading_emergencies_by_key", emergencies.c.key)
for _column in ("subject", "person", "institution"):
    Index(
        f"reading_emergencies_by_{_column}",
        emergencies.c[_column],
        emergencies.c.time,
        emergencies.c.id,
    )

consents = Table(
    "reading_consents",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("key", BigInteger, nullable=False),
    Column("consent", _word(64), nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("withdrawn", BigInteger),
)
Index("reading_consents_by_key", consents.c.key)
Index("reading_consents_by_subject", consents.c.subject, consents.c.time, consents.c.id)

#: Requests to destroy a record, and disputes about one. ``what``: ``erasure`` or ``dispute``.
#: ``due``: when the holder has to have done the next thing; ``until``: up to when the law keeps the
#: record, 0 where that is not said.
cases = Table(
    "reading_cases",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("key", BigInteger, nullable=False),
    Column("request", LargeBinary(80), nullable=False),
    Column("what", BigInteger, nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("holder", BigInteger, nullable=False),
    Column("record", LargeBinary(32), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("reason", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("ended", BigInteger),
)
Index("reading_cases_by_key", cases.c.key)
for _column in ("subject", "holder"):
    Index(f"reading_cases_by_{_column}", cases.c[_column], cases.c.time, cases.c.id)

#: What a regulator has to look at. ``subject`` is null where it is about nobody. ``closed``: when
#: what was missing came after all.
findings = Table(
    "reading_findings",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=False),
    Column("kind", BigInteger, nullable=False),
    Column("about", _word(128), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("institution", BigInteger, nullable=False),
    Column("subject", BigInteger),
    Column("closed", BigInteger),
)
Index("reading_findings_by_about", findings.c.about, findings.c.kind, unique=True)
Index("reading_findings_by_time", findings.c.time, findings.c.id)
Index("reading_findings_by_kind", findings.c.kind, findings.c.time, findings.c.id)
Index(
    "reading_findings_by_institution",
    findings.c.institution,
    findings.c.time,
    findings.c.id,
)

#: What becomes a finding when block time passes ``due`` and nothing has come.
deadlines = Table(
    "reading_deadlines",
    metadata,
    Column("about", _word(128), primary_key=True),
    Column("kind", BigInteger, primary_key=True),
    Column("due", BigInteger, nullable=False),
    Column("institution", BigInteger, nullable=False),
    Column("subject", BigInteger),
    sqlite_with_rowid=False,
)
Index("reading_deadlines_by_due", deadlines.c.due)
