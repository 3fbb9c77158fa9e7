"""A fast check of records: a typed struct for each model, derived from it, so that fields are still named only there.

The struct is narrower than the model, never wider: a record that it takes is one that the model takes, and it is
written with the same bytes. Everything else it leaves to the model, which decides and finds the words: names in snake
case, fields that the model does not know, remarks, numbers written as text for a whole number. So the bytes of a
record, and the hash of a plan, do not depend on which of the two has looked at it.
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
from airflow_provider_arm.submission.sources.field_types import as_model_class, list_item_type, strip_optional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_arm.submission.sources.rows import RawRow

#: Rules in code that models have beside their fields, and that the structs keep too: fields that can only be read are
#: unknown to the struct, and its address is a whole one. A model with another rule has no fast check.
_KEPT_RULES: dict[type[ArmModel], set[str]] = {
    CustomerWrite: {"_reject_read_only_fields", "_reject_partial_address"},
}
#: Groups that must be given whole (``_reject_partial_address``).
_WHOLE_GROUPS = (PostalAddress,)

#: What a line begins with that holds an object, and in how many of its last bytes (``}`` and a line break, of one
#: character or two) the object's end is looked for.
_OPENS = frozenset(b"{")
_FIRST, _LAST = itemgetter(0), itemgetter(slice(-3, None))

_SAME_IN_BOTH = (str, int, bool)
_PLAIN = frozenset({int, bool, NoneType, dt.date})


class _NoCounterpartError(LookupError):
    """A field or rule of a model has no exact counterpart in a struct."""


class QuickCheck:
    """The fast check of one model's records."""

    def __init__(self, model: type[ArmModel]) -> None:
        self._struct = _struct(model, whole=False)
        self._is_sane = _sanity(model)
        decoder = msgspec.json.Decoder(self._struct, float_hook=money.exact)
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines

    def __call__(self, content: RawRow) -> msgspec.Struct | None:
        """Give a record as a struct with the wire's names; ``None`` leaves it to the model."""
        try:
            if type(content) is bytes:
                record = self._decode(content)
            elif type(content) is dict and _is_plain(content):
                record = msgspec.convert(content, self._struct)
            else:
                return None
        except (ValueError, RecursionError):
            return None
        return record if self._is_sane(record) else None

    def lines(self, contents: Sequence[RawRow]) -> list[msgspec.Struct] | None:
        """Give the records of many lines at once, at half the price; ``None`` leaves them to be looked at one by one.

        The decoder asks for no line break between two objects and minds none inside one. But it wants a comma inside
        an object or list, and no text holds a line break: so where every line begins with ``{`` and ends with ``}``
        and a line break follows it, none goes on in the next, and as many objects as lines means one in each.
        """
        try:
            text = b"\n".join(contents)  # type: ignore[arg-type]
            # Thousands of lines have a few ends in all; only those are touched one by one.
            ends = set(map(_LAST, contents))  # type: ignore[arg-type]
            if not (_OPENS.issuperset(map(_FIRST, contents)) and all(end.rstrip().endswith(b"}") for end in ends)):  # type: ignore[arg-type]
                return None
            records: list[msgspec.Struct] = self._decode_lines(text)
        except (TypeError, LookupError, ValueError, RecursionError):
            return None
        return records if len(records) == len(contents) and all(map(self._is_sane, records)) else None


@cache
def quick_check(model: type[ArmModel] | None) -> QuickCheck | None:
    """Derive the fast check of a model; ``None`` where the model says something that a struct cannot say as well."""
    try:
        return None if model is None else QuickCheck(model)
    except LookupError:
        return None


def _struct(model: type[ArmModel], *, whole: bool) -> type[msgspec.Struct]:
    _refuse_other_rules(model)
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        kind: Any = _kind(field.annotation)
        for rule in field.metadata:
            if not isinstance(rule, MinLen):
                raise _NoCounterpartError
            kind = Annotated[kind, msgspec.Meta(min_length=rule.min_length)]
        if whole:
            fields.append((field.alias or name, strip_optional(kind)))
        elif field.is_required():
            fields.append((field.alias or name, kind))
        else:
            fields.append((field.alias or name, kind | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(model.__name__, fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _refuse_other_rules(model: type[ArmModel]) -> None:
    found = model.__pydantic_decorators__
    kinds = (name for name in found.__slots__ if name != "model_validators")
    if any(getattr(found, kind) for kind in kinds) or set(found.model_validators) != _KEPT_RULES.get(model, set()):
        raise _NoCounterpartError


def _kind(annotation: Any) -> Any:
    """Give the struct's type for a field's."""
    if annotation == Amount:
        return Decimal
    if annotation == Day:
        return dt.date
    if annotation is object:
        return Any
    if annotation in _SAME_IN_BOTH:
        return annotation
    if (group := as_model_class(annotation)) is not None:
        return _struct(group, whole=group in _WHOLE_GROUPS)
    member = list_item_type(annotation)
    if member is not None and member != Amount:
        return list[_kind(member)]  # type: ignore[misc]
    if NoneType in get_args(annotation):
        return _kind(strip_optional(annotation)) | None
    raise _NoCounterpartError


def _sanity(model: type[ArmModel]) -> Callable[[Any], bool]:
    """Make what a struct's types cannot say: the amounts, at any depth, are finite and of a sane size."""
    amounts: list[str] = []
    groups: list[tuple[str, Callable[[Any], bool]]] = []
    for name, field in model.model_fields.items():
        kind = strip_optional(field.annotation)
        group = as_model_class(kind) or as_model_class(list_item_type(kind))
        if kind == Amount:
            amounts.append(field.alias or name)
        elif group is not None and _holds_amounts(group):
            inner = _sanity(group)
            groups.append((field.alias or name, inner if as_model_class(kind) else _all(inner)))
    return partial(_is_sane, amounts, groups)


def _holds_amounts(model: type[ArmModel]) -> bool:
    kinds = [strip_optional(field.annotation) for field in model.model_fields.values()]
    groups = [as_model_class(kind) or as_model_class(list_item_type(kind)) for kind in kinds]
    return Amount in kinds or any(_holds_amounts(group) for group in groups if group is not None)


def _all(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda members: all(map(holds, members))


def _is_sane(amounts: list[str], groups: list[tuple[str, Callable[[Any], bool]]], record: Any) -> bool:
    for name in amounts:
        amount = getattr(record, name)
        # Zero too: 0e-999999999 is as dear to write out as any other number.
        if type(amount) is Decimal and not (
            amount.is_finite() and -money.MAX_EXPONENT <= amount.adjusted() <= money.MAX_EXPONENT
        ):
            return False
    for name, holds in groups:  # noqa: SIM110 - twice as fast as all() of a generator
        if (group := getattr(record, name)) and not holds(group):
            return False
    return True


def _is_plain(value: Any) -> bool:
    """Whether a value in memory is made only of types that mean the same to model, struct and encoder. No float is."""
    kind = type(value)
    if kind is str:
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_plain, value))
    if kind is Decimal:
        return bool(value.is_finite())
    return kind in _PLAIN
