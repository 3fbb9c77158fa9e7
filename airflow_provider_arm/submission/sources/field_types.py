"""The fields of a model, and the columns of a table that contain them."""

from __future__ import annotations

from enum import StrEnum
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

from airflow_provider_arm.client.models import Amount, Day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_arm.client.models import ArmModel

#: Fields by which ARM tells records from each other (Python names).
KEY_NAMES = ("customer_no", "document_no", "sub_customer_no", "payment_id")
#: Last words of the names of other identifiers: text of digits in which each one counts.
_IDENTIFIER_WORDS = frozenset(
    {"no", "id", "ids", "uuid", "kid", "ssn", "code", "codes", "reference", "scheme", "address"}
)
#: Codes of letters: the NA of Namibia is no missing value.
_LETTER_CODES = frozenset({"country_code"})


class FieldKind(StrEnum):
    """Kind of a field, which decides how its values are read."""

    KEY = "natural key"
    IDENTIFIER = "identifier"
    AMOUNT = "amount"
    WHOLE = "whole number"
    DATE = "date"
    FLAG = "flag"
    EMAIL = "e-mail address"
    TEXT = "text"


def field_kind(name: str, annotation: Any) -> FieldKind | None:
    """Return the kind of a field, or of the items of a list.

    :param name: its Python name, which tells an identifier from other text.
    :param annotation: its type without ``None``, or the type of an item.
    :return: ``None`` for a group of fields, and if the content is not documented.
    """
    if annotation == Amount:
        return FieldKind.AMOUNT
    if annotation == Day:
        return FieldKind.DATE
    if annotation is not str:
        return {int: FieldKind.WHOLE, bool: FieldKind.FLAG}.get(annotation)
    if name in KEY_NAMES:
        return FieldKind.KEY
    if "email" in name:
        return FieldKind.EMAIL
    is_identifier = name.rpartition("_")[2] in _IDENTIFIER_WORDS and name not in _LETTER_CODES
    return FieldKind.IDENTIFIER if is_identifier else FieldKind.TEXT


class Column(NamedTuple):
    """A column of a table and the field that it contains."""

    #: Wire names of the models around the field, outermost first.
    groups: tuple[str, ...]
    name: str
    #: Converts a value; ``None`` if values need no conversion.
    convert: Callable[[Any], Any] | None
    is_text: bool = False
    position: int = -1

    @property
    def header(self) -> str:
        """The dotted name of the field."""
        return ".".join((*self.groups, self.name))

    def set(self, record: dict[str, Any], value: Any) -> None:
        """Set the field, with the groups around it."""
        for group in self.groups:
            record = record.setdefault(group, {})
        record[self.name] = value


def list_fields(model: type[ArmModel]) -> Iterator[tuple[str, str, Any]]:
    """Yield name, wire name and type, without ``None``, of each field of a model.

    :raises LookupError: a field is a union of more than one type and ``None``.
    """
    for name, field in model.model_fields.items():
        yield name, field.alias or name, strip_optional(field.annotation)


def strip_optional(annotation: Any) -> Any:
    """Return ``X`` for ``X | None``; raise ``LookupError`` if more than one type is left."""
    arguments = get_args(annotation)
    if NoneType not in arguments:
        return annotation
    types = [argument for argument in arguments if argument is not NoneType]
    if len(types) != 1:
        raise LookupError("a union of more than one type and None")
    return types[0]


def list_item_type(annotation: Any) -> Any:
    """Return ``X`` for ``list[X]``, ``None`` for anything else."""
    return get_args(annotation)[0] if get_origin(annotation) is list else None


def as_model(annotation: Any) -> type[ArmModel] | None:
    """Return the annotation if it is a model, else ``None``."""
    return annotation if isinstance(annotation, type) and hasattr(annotation, "model_fields") else None
