"""The tables of the language: which functions and methods there are, and what they take."""

from __future__ import annotations

from typing import Final, NamedTuple

PRELUDE_MODULE: Final = "ledger.contracts.prelude"
DECORATORS: Final = frozenset({"init", "export", "query"})
STATE_TYPES: Final = frozenset({"Map", "Value"})
CLASS_TYPES: Final = frozenset({"Record", "Codes"})


class Signature(NamedTuple):
    """What a function takes.

    ``parameters``: names in order. ``required``: how many of them have no default. ``keywords``:
    which may be given by name. ``fields``: whether any other keyword is taken as well. ``many``:
    whether the last parameter may be given several times. ``writes``: whether it changes state.
    """

    parameters: tuple[str, ...] = ()
    required: int = 0
    keywords: frozenset[str] = frozenset()
    fields: bool = False
    many: bool = False
    writes: bool = False


def _named(*parameters: str, required: int | None = None) -> Signature:
    needed = len(parameters) if required is None else required
    return Signature(parameters, needed, frozenset(parameters))


#: Functions of the prelude by which a rule answers, with the effect that they state.
VERDICTS: Final = {
    "permits": "permit",
    "obliges": "oblige",
    "limits": "limit",
    "denies": "deny",
    "forbids": "forbid",
    "silent": "none",
}

HOST: Final[dict[str, Signature]] = {
    "signers": Signature(),
    "caller": Signature(),
    "height": Signature(),
    "now": Signature(),
    "transaction": Signature(),
    "call_index": Signature(),
    "chain": Signature(),
    "require": _named("condition", "code", "message", required=2),
    "fail": _named("code", "message", required=1),
    "emit": Signature(("name",), 1, fields=True, writes=True),
    "call": Signature(("contract", "method"), 2, fields=True),
    "digest": _named("data"),
    "encode": _named("value"),
    "from_hex": _named("text"),
    "merkle_root": _named("leaf", "index", "size", "path"),
    "verify_signature": _named("key", "message", "signature"),
    "commitment": _named("salt", "text"),
    "decimal": Signature(("value",), 1),
    "changed": Signature(("record",), 1, fields=True),
    "minutes": _named("count"),
    "hours": _named("count"),
    "days": _named("count"),
    "date": _named("year", "month", "day", "offset", required=3),
    "year_of": _named("time", "offset", required=1),
    "month_of": _named("time", "offset", required=1),
    "day_of": _named("time", "offset", required=1),
    "age": _named("birth", "at", "offset", required=2),
    "add_months": _named("time", "months", "offset", required=2),
    "paused": _named("contract"),
    "offers": _named("contract", "method"),
    "examine": _named("source"),
    "begin": Signature(("contract", "arguments"), 2, frozenset({"arguments"}), writes=True),
    **{verb: Signature(("rule",), 1, fields=True) for verb in VERDICTS},
}

PRELUDE: Final = frozenset(HOST) | DECORATORS | STATE_TYPES | CLASS_TYPES

BUILTINS: Final[dict[str, Signature]] = {
    "len": Signature(("value",), 1),
    "abs": Signature(("value",), 1),
    "sum": Signature(("items",), 1),
    "all": Signature(("items",), 1),
    "any": Signature(("items",), 1),
    "min": Signature(("value", "more"), 1, many=True),
    "max": Signature(("value", "more"), 1, many=True),
    "sorted": Signature(("items", "reverse"), 1, frozenset({"reverse"})),
    "reversed": Signature(("items",), 1),
    "range": Signature(("start", "stop", "step"), 1),
    "enumerate": Signature(("items", "start"), 1, frozenset({"start"})),
    "zip": Signature(("first", "second", "more"), 2, many=True),
    "str": Signature(("value",), 1),
    "int": Signature(("value",), 1),
    "bool": Signature(("value",), 1),
    "list": Signature(("items",), 0),
    "dict": Signature(("items",), 0),
}

#: Methods of values: the fewest and the most arguments. Which types have them is in `methods`.
METHODS: Final[dict[str, tuple[int, int]]] = {
    "startswith": (1, 1),
    "endswith": (1, 1),
    "split": (0, 1),
    "join": (1, 1),
    "strip": (0, 1),
    "replace": (2, 2),
    "find": (1, 1),
    "lower": (0, 0),
    "upper": (0, 0),
    "encode": (0, 0),
    "hex": (0, 0),
    "append": (1, 1),
    "extend": (1, 1),
    "insert": (2, 2),
    "index": (1, 1),
    "pop": (0, 2),
    "get": (1, 2),
    "keys": (0, 0),
    "values": (0, 0),
    "items": (0, 0),
    "rounded": (2, 2),
    "divided": (3, 3),
}

#: Methods of state objects.
STATE_METHODS: Final[dict[str, dict[str, Signature]]] = {
    "Map": {"get": Signature(("key", "default"), 1, frozenset({"default"}))},
    "Value": {
        "get": Signature(("default",), 0, frozenset({"default"})),
        "set": Signature(("value",), 1, frozenset({"value"}), writes=True),
    },
}
