"""What would be decided if a contract had another source: on a copy of a chain's state.

Nothing is written. The state is read at one height; one source stands in for what the chain has,
and everything else is as it is: the other contracts, people, consents, the time of the block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain.codec import Malformed, encode
from ledger.chain.constitution import Read
from ledger.chain.result import CallResult
from ledger.chain.transaction import Body, Call, Envelope, Transaction, decode_transaction
from ledger.contracts.checker import read_contract
from ledger.contracts.machine import BlockContext, Machine
from ledger.contracts.values import unpack
from ledger.contracts.versions import schedule_key, source_key
from ledger.crypto import hashing

GAS: Final = 20_000_000
#: Whose methods give decisions.
_ACCESS: Final = "access"
_SETTINGS: Final = b"access/settings"


class CannotTry(ValueError):
    """What was asked for cannot be tried on this chain."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The same request twice. ``before``: with the contracts of the chain; ``after``: with the
    source that is tried in place."""

    contract: str
    height: int
    before: CallResult
    after: CallResult

    @property
    def differs(self) -> bool:
        """Whether outcome, rule, obligations or end would be others."""
        return summary(self.before) != summary(self.after)


def summary(result: CallResult) -> tuple[Any, ...]:
    """What of a decision concerns people; the error of a request that failed."""
    if not result.ok:
        return (result.error,)
    value = result.value
    return tuple(value[part] for part in ("outcome", "rule", "obligations", "expires"))


def in_place(read: Read, name: str, source: str) -> Callable[[bytes], bytes | None]:
    """A state in which a contract has this source, from now on; asked by ``access`` if it decides.

    Raises:
        InvalidContract: it is no contract.
    """
    facts = read_contract(source)
    identity = hashing.SOURCE(source.encode()).hex()
    schedule = read(schedule_key(name))
    version = 1
    if schedule is not None:
        version = max(entry["version"] for entry in unpack(schedule)) + 1
    entry = {"from": 0, "version": version, "source": identity, "paused": "", "due": 0}
    changed = {
        schedule_key(name): encode([entry]),
        source_key(identity): encode(source),
    }
    settings = read(_SETTINGS)
    if "decide" in facts.functions and settings is not None and schedule is None:
        terms = unpack(settings)
        for asked in terms["asked"].values():
            asked.append(name)
        changed[_SETTINGS] = encode(terms)

    def reading(key: bytes) -> bytes | None:
        return changed[key] if key in changed else read(key)

    return reading


def request(read: Read, context: BlockContext, wanted: dict[str, Any]) -> Transaction:
    """The transaction of a request that nobody signed, by somebody whom the chain knows.

    Args:
        wanted: ``requester``: id of a person; ``pointer``, ``purpose`` and whatever else
            ``access.request`` takes. Without ``reply_key``, one of zeros.

    Raises:
        CannotTry: the requester is not given, unknown, or has no key.
    """
    arguments = dict(wanted)
    requester = arguments.pop("requester", None)
    if not isinstance(requester, str):
        raise CannotTry("the request names no requester")
    raw = read(f"registry/people/{requester}".encode())
    person = None if raw is None else unpack(raw)
    if person is None or not person["keys"]:
        raise CannotTry(f"the chain knows no key of {requester}")
    defaults = {"proof": {}, "institution": "", "reply_key": bytes(32)}
    call = Call(_ACCESS, "request", {**defaults, **arguments})
    body = Body(
        context.chain, b"trial", 0, context.height, False, (call,),
        (bytes.fromhex(person["keys"][0]),),
    )  # fmt: skip
    try:
        return decode_transaction(encode(Envelope(encode(body), (bytes(64),))))
    except Malformed as error:
        raise CannotTry(str(error)) from None


def attempt(
    read: Read, context: BlockContext, transaction: Transaction, call: int, name: str, source: str
) -> Trial:
    """Run one call of a transaction with and without a source in place.

    Raises:
        InvalidContract: the source is no contract.
    """
    machine = Machine()

    def run(reading: Read) -> CallResult:
        # The calls before it belong to what the decision rested on.
        done = machine.execute(reading, context, [transaction], GAS, GAS * (call + 1))
        return done.results[0].calls[call]

    return Trial(name, context.height, run(read), run(in_place(read, name, source)))
