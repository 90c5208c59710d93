"""Records, enumerations and decimals in plain Python: what `prelude` gives to tools and editors.

They behave as the interpreter's do, apart from limits, so that what a contract computes with them
can be tried outside the ledger, and so that the two can be compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Final, Literal, Self, TypeVar, dataclass_transform, get_args, get_origin

from ledger.contracts import decimals
from ledger.contracts.meter import Failure

Rounding = Literal["half-even", "half-up", "down", "up", "floor", "ceiling"]
#: A value that is none of the type asked for.
_UNFIT: Final = object()


class _CodesMeta(type):
    """Lets an enumeration be gone through, searched and counted."""

    def _codes(cls) -> tuple[str, ...]:
        return tuple([code for name, code in vars(cls).items() if not name.startswith("_")])

    def __iter__(cls) -> Iterator[str]:
        return iter(cls._codes())

    def __contains__(cls, code: object) -> bool:
        return type(code) is str and code in cls._codes()

    def __len__(cls) -> int:
        return len(cls._codes())


class Codes(metaclass=_CodesMeta):
    """Base of an enumeration: ``NAME = "code"`` in each line; ``Kind.NAME`` is the str."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """Base of a record: ``name: type`` in each line, with a literal as default where there is one.

    Made by name, ``Visit(institution="a", until=5)``; it never changes, see `changed`. Two are
    equal when they are of one class and their fields are. Outside the contract a record is the dict
    of its fields.
    """

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def read(cls, value: object) -> Self:
        """The record that a stored or received dict stands for.

        Fails where a field is missing without a default (``missing_key``), is of another type
        (``type_error``), or is none of this record (``value_error``).
        """
        if type(value) is not dict:
            raise TypeError(f"a {cls.__name__} is read from a dict")
        made = {}
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        for field in fields:
            if field.name in value:
                made[field.name] = _read(field.type, value[field.name])
                if made[field.name] is _UNFIT:
                    raise TypeError(f"{field.name} of {cls.__name__} is a {field.type}")
            elif field.default is dataclasses.MISSING:
                raise KeyError(field.name)
        if not value.keys() <= {field.name for field in fields}:
            raise ValueError(f"fields that a {cls.__name__} does not have")
        return cls(**made)


R = TypeVar("R", bound=Record)


def changed(record: R, /, **fields: Any) -> R:
    """A copy of a record with other values in some fields."""
    return dataclasses.replace(record, **fields)  # type: ignore[type-var]


def _read(kind: Any, value: Any) -> Any:
    """The value of a type that a plain one stands for, or `_UNFIT`."""
    if kind is object:
        return value
    if kind is None or kind is NoneType:
        return None if value is None else _UNFIT
    if isinstance(kind, UnionType):
        for part in get_args(kind):
            made = _read(part, value)
            if made is not _UNFIT:
                return made
        return _UNFIT
    if kind is decimal:
        made = decimals.parse(value) if type(value) is str else None
        return _UNFIT if made is None else decimal(str(value))
    if isinstance(kind, type) and issubclass(kind, Record):
        try:
            return kind.read(value)
        except (TypeError, KeyError, ValueError):
            return _UNFIT
    origin = get_origin(kind)
    if origin is None:
        return value if type(value) is kind else _UNFIT
    return _read_items(origin, get_args(kind), value)


def _read_items(origin: type, parts: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, dict | list | tuple) or type(value) is not origin:
        return _UNFIT
    if origin is tuple:
        if len(parts) != len(value):
            return _UNFIT
        items = [_read(part, item) for part, item in zip(parts, value, strict=True)]
        return _UNFIT if _UNFIT in items else value
    before = list(value.values()) if isinstance(value, dict) else list(value)
    items = [_read(parts[-1], item) for item in before]
    if any(item is _UNFIT for item in items):
        return _UNFIT
    if all(item is same for item, same in zip(items, before, strict=True)):
        return value
    return dict(zip(value, items, strict=True)) if isinstance(value, dict) else items


class decimal:  # noqa: N801 - a type of the language, like int
    """An exact decimal number of at most 20 digits before the point and 18 after it.

    Made of an int, or of a text such as "-7.25"; ``str`` gives the text back, zeros included.
    """

    __slots__ = ("_value",)
    _value: decimals.DecimalValue

    def __init__(self, value: str | int | decimal) -> None:
        if isinstance(value, decimal):
            made: decimals.DecimalValue | None = value._value
        elif type(value) is str:
            made = decimals.parse(value)
        elif type(value) is int:
            made = decimals.from_int(value)
        else:
            raise TypeError("a decimal is made of a text, an int or a decimal")
        if made is None:
            raise ValueError("not a decimal number")
        self._value = made

    @classmethod
    def _of(cls, value: decimals.DecimalValue) -> decimal:
        made = cls.__new__(cls)
        made._value = value
        return made

    def rounded(self, places: int, mode: Rounding) -> decimal:
        """The number with exactly so many places, 0 to 18, rounded in the way named."""
        return self._of(_plainly(decimals.rounded, self._value, places, mode))

    def divided(self, by: decimal | int, places: int, mode: Rounding) -> decimal:
        """The quotient with exactly so many places, 0 to 18, rounded once in the way named."""
        return self._of(_plainly(decimals.divided, self._value, _number(by), places, mode))

    def __add__(self, other: decimal | int) -> decimal:
        return self._of(_plainly(decimals.add, self._value, _number(other)))

    __radd__ = __add__

    def __sub__(self, other: decimal | int) -> decimal:
        return self._of(_plainly(decimals.subtract, self._value, _number(other)))

    def __rsub__(self, other: int) -> decimal:
        return self._of(_plainly(decimals.subtract, _number(other), self._value))

    def __mul__(self, other: decimal | int) -> decimal:
        return self._of(_plainly(decimals.multiply, self._value, _number(other)))

    __rmul__ = __mul__

    def __neg__(self) -> decimal:
        return self._of(decimals.negate(self._value))

    def __abs__(self) -> decimal:
        return self._of(decimals.absolute(self._value))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, decimal):
            return self._value == other._value
        return type(other) in (int, bool) and self._value == other

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: decimal | int) -> bool:
        return self._value < _number(other)

    def __le__(self, other: decimal | int) -> bool:
        return self._value <= _number(other)

    def __gt__(self, other: decimal | int) -> bool:
        return self._value > _number(other)

    def __ge__(self, other: decimal | int) -> bool:
        return self._value >= _number(other)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __int__(self) -> int:
        """The number where it is whole; ``value_error`` where it would have to be rounded."""
        number = decimals.whole(self._value)
        if number is None:
            raise ValueError("a decimal that is not whole")
        return number

    def __str__(self) -> str:
        return decimals.written(self._value)

    def __repr__(self) -> str:
        return f"decimal({str(self)!r})"


def _number(value: decimal | int) -> decimals.DecimalValue | int:
    if isinstance(value, decimal):
        return value._value
    if type(value) is int:
        return value
    raise TypeError("a decimal is combined with decimals and ints")


def _plainly(function: Any, *arguments: Any) -> decimals.DecimalValue:
    """A failure as Python's own exception."""
    try:
        made: decimals.DecimalValue = function(*arguments)
    except Failure as failure:
        kind = OverflowError if failure.code == "overflow" else ValueError
        raise kind(failure.message) from None
    return made
