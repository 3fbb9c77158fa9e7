"""Base class of ARM models: camelCase on the wire, snake_case in Python, unknown fields kept, no value in errors."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from copy import copy
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError, create_model
from pydantic.alias_generators import to_camel

from airflow_provider_arm.client.errors import FieldIssue, InvalidRecordError
from airflow_provider_arm.client.money import MAX_EXPONENT

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MILLISECOND = 1000  # in microseconds


def _exact_number(value: Any) -> Any:
    if isinstance(value, float | bool):
        msg = 'must be an exact number: a Decimal, a whole number or text such as "124.37", not a float'
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns only a ValueError into a field error
    if isinstance(value, Decimal | int | str):
        try:
            number = Decimal(value)
        except ArithmeticError:
            raise ValueError('must be a number such as "124.37"') from None
        if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:
            raise ValueError(f"must be a finite number of a plausible size (up to 10^{MAX_EXPONENT})")
        return number
    return value


def _iso_date(value: Any) -> Any:
    if type(value) is dt.date:
        return value
    if not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise ValueError("must be a date in the form YYYY-MM-DD")
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be an existing date in the form YYYY-MM-DD") from None


def _iso_timestamp(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise ValueError("must be a timestamp with an offset, such as 2025-02-27T17:03:36.176+01:00")
    return value


def _write_timestamp(value: dt.datetime) -> str:
    """Format with milliseconds and offset, as ARM does. Microseconds are added only if there are any."""
    return value.isoformat(timespec="microseconds" if value.microsecond % _MILLISECOND else "milliseconds")


#: An amount, rate or quantity: exact, never a float. Accepts ``Decimal``, ``int`` and text; written as a JSON number.
Amount = Annotated[Decimal, BeforeValidator(_exact_number)]
#: A date, ``YYYY-MM-DD`` on the wire.
Day = Annotated[dt.date, BeforeValidator(_iso_date), PlainSerializer(dt.date.isoformat)]
#: A timestamp with its offset, ``2025-02-27T17:03:36.176+01:00`` on the wire.
Timestamp = Annotated[dt.datetime, BeforeValidator(_iso_timestamp), PlainSerializer(_write_timestamp)]


class ArmModel(BaseModel):
    """One JSON object of ARM.

    Field names are snake_case in Python and camelCase on the wire; both are accepted as input. Unknown keys are kept
    and written back, because ARM adds fields. Only fields that were set are written (``model_fields_set``): in an
    update a missing key keeps the value at ARM.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="allow",
        hide_input_in_errors=True,
    )

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """Read a decoded JSON object.

        :raises InvalidRecordError: with the invalid fields and what is wrong with them, without any value.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise InvalidRecordError(field_errors(error)) from None

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object: wire names, only the keys that were set, numbers as ``int`` or ``Decimal``."""
        # pydantic's warning about a value that was assigned later would contain the value.
        return self.model_dump(by_alias=True, exclude_unset=True, warnings=False)


M = TypeVar("M", bound=ArmModel)

#: Messages by pydantic's error type, for spreadsheet users. Those of pydantic have terms such as "input" and "string".
_MESSAGES = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def field_errors(error: ValidationError) -> list[FieldIssue]:
    """Convert a validation error to issues by wire name. They contain no values, because these may be personal data."""
    issues = []
    for item in error.errors(include_url=False, include_input=False, include_context=True):
        field = ".".join(str(part) for part in item["loc"])
        message = _MESSAGES.get(item["type"])
        if message is None:
            message = item["msg"].removeprefix("Value error, ")
        issues.append(FieldIssue(field, message))
    return issues


def wire_names(model: type[ArmModel]) -> tuple[str, ...]:
    """Return the wire names of the model's fields, in the order of the model."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def rename_keys(body: Any, names: Mapping[str, str]) -> Any:
    """Return a decoded object under the names of the models.

    A key that is read under another name does not also count under its own.

    :param names: the models' names, by the names in the body; equal ones may be among them.
    """
    names = {key: name for key, name in names.items() if key != name}
    if not names or not isinstance(body, Mapping):
        return body
    replaced = {*names.values()}
    kept = {key: value for key, value in body.items() if key not in replaced or key in names}
    return {names.get(key, key): value for key, value in kept.items()}


def rename_fields(model: type[M], names: Mapping[str, str]) -> type[M]:
    """Return *model* with other wire names.

    :param names: wire names by Python names; equal ones may be among them.
    """
    changed = {
        name: model.model_fields[name] for name, alias in names.items() if model.model_fields[name].alias != alias
    }
    if not changed:
        return model
    fields: dict[str, Any] = {}
    for name, info in changed.items():
        field = copy(info)
        field.alias = field.validation_alias = field.serialization_alias = names[name]
        field.alias_priority = 2  # over the generated one
        fields[name] = (info.annotation, field)
    return create_model(model.__name__, __base__=model, **fields)


def find_only_list(body: Mapping[str, Any], ignored: frozenset[str]) -> tuple[str, list[Any]] | None:
    """Return key and value of the only list in *body*, or ``None`` if there are none or several.

    ARM names a list by its content (``customers``, ``arItems``), and not every name is published.

    :param ignored: keys of lists that do not count.
    """
    lists = [(key, value) for key, value in body.items() if isinstance(value, list) and key not in ignored]
    return lists[0] if len(lists) == 1 else None
