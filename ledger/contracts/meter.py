"""Gas: what each operation of a contract costs, and how a call runs out of it.

One gas is about the time of one node of the tree, 50 to 100 ns on the machines of 2026. Prices are
part of the protocol: two nodes with different prices disagree about results.
"""

from __future__ import annotations

from typing import Final

#: Characters that one gas reads where content is compared, searched or hashed.
CONTENT_UNIT: Final = 64
#: Characters that one gas makes. Smaller than what time would ask for: it bounds memory.
COPY_UNIT: Final = 8

#: Added to the node count of a block where it contains these.
BUILTIN_CALL: Final = 2
FUNCTION_CALL: Final = 8
LOOP_TURN: Final = 1

#: Prices of what reaches outside the contract; bytes of encoded values are charged on top.
STATE_READ: Final = 100
STATE_WRITE: Final = 300
EVENT: Final = 100
CONTRACT_CALL: Final = 300
HASH: Final = 20
#: Taking a time apart into a date, or putting one together.
DATE: Final = 10
#: Adding decimals; multiplying; reading and writing their text; rounding; dividing.
DECIMAL: Final = 4
DECIMAL_PRODUCT: Final = 8
DECIMAL_TEXT: Final = 8
DECIMAL_ROUNDED: Final = 8
DECIMAL_DIVIDED: Final = 30
SIGNATURE: Final = 2_500

#: Encoded bytes of a value that one gas reads.
READ_UNIT: Final = 2


class Failure(Exception):
    """The end of a call: a stable code, an explanation, and where it happened.

    Contracts can't catch it. Neither part ever holds text of CPython.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.place = ""

    def at(self, contract: str, line: int) -> None:
        """Note the innermost line; the lines of its callers come later and are ignored."""
        if not self.place:
            self.place = f"{contract}:{line}"


class OutOfGas(Failure):
    """The gas of the call is used up."""

    def __init__(self) -> None:
        super().__init__("out_of_gas", "the gas limit of the call is used up")


class Meter:
    """The gas that is left."""

    __slots__ = ("gas",)

    def __init__(self, gas: int) -> None:
        self.gas = gas

    def charge(self, cost: int) -> None:
        """Pay before doing; raises `OutOfGas`."""
        self.gas -= cost
        if self.gas < 0:
            raise OutOfGas
