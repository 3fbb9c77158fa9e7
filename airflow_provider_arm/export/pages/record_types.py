"""Record types: key, currency, amounts and dates of the records of each list. Names are wire names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic.alias_generators import to_camel

from airflow_provider_arm.client.models import ArmModel, CustomerWrite
from airflow_provider_arm.client.operations import operations_of
from airflow_provider_arm.client.reading_entries import GlItemReadings
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.operations import Operation


#: Profiles whose record types are kept: a process has one per connection.
_CACHED_PROFILES = 16


class FieldType(StrEnum):
    """Type of a field."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    AMOUNT = "amount"
    DATE = "date"
    TIMESTAMP = "timestamp"
    #: An object, a list, or a field that is not in the model: written as ARM's own JSON text.
    OTHER = "other"


_FIELD_TYPES = {
    str: FieldType.TEXT,
    int: FieldType.INTEGER,
    bool: FieldType.BOOLEAN,
    Decimal: FieldType.AMOUNT,
    dt.date: FieldType.DATE,
    dt.datetime: FieldType.TIMESTAMP,
}


def _strip_optional(annotation: Any) -> Any:
    """Return ``X`` of ``X | None``."""
    arguments = get_args(annotation)
    return next(each for each in arguments if each is not NoneType) if NoneType in arguments else annotation


def _field_type(annotation: Any) -> FieldType:
    """Return the type of ``X``, ``X | None`` and ``Annotated[X, ...] | None``."""
    annotation = _strip_optional(annotation)
    return _FIELD_TYPES.get(getattr(annotation, "__origin__", annotation), FieldType.OTHER)


def group_model(annotation: Any) -> type[ArmModel] | None:
    """Return the model of a field that is a group of fields; ``None`` for any other field."""
    annotation = _strip_optional(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, ArmModel) else None


def is_text_list(annotation: Any) -> bool:
    """Return whether a field is a list of text."""
    return bool(_strip_optional(annotation) == list[str])


def model_fields(model: type[ArmModel] | None) -> dict[str, FieldType]:
    """Return the types of a model's fields by wire name, in its order."""
    fields = model.model_fields if model is not None else {}
    return {info.alias or name: _field_type(info.annotation) for name, info in fields.items()}


@dataclass(frozen=True)
class RecordType:
    """Description of the records of one list, by which they are checked and totalled."""

    #: Plural, for messages.
    name: str
    #: ``None`` for a list whose records are not documented.
    model: type[ArmModel] | None = None
    #: The field that is unique; without it a duplicate is not detected.
    key: str | None = None
    #: The field with the currency, and the amounts in that currency.
    currency: str | None = None
    amounts: tuple[str, ...] = ()
    #: Amounts in the client's own currency, for which there is no field.
    gl_amounts: tuple[str, ...] = ()
    #: Dates and timestamps whose first and last value are in the manifest.
    dates: tuple[str, ...] = ()
    timestamps: tuple[str, ...] = ()
    #: Fields with few different values, which Parquet encodes with a dictionary.
    low_cardinality: tuple[str, ...] = ()
    #: Names that the readings profile gives to fields, by their default names.
    renamed: Mapping[str, str] = field(default_factory=dict)
    #: The model of a record in an update, for a list whose records can be updated in batches.
    write_model: type[ArmModel] | None = None

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """The fields of the model, in its order."""
        return model_fields(self.model)

    def annotation(self, name: str) -> Any:
        """Return the annotation of a field of the model."""
        fields = self.model.model_fields if self.model is not None else {}
        return next(info.annotation for python, info in fields.items() if name == (info.alias or python))

    def field_type(self, name: str) -> FieldType:
        """Return the type of a field, or of a field of a group (``postalAddress.cityName``)."""
        group, _, inner = name.partition(".")
        if inner and group in self.fields:
            return model_fields(group_model(self.annotation(group))).get(inner, FieldType.OTHER)
        return self.fields.get(name, FieldType.OTHER)

    def default_name(self, name: str) -> str:
        """Return the name that a field has without a profile."""
        return next((default for default, renamed in self.renamed.items() if renamed == name), name)

    @property
    def all_amounts(self) -> tuple[str, ...]:
        """The amounts with totals."""
        return self.amounts + self.gl_amounts

    @property
    def validated_fields(self) -> list[str]:
        """The fields that an export always reads: key, currency, amounts and dates."""
        names = (self.key, self.currency, *self.all_amounts, *self.dates, *self.timestamps)
        return [name for name in names if name is not None]


def _record_type(
    operation: Operation,
    name: str | None = None,
    currency: Sequence[str] = (),
    write_model: type[ArmModel] | None = None,
    **groups: Sequence[str],
) -> RecordType:
    """Build the record type of a list from its row in the operations table.

    :param name: default: from the operation's name.
    :param groups: Python names of fields, by attribute of :class:`RecordType`.
    """
    model = operation.response or ArmModel
    aliases = {each: info.alias or each for each, info in model.model_fields.items()}
    fields = {group: tuple(aliases[each] for each in names) for group, names in groups.items()}
    return RecordType(
        name or operation.name.removeprefix("list_").replace("_", " "),
        model,
        operation.item_key,
        next((aliases[each] for each in currency), None),
        **fields,
        write_model=write_model,
        renamed={to_camel(each): alias for each, alias in aliases.items() if alias != to_camel(each)},
    )


_LEDGER = (
    "client_no",
    "voucher_date",
    "currency",
    "voucher_type",
    "voucher_type_description",
    "transaction_text",
    "gl_year",
    "gl_period",
)

#: Arguments of :func:`_record_type` that are not in the operations table.
_DETAILS: dict[str, dict[str, Any]] = {
    "list_ar_items": {
        "name": "AR items",
        "currency": ("currency",),
        "amounts": ("currency_amount", "currency_balance"),
        "gl_amounts": ("gl_amount", "gl_balance"),
        "dates": ("voucher_date", "due_date"),
        "timestamps": ("created_time",),
        "low_cardinality": (
            *_LEDGER,
            "reference_sequence_no",
            "due_date",
            "original_due_date",
            "gl_lot_no",
            "reserved_status",
        ),
    },
    "list_gl_items": {
        "name": "GL items",
        "currency": ("currency",),
        "amounts": ("currency_amount",),
        "gl_amounts": ("gl_amount",),
        "dates": ("voucher_date",),
        "timestamps": ("created_time",),
        "low_cardinality": (*_LEDGER, "gl_account_no", "gl_lot_no"),
    },
    "list_customers": {
        "write_model": CustomerWrite,
        "low_cardinality": (
            "client_no",
            "customer_category",
            "customer_group_code",
            "language",
            "using_language",
            "currency",
        ),
    },
    "list_documents": {
        "dates": ("document_date", "due_date"),
        "low_cardinality": ("document_type", "document_date", "due_date", "currency", "language"),
    },
}


@lru_cache(_CACHED_PROFILES)
def record_types_of(readings: Readings) -> Mapping[str, RecordType]:
    """Return the record type of every list in the operations table, by the operation's name."""
    rows = operations_of(readings).values()
    return {row.name: _record_type(row, **_DETAILS.get(row.name, {})) for row in rows if row.item_key is not None}


#: The record types with the defaults of the profile.
RECORD_TYPES = record_types_of(DEFAULT_READINGS)
AR_ITEMS, GL_ITEMS = RECORD_TYPES["list_ar_items"], RECORD_TYPES["list_gl_items"]
CUSTOMERS, DOCUMENTS = RECORD_TYPES["list_customers"], RECORD_TYPES["list_documents"]


def find_record_type(name: str, renamed: Mapping[str, str] | None = None) -> RecordType | None:
    """Return the record type that manifests call *name*; ``None`` for a list that is not in the operations table.

    :param renamed: names of its fields by their default names, as the manifest has them.
    """
    readings = DEFAULT_READINGS
    if renamed:
        names = {name: alias for name in GlItemReadings.model_fields if (alias := renamed.get(to_camel(name)))}
        readings = Readings.parse({"gl_items": names}, "readings of a manifest")
    return next((found for found in record_types_of(readings).values() if found.name == name), None)
