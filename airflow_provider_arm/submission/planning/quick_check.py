"""Quick check of records with msgspec structs, which are derived from the models.

A struct is narrower than its model, never wider: the model accepts each record that the struct accepts, and both write
the same bytes. All other records are left to the model, which decides and describes what is invalid: Python names,
unknown fields, remarks, whole numbers as text. So the hash of a plan does not depend on which of the two was used.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import cache
from operator import attrgetter, itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
from annotated_types import MinLen

from airflow_provider_arm.client.models import Amount, ArmModel, CustomerWrite, Day, PostalAddress
from airflow_provider_arm.submission.planning.screen import Screen, has_damaged_text
from airflow_provider_arm.submission.sources.field_types import as_model, list_item_type, strip_optional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.submission.sources.rows import RawRow

#: Validators of models that hold for their structs, too: a struct has no read-only fields, and its postal address has
#: only required fields. A model with any other validator has no quick check.
_COVERED_VALIDATORS: dict[type[ArmModel], set[str]] = {
    CustomerWrite: {"_reject_read_only_fields", "_reject_partial_address"}
}
#: Models of which all fields are required (``_reject_partial_address``).
_WHOLE_GROUPS = (PostalAddress,)

#: The first byte of a line with an object, and the last bytes of a line: ``}`` and one or two for the line break.
_OPENING = frozenset(b"{")
_FIRST, _LAST = itemgetter(0), itemgetter(slice(-3, None))


class _StructCheck:
    """Check of records with one struct.

    :param names: wire names of the optional fields that the struct has; ``None``: all.
    """

    def __init__(self, model: type[ArmModel], names: frozenset[str] | None = None) -> None:
        self.struct = _struct(model, names)
        self._passes = Screen(model, names).passes
        decoder = msgspec.json.Decoder(self.struct, float_hook=Decimal)  # the screen checks the range
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines

    def check(self, content: RawRow) -> msgspec.Struct | None:
        """Return the record as a struct; ``None`` leaves it to the model."""
        try:
            if type(content) is bytes:
                is_json, record = True, self._decode(content)
                if has_damaged_text(content):
                    return None
            else:
                is_json, record = False, msgspec.convert(content, self.struct)
        except (ValueError, ArithmeticError, RecursionError):
            return None
        return record if self._passes([record], is_json=is_json) else None

    def check_all(self, contents: Sequence[RawRow]) -> list[msgspec.Struct] | None:
        """Return many records, in less time; ``None`` leaves them to the check of single records."""
        if type(contents[0]) is bytes:
            return self._check_lines(contents)
        try:
            records = msgspec.convert(contents, list[self.struct])  # type: ignore[name-defined]
        except (ValueError, ArithmeticError, RecursionError):
            return None
        return records if self._passes(records) else None

    def _check_lines(self, contents: Sequence[RawRow]) -> list[msgspec.Struct] | None:
        """Return the records of many lines.

        The decoder accepts objects without a line break between them, and line breaks within an object. But it requires
        commas within an object or list, and no text contains a line break. So if each line begins with ``{`` and ends
        with ``}`` and a line break, no object continues in the next line, and as many objects as lines means one each.
        """
        try:
            text = b"\n".join(contents)  # type: ignore[arg-type]
            # Thousands of lines have only a few different ends, so few are checked one by one.
            ends = set(map(_LAST, contents))  # type: ignore[arg-type]
            if not (_OPENING.issuperset(map(_FIRST, contents)) and all(end.rstrip().endswith(b"}") for end in ends)):  # type: ignore[arg-type]
                return None
            records: list[msgspec.Struct] = self._decode_lines(text)
        except (TypeError, LookupError, ValueError, ArithmeticError, RecursionError):
            return None
        is_valid = len(records) == len(contents) and not has_damaged_text(text) and self._passes(records, is_json=True)
        return records if is_valid else None


class QuickCheck:
    """Quick check of the records of one model.

    Most sources have a few of the optional fields. A struct with only the fields that came so far is checked in half
    the time; a record with another field does not fit, and extends it.
    """

    def __init__(self, model: type[ArmModel]) -> None:
        self._model = model
        self._full = _StructCheck(model)
        self._names: frozenset[str] = frozenset()
        self._narrow: _StructCheck | None = None

    def __call__(self, content: RawRow) -> msgspec.Struct | None:
        """Return the record as a struct with wire names; ``None`` leaves it to the model."""
        return self._full.check(content)

    def check_all(self, contents: Sequence[RawRow]) -> list[msgspec.Struct] | None:
        """Return many records, in less time; ``None`` leaves them to the check of single records."""
        records = self._narrow.check_all(contents) if self._narrow is not None else None
        if records is None and (records := self._full.check_all(contents)) is not None:
            self._extend(records)
        return records

    def _extend(self, records: list[msgspec.Struct]) -> None:
        names = frozenset(
            name
            for name in self._full.struct.__struct_fields__
            if any(value is not msgspec.UNSET for value in map(attrgetter(name), records))
        )
        if not names <= self._names:
            self._names |= names
            self._narrow = _StructCheck(self._model, self._names)


@cache
def quick_check(model: type[ArmModel] | None) -> QuickCheck | None:
    """Return the quick check of a model; ``None`` if a struct cannot express everything that the model does."""
    try:
        return None if model is None else QuickCheck(model)
    except LookupError:
        return None


def _struct(model: type[ArmModel], names: frozenset[str] | None = None) -> type[msgspec.Struct]:
    """Return the struct of a model.

    :param names: wire names of the optional fields that it has; ``None``: all.
    :raises LookupError: a field or validator of the model has no exact counterpart in a struct.
    """
    _raise_for_other_validators(model)
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        kind: Any = _struct_type(field.annotation)
        for constraint in field.metadata:
            if not isinstance(constraint, MinLen):
                raise LookupError  # noqa: TRY004 - the model is not wrong
            kind = Annotated[kind, msgspec.Meta(min_length=constraint.min_length)]
        if model in _WHOLE_GROUPS:
            fields.append((field.alias or name, strip_optional(kind)))
        elif field.is_required():
            fields.append((field.alias or name, kind))
        elif names is None or field.alias in names:
            fields.append((field.alias or name, kind | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(model.__name__, fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _raise_for_other_validators(model: type[ArmModel]) -> None:
    found = model.__pydantic_decorators__
    others = any(getattr(found, kind) for kind in found.__slots__ if kind != "model_validators")
    if others or set(found.model_validators) != _COVERED_VALIDATORS.get(model, set()):
        raise LookupError


def _struct_type(annotation: Any) -> Any:
    """Return the type in a struct for the type of a model's field."""
    if annotation == Amount:
        return Any  # a number as it is written; the screen checks its type
    if annotation == Day:
        return dt.date
    if annotation is object:
        return Any
    if annotation in (str, int, bool):
        return annotation
    if (group := as_model(annotation)) is not None:
        return _struct(group)
    item = list_item_type(annotation)
    if item is not None and item != Amount:
        return list[_struct_type(item)]  # type: ignore[misc]
    if NoneType in get_args(annotation):
        return _struct_type(strip_optional(annotation)) | None
    raise LookupError
