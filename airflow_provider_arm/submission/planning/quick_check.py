"""Quick check of records with msgspec structs, which are derived from the models.

A struct is narrower than its model, never wider: the model accepts each record that the struct accepts, and both write
the same bytes. All other records are left to the model, which decides and describes what is invalid: Python names,
unknown fields, remarks, whole numbers as text. So the hash of a plan does not depend on which of the two was used.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import cache, partial
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
from annotated_types import MinLen

from airflow_provider_arm.client import money
from airflow_provider_arm.client.models import Amount, ArmModel, CustomerWrite, Day, PostalAddress
from airflow_provider_arm.submission.sources.field_types import as_model, list_fields, list_item_type, strip_optional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_arm.submission.sources.rows import RawRow

    _AmountCheck = Callable[[Any], bool]

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

_PLAIN_TYPES = frozenset({int, bool, NoneType, dt.date})


class QuickCheck:
    """Quick check of the records of one model."""

    def __init__(self, model: type[ArmModel]) -> None:
        self._struct = _struct(model)
        self._has_valid_amounts = _amount_check(model) or (lambda _: True)
        decoder = msgspec.json.Decoder(self._struct, float_hook=money.exact)
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines

    def __call__(self, content: RawRow) -> msgspec.Struct | None:
        """Return the record as a struct with wire names; ``None`` leaves it to the model."""
        try:
            if type(content) is bytes:
                record = self._decode(content)
            elif type(content) is dict and _is_plain(content):
                record = msgspec.convert(content, self._struct)
            else:
                return None
        except (ValueError, RecursionError):
            return None
        return record if self._has_valid_amounts(record) else None

    def lines(self, contents: Sequence[RawRow]) -> list[msgspec.Struct] | None:
        """Return the records of many lines, in half the time; ``None`` leaves them to the check of single records.

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
        except (TypeError, LookupError, ValueError, RecursionError):
            return None
        return records if len(records) == len(contents) and all(map(self._has_valid_amounts, records)) else None


@cache
def quick_check(model: type[ArmModel] | None) -> QuickCheck | None:
    """Return the quick check of a model; ``None`` if a struct cannot express everything that the model does."""
    try:
        return None if model is None else QuickCheck(model)
    except LookupError:
        return None


def _struct(model: type[ArmModel]) -> type[msgspec.Struct]:
    """Return the struct of a model.

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
        else:
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
        return Decimal
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


def _amount_check(model: type[ArmModel]) -> _AmountCheck | None:
    """Return a check of what the types of a struct cannot express: amounts, at any depth, are finite and in range.

    ``None`` if there are no amounts.
    """
    amounts: list[str] = []
    groups: list[tuple[str, _AmountCheck]] = []
    for _, name, kind in list_fields(model):
        group = as_model(kind) or as_model(list_item_type(kind))
        if kind == Amount:
            amounts.append(name)
        elif group is not None and (check := _amount_check(group)) is not None:
            groups.append((name, check))
    return partial(_has_valid_amounts, amounts, groups) if amounts or groups else None


def _has_valid_amounts(amounts: list[str], groups: list[tuple[str, _AmountCheck]], record: Any) -> bool:
    for name in amounts:
        amount = getattr(record, name)
        # Also for zero: 0e-999999999 takes as much memory to write out as any other number.
        if type(amount) is Decimal and not (
            amount.is_finite() and -money.MAX_EXPONENT <= amount.adjusted() <= money.MAX_EXPONENT
        ):
            return False
    for name, check in groups:
        group = getattr(record, name)
        if group and not (all(map(check, group)) if type(group) is list else check(group)):
            return False
    return True


def _is_plain(value: Any) -> bool:
    """Return whether a value consists of types that model, struct and encoder treat alike, so without floats."""
    kind = type(value)
    if kind is str:
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_plain, value))
    if kind is Decimal:
        return bool(value.is_finite())
    return kind in _PLAIN_TYPES
