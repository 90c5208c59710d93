"""The types of records: making one of fields, reading one from a dict, and changed copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ledger.contracts.annotations import REQUIRED, UNFIT, Annotation
from ledger.contracts.meter import Failure, Meter
from ledger.contracts.values import RecordValue, kind_name, type_error


class Field(NamedTuple):
    """``default``: an immutable literal, or `REQUIRED`."""

    annotation: Annotation
    default: Any


class RecordType:
    """The class of a record: its name and its fields in the order of their declaration."""

    __slots__ = ("annotation", "fields", "name")

    def __init__(self, name: str, fields: Mapping[str, Field]) -> None:
        self.name = name
        self.fields = dict(fields)
        self.annotation = Annotation(
            name,
            lambda _value: False,
            lambda _meter, value: type(value) is RecordValue and value.kind is self,
            self._read,
            plain=False,
        )

    def make(self, meter: Meter, values: dict[str, Any]) -> RecordValue:
        """A record of values for all fields, in their order.

        Raises:
            Failure: ``type_error`` where one does not fit.
        """
        for name, value in values.items():
            annotation = self.fields[name].annotation
            if type(value) is not annotation.exact and not annotation.holds(meter, value):
                raise self._unfit(name, value)
        return RecordValue(self, values)

    def changed(self, meter: Meter, record: RecordValue, values: dict[str, Any]) -> RecordValue:
        """A copy with other values in some fields.

        Raises:
            Failure: ``type_error`` for what is no field, or does not fit.
        """
        meter.charge(2 * len(self.fields))
        for name, value in values.items():
            if name not in self.fields:
                raise type_error(f"a {self.name} has no field {name}")
            if not self.fields[name].annotation.holds(meter, value):
                raise self._unfit(name, value)
        return RecordValue(self, record.fields | values)

    def read(self, meter: Meter, value: Any) -> RecordValue:
        """The record that a dict stands for: with these fields, and no others.

        Raises:
            Failure: ``type_error`` for anything but a dict and for a field that does not fit,
                ``missing_key``, ``value_error`` for a field that the class does not have.
        """
        made = self._read(meter, value)
        if made is UNFIT:
            raise self._fault(meter, value)
        assert isinstance(made, RecordValue)
        return made

    def _read(self, meter: Meter, value: Any) -> Any:
        if type(value) is not dict:
            return UNFIT
        meter.charge(2 * len(self.fields))
        made = {}
        known = 0
        for name, (annotation, default) in self.fields.items():
            if name in value:
                item = annotation.read(meter, value[name])
                known += 1
            else:
                item = UNFIT if default is REQUIRED else default
            if item is UNFIT:
                return UNFIT
            made[name] = item
        return RecordValue(self, made) if known == len(value) else UNFIT

    def _fault(self, meter: Meter, value: Any) -> Failure:
        """Why a value is not read."""
        if type(value) is not dict:
            return type_error(f"a {self.name} is read from a dict, not from {kind_name(value)}")
        for name, (annotation, default) in self.fields.items():
            if name in value:
                if annotation.read(meter, value[name]) is UNFIT:
                    return self._unfit(name, value[name])
            elif default is REQUIRED:
                return Failure("missing_key", f"a {self.name} without {name}")
        return Failure("value_error", f"fields that a {self.name} does not have")

    def _unfit(self, name: str, value: Any) -> Failure:
        wanted = self.fields[name].annotation.text
        return type_error(f"{name} of {self.name} takes {wanted}, not this {kind_name(value)}")
