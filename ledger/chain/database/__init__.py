"""The database under the store: one interface, and a kind for each product.

Statements are built with SQLAlchemy, compiled once by `Database.query`, and run on the driver's own
cursor, because a block writes thousands of rows. What differs between SQLite and PostgreSQL is in
the two modules of those names; nothing else in the program asks which of them it has.
"""

from ledger.chain.database.address import open_database
from ledger.chain.database.errors import (
    StoreAway,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnusable,
)
from ledger.chain.database.interface import Database, Moment, Query, Writer

__all__ = [
    "Database",
    "Moment",
    "Query",
    "StoreAway",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnusable",
    "Writer",
    "open_database",
]
