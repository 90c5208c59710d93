"""What a contract can reach outside itself: its state, its context, other contracts.

There is one `Run` for each call of a transaction. It carries the gas, the context and what the call
has done so far; contracts called by contracts share it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from ledger.chain import limits, merkle, pointer
from ledger.chain.constitution import Read
from ledger.chain.result import Event
from ledger.contracts import examination
from ledger.contracts.meter import (
    CONTENT_UNIT,
    CONTRACT_CALL,
    COPY_UNIT,
    EVENT,
    HASH,
    READ_UNIT,
    SIGNATURE,
    STATE_READ,
    STATE_WRITE,
    Failure,
    Meter,
    OutOfGas,
)
from ledger.contracts.values import SCALARS, kind_name, pack, type_error, unpack
from ledger.crypto import suites

#: Calls that may be active inside each other, of functions and of contracts together.
MAX_CALLS: Final = 32
#: Levels of nesting that may be active at once, summed over the active functions. It keeps the
#: interpreter inside a known part of the host's stack.
MAX_NESTING: Final = 400
#: What a call between contracts adds to that.
CALL_NESTING: Final = 6
MAX_EVENTS: Final = 64
MAX_EVENT_BYTES: Final = 64 * limits.KIB
MAX_MESSAGE: Final = 200
MAX_MERKLE_PATH: Final = 64

#: What a verdict consists of; it costs one gas for each.
VERDICT_FIELDS: Final = (
    "effect", "rule", "contract", "version", "line", "until", "duties", "facts",
)  # fmt: skip

#: The contract that says which contracts there are; the only one that a paused one answers.
CHARTER: Final = "charter"
#: Looking at which contract is in force.
LOOK: Final = 20

_ABSENT: Final = object()
_UNSAFE_IN_KEY: Final = re.compile("[/\x00-\x1f\x7f-\x9f]")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class Callee(Protocol):
    """A program, as a calling contract sees it."""

    @property
    def version(self) -> int:
        """Which version of the contract this is, from 1."""

    @property
    def paused(self) -> str:
        """Empty, or what others do in the place of a contract that answers nobody: deny or skip."""

    @property
    def init(self) -> str | None:
        """The name of the method that founds the contract."""

    def kind(self, method: str) -> str | None:
        """init, export or query; None where there is no such method."""

    def enter(self, run: Run, method: str, arguments: dict[str, Any]) -> Any:
        """Run a method in a `Run` that is set up for it."""


class Overlay:
    """Writes of a block that is being executed, over the state that it is executed on.

    ``entries`` holds the newest bytes of every key that was written; ``journal`` what they
    replaced, so that undoing a failed call costs only what it wrote.
    """

    __slots__ = ("entries", "journal", "read")

    def __init__(self, read: Read) -> None:
        self.read = read
        self.entries: dict[bytes, bytes | None] = {}
        self.journal: list[tuple[bytes, Any]] = []

    def get(self, key: bytes) -> bytes | None:
        entries = self.entries
        return entries[key] if key in entries else self.read(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self.journal.append((key, self.entries.get(key, _ABSENT)))
        self.entries[key] = value

    def undo_to(self, mark: int) -> None:
        """Undo every write since the journal had ``mark`` entries."""
        journal = self.journal
        while len(journal) > mark:
            key, before = journal.pop()
            if before is _ABSENT:
                del self.entries[key]
            else:
                self.entries[key] = before

    def writes(self) -> dict[bytes, bytes | None]:
        """The entries that differ from the state underneath."""
        read = self.read
        return {key: value for key, value in self.entries.items() if read(key) != value}


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call knows of its surroundings. ``time``: milliseconds; ``signers``: hex keys;
    ``transaction``: hex id, or "" where there is none; ``index``: place in the transaction;
    ``chain``: 32 bytes, none in the genesis."""

    height: int
    time: int
    signers: tuple[str, ...]
    transaction: str
    index: int
    chain: bytes


class Run(Meter):
    """One call of a transaction while it runs."""

    __slots__ = (
        "active",
        "caller",
        "context",
        "contract",
        "event_bytes",
        "events",
        "find",
        "nesting",
        "overlay",
        "prefix",
        "readonly",
        "stack",
        "version",
    )

    def __init__(
        self,
        gas: int,
        overlay: Overlay,
        context: CallContext,
        find: Callable[[str], Callee | None],
        contract: str,
        *,
        readonly: bool,
    ) -> None:
        super().__init__(gas)
        self.overlay = overlay
        self.context = context
        self.find = find
        self.contract = contract
        self.prefix = contract + "/"
        self.caller = ""
        self.readonly = readonly
        self.stack = [contract]
        self.active = 0
        self.nesting = 0
        self.events: list[Event] = []
        self.event_bytes = 0
        #: Version of the contract that is running.
        self.version = 0


def _key_part(part: Any) -> str:
    if type(part) is str:
        if part and (_UNSAFE_IN_KEY.search(part) is None):
            return part
        raise Failure("value_error", "a key is not empty and has no / or control characters")
    if type(part) is int:
        return str(part)
    raise type_error(f"a key of {kind_name(part)}")


def state_key(run: Run, name: str, key: Any) -> bytes:
    """The state key of a map's entry; ``name`` ends with "/"."""
    if type(key) is str and key.isprintable() and key and "/" not in key:
        text = key
    elif type(key) is tuple:
        if not key:
            raise type_error("a key of no parts")
        text = "/".join([_key_part(part) for part in key])
    else:
        text = _key_part(key)
    raw = (run.prefix + name + text).encode()
    if len(raw) > limits.MAX_STATE_KEY_BYTES:
        raise Failure("too_large", f"a state key of more than {limits.MAX_STATE_KEY_BYTES} bytes")
    return raw


def load(run: Run, key: bytes) -> bytes | None:
    """The stored bytes of an entry, paid for."""
    overlay = run.overlay
    entries = overlay.entries
    raw = entries[key] if key in entries else overlay.read(key)
    cost = STATE_READ if raw is None else STATE_READ + len(raw) // READ_UNIT
    run.gas = gas = run.gas - cost
    if gas < 0:
        raise OutOfGas
    return raw


def load_entry(run: Run, name: str, key: Any) -> bytes | None:
    """The stored bytes of a map's entry, paid for; ``name`` ends with "/"."""
    return load(run, state_key(run, name, key))


def _check_writable(run: Run) -> None:
    if run.readonly:
        raise Failure("read_only", "a query cannot write")


def store(run: Run, key: bytes, value: Any) -> None:
    """Set an entry."""
    _check_writable(run)
    run.charge(STATE_WRITE)
    run.overlay.put(key, pack(run, value, limits.MAX_STATE_VALUE_BYTES))


def remove(run: Run, key: bytes) -> None:
    """Delete an entry that must be there."""
    _check_writable(run)
    run.charge(STATE_WRITE)
    if load(run, key) is None:
        raise Failure("missing_key", "no such entry")
    run.overlay.put(key, None)


def _typed(name: str, kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise type_error(f"{name} is a {kind.__name__}, not a {kind_name(value)}")
    return value


def _signers(run: Run) -> list[str]:
    return list(run.context.signers)


def _fail(run: Run, code: Any, message: Any = "") -> None:
    if type(code) is not str or _CODE.fullmatch(code) is None:
        raise Failure("value_error", "an error code is a short word")
    raise Failure(code, _typed("a message", str, message)[:MAX_MESSAGE])


def _require(run: Run, condition: Any, code: Any, message: Any = "") -> None:
    if not condition:
        _fail(run, code, message)


def refusal(code: Any, message: Any = "") -> tuple[str, str] | None:
    """Code and explanation of the failure of a ``require``; None where the arguments don't fit."""
    if type(code) is not str or _CODE.fullmatch(code) is None or type(message) is not str:
        return None
    return code, message[:MAX_MESSAGE]


def emit(run: Run, name: Any, fields: dict[str, Any]) -> None:
    """Announce an event."""
    _check_writable(run)
    if type(name) is not str or _NAME.fullmatch(name) is None:
        raise Failure("value_error", "an event's name is a short word")
    if len(run.events) >= MAX_EVENTS:
        raise Failure("too_large", f"more than {MAX_EVENTS} events")
    run.charge(EVENT)
    raw = pack(run, fields, MAX_EVENT_BYTES - run.event_bytes)
    run.event_bytes += len(raw)
    run.events.append(Event(run.contract, name, unpack(raw)))


def call(run: Run, contract: Any, method: Any, arguments: dict[str, Any]) -> Any:
    """Call a method of another contract; values are copied on the way in and out."""
    if type(contract) is not str:
        _typed("a contract", str, contract)
    if type(method) is not str:
        _typed("a method", str, method)
    run.charge(CONTRACT_CALL)
    program = run.find(contract)
    if program is None:
        raise Failure("unknown_contract", "no such contract")
    if program.paused and run.contract != CHARTER:
        raise paused(contract)
    kind = program.kind(method)
    if kind is None or kind == "init":
        raise Failure("unknown_method", "no such method")
    if kind != "query":
        if run.readonly:
            raise Failure("read_only", "a query can only call queries")
        if contract in run.stack:
            raise Failure("reentrant", "a contract that is running can only be queried")
    return _enter(run, contract, program, method, arguments, readonly=kind == "query")


def _enter(
    run: Run, contract: str, program: Callee, method: str, arguments: Any, *, readonly: bool
) -> Any:
    """Run a method of another contract; values are copied on the way in and out."""
    copied = unpack(pack(run, arguments, limits.MAX_STATE_VALUE_BYTES))
    before = run.contract, run.prefix, run.caller, run.readonly, run.version
    run.caller = run.contract
    run.contract = contract
    run.version = program.version
    run.prefix = contract + "/"
    run.readonly = run.readonly or readonly
    run.stack.append(contract)
    run.nesting += CALL_NESTING
    value = program.enter(run, method, copied)
    run.nesting -= CALL_NESTING
    run.stack.pop()
    run.contract, run.prefix, run.caller, run.readonly, run.version = before
    # A scalar is its own copy.
    raw = pack(run, value, limits.MAX_STATE_VALUE_BYTES)
    return value if type(value) in SCALARS else unpack(raw)


def paused(contract: str) -> Failure:
    """The failure of whoever asks a contract that answers nobody."""
    return Failure("paused", f"{contract} answers nobody until it is resumed")


def _paused(run: Run, contract: Any) -> str:
    run.charge(LOOK)
    program = run.find(_typed("contract", str, contract))
    return program.paused if program is not None else ""


def _offers(run: Run, contract: Any, method: Any) -> str:
    run.charge(LOOK)
    program = run.find(_typed("contract", str, contract))
    kind = program.kind(_typed("method", str, method)) if program is not None else None
    return kind or ""


def _examine(run: Run, source: Any) -> dict[str, Any]:
    _typed("source", str, source)
    # What is too large to be read at all costs what counting it costs.
    run.charge(len(source))
    run.charge(examination.price(source) - len(source))
    return examination.examine(source)


def _begin(run: Run, contract: Any, arguments: Any) -> None:
    _typed("contract", str, contract)
    _typed("arguments", dict, arguments)
    _check_writable(run)
    run.charge(CONTRACT_CALL)
    program = run.find(contract) if run.contract == CHARTER else None
    if program is None or contract in run.stack:
        raise Failure("unknown_contract", "no contract that waits to be founded")
    if program.init is None:
        if arguments:
            raise Failure("bad_arguments", f"{contract} has no init to take arguments")
        return
    _enter(run, contract, program, program.init, arguments, readonly=False)


def verdict(run: Run, effect: str, line: int, rule: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """What a rule says to a request, with the place in the contract where it says so."""
    if type(rule) is not str or _CODE.fullmatch(rule) is None:
        raise Failure("value_error", "a rule is named by a short word")
    run.charge(len(VERDICT_FIELDS) + 2 * len(fields))
    duties = fields.pop("duties", None)
    until = fields.pop("until", 0)
    return {
        "effect": effect,
        "rule": rule,
        "contract": run.contract,
        "version": run.version,
        "line": line,
        "until": _typed("until", int, until),
        "duties": [] if duties is None else _typed("duties", list, duties),
        "facts": fields,
    }


def _digest(run: Run, data: Any) -> bytes:
    _typed("data", bytes, data)
    run.charge(HASH + len(data) // CONTENT_UNIT)
    return sha256(data).digest()


def _encode(run: Run, value: Any) -> bytes:
    return pack(run, value, limits.KIB * 256)


def _from_hex(run: Run, text: Any) -> bytes:
    _typed("text", str, text)
    run.charge(len(text) // (2 * COPY_UNIT))
    if _HEX.fullmatch(text) is None:
        raise Failure("value_error", "not hex digits in pairs")
    return bytes.fromhex(text)


def _merkle_root(run: Run, leaf: Any, index: Any, size: Any, path: Any) -> bytes | None:
    _typed("leaf", bytes, leaf)
    _typed("index", int, index)
    _typed("size", int, size)
    _typed("path", list, path)
    if len(path) > MAX_MERKLE_PATH:
        return None
    run.charge(HASH * (1 + len(path)) + len(leaf) // CONTENT_UNIT)
    for step in path:
        if len(_typed("a step of the path", bytes, step)) != 32:
            return None
    if not 0 <= index < size:
        return None
    return merkle.root_from_inclusion(merkle.leaf_hash(leaf), index, size, path)


def _verify_signature(run: Run, key: Any, message: Any, signature: Any) -> bool:
    _typed("key", str, key)
    _typed("message", bytes, message)
    _typed("signature", bytes, signature)
    run.charge(SIGNATURE + len(message) // CONTENT_UNIT)
    if len(key) > 256 or _HEX.fullmatch(key) is None:
        return False
    return suites.verify(bytes.fromhex(key), message, signature)


def _commitment(run: Run, salt: Any, text: Any) -> bytes:
    _typed("salt", bytes, salt)
    _typed("text", str, text)
    run.charge(HASH + (len(salt) + len(text)) // CONTENT_UNIT)
    return pointer.commitment(salt, text)


#: Functions of the prelude with their own signature; ``emit`` and ``call`` take any named fields.
HOST: Final[dict[str, Callable[..., Any]]] = {
    "signers": _signers,
    "require": _require,
    "fail": _fail,
    "digest": _digest,
    "encode": _encode,
    "from_hex": _from_hex,
    "merkle_root": _merkle_root,
    "verify_signature": _verify_signature,
    "commitment": _commitment,
    "paused": _paused,
    "offers": _offers,
    "examine": _examine,
    "begin": _begin,
}
WITH_FIELDS: Final[dict[str, Callable[..., Any]]] = {"emit": emit, "call": call}
