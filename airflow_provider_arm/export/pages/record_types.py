"""Record types: key, currency, amounts and dates of the records of each list. Names are wire names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property, lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic.alias_generators import to_camel

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import ArmModel, wire_names
from airflow_provider_arm.client.operations import operations_of
from airflow_provider_arm.client.reading_entries import GlItemReadings
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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


def _field_type(annotation: Any) -> FieldType:
    """Return the type of ``X``, ``X | None`` and ``Annotated[X, ...] | None``."""
    arguments = get_args(annotation)
    if NoneType in arguments:
        annotation = next(argument for argument in arguments if argument is not NoneType)
    return _FIELD_TYPES.get(getattr(annotation, "__origin__", annotation), FieldType.OTHER)


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

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """The fields of the model, in its order."""
        fields = self.model.model_fields if self.model is not None else {}
        return {info.alias or name: _field_type(info.annotation) for name, info in fields.items()}

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
    operation: Operation, name: str | None = None, currency: Sequence[str] = (), **groups: Sequence[str]
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
        "low_cardinality": (
            "client_no",
            "customer_category",
            "customer_group_code",
            "language",
            "using_language",
            "currency",
        )
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


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """The fields of a record that go into the file."""

    #: Selected columns, or ``None`` for all: in JSON lines all that ARM returns, otherwise those of the model.
    chosen: tuple[str, ...] | None = None
    #: Fields that are null in the file.
    masked: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        """Whether JSON lines contain the records exactly as ARM wrote them."""
        return self.chosen is None and not self.masked

    def columns(self, record_type: RecordType) -> tuple[str, ...]:
        """Return the columns of a table.

        :raises ArmConfigurationError: no columns are selected, and the list has no model.
        """
        if self.chosen is not None:
            return self.chosen
        if record_type.model is None:
            msg = f"columns are required: the fields of {record_type.name} are not published (.jsonl needs no columns)"
            raise ArmConfigurationError(msg)
        return wire_names(record_type.model)


def select_fields(
    record_type: RecordType, columns: Iterable[str] | None = None, mask: Iterable[str] = ()
) -> FieldSelection:
    """Check the arguments ``columns`` and ``mask``, and return the selection.

    :raises ArmConfigurationError: a column is duplicated, or a field does not exist: with a typo in its name a column
        would be empty, and a field to mask would be exported.
    """
    for argument, value in (("columns", columns), ("mask", mask)):
        if isinstance(value, str):
            raise ArmConfigurationError(f"{argument} must be a list of field names, not text")
    chosen = None if columns is None else tuple(columns)
    if chosen is not None and (not chosen or len(set(chosen)) != len(chosen)):
        raise ArmConfigurationError("columns must have at least one field and no duplicates")
    masked = tuple(mask)
    for argument, names in (("columns", chosen or ()), ("mask", masked)):
        _check_names(record_type, argument, names)
    return FieldSelection(chosen, frozenset(masked))


def _check_names(record_type: RecordType, argument: str, names: Iterable[str]) -> None:
    """Check that the fields exist, as far as the fields of the list are known."""
    known = {name.casefold(): name for name in record_type.fields}
    for name in names:
        if record_type.model is None or name in record_type.fields:
            continue
        similar = get_close_matches(str(name).replace("_", "").casefold(), known, 1)
        hint = f"did you mean {known[similar[0]]}?" if similar else f"its fields are {', '.join(record_type.fields)}"
        raise ArmConfigurationError(
            f"{argument}: {record_type.name} have no field {name}: {hint} (Names are case-sensitive. A field that this "
            "version does not know is in a .jsonl file without columns and mask.)"
        )
