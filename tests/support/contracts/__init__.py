"""The small consortium of the product, `ledger.workbench.consortium`, for the project's own tests.

People, institutions and the arguments of the genesis are added there.
"""

from ledger.workbench.consortium import (
    CHILD,
    DAY,
    ELDER,
    FATHER,
    HOUR,
    INMATE,
    INSTITUTIONS,
    MOTHER,
    NEIGHBOUR,
    NODES,
    NOTE,
    PATIENT,
    PEOPLE,
    REPLY_KEY,
    SON,
    START,
    World,
    key_of,
    name_of,
    pointer,
)

__all__ = [
    "CHILD",
    "DAY",
    "ELDER",
    "FATHER",
    "HOUR",
    "INMATE",
    "INSTITUTIONS",
    "MOTHER",
    "NEIGHBOUR",
    "NODES",
    "NOTE",
    "PATIENT",
    "PEOPLE",
    "REPLY_KEY",
    "SON",
    "START",
    "World",
    "key_of",
    "name_of",
    "pointer",
]
