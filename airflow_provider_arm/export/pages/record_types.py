"""Record types: key, currency, amounts and dates of the records of each list. Names are wire names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import ArmModel, wire_names
from airflow_provider_arm.client.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_arm.client.operations import Operation


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

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """The fields of the model, in its order."""
        fields = self.model.model_fields if self.model is not None else {}
        return {field.alias or name: _field_type(field.annotation) for name, field in fields.items()}

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
    operation: Operation, name: str | None = None, currency: str | None = None, **groups: Sequence[str]
) -> RecordType:
    """Build the record type of a list from its row in the operations table.

    :param name: default: from the operation's name.
    :param groups: Python names of fields, by attribute of :class:`RecordType`.
    """
    model = operation.response or ArmModel
    fields = {group: tuple(model.model_fields[each].alias or each for each in names) for group, names in groups.items()}
    return RecordType(
        name or operation.name.removeprefix("list_").replace("_", " "), model, operation.item_key, currency, **fields
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
        "currency": "currency",
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
        "currency": "currency",
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

#: The record type of every list in the operations table, by the operation's name.
RECORD_TYPES = {
    row.name: _record_type(row, **_DETAILS.get(row.name, {})) for row in OPERATIONS.values() if row.item_key is not None
}
AR_ITEMS, GL_ITEMS = RECORD_TYPES["list_ar_items"], RECORD_TYPES["list_gl_items"]
CUSTOMERS, DOCUMENTS = RECORD_TYPES["list_customers"], RECORD_TYPES["list_documents"]
_BY_NAME = {record_type.name: record_type for record_type in RECORD_TYPES.values()}


def find_record_type(name: str) -> RecordType | None:
    """Return the record type that manifests call *name*; ``None`` for a list that is not in the operations table."""
    return _BY_NAME.get(name)


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

    :raises ArmConfigurationError: a column is duplicated, or a field to mask does not exist: with a typo in its name it
        would be exported.
    """
    chosen = None if columns is None else tuple(columns)
    if chosen is not None and (not chosen or len(set(chosen)) != len(chosen)):
        raise ArmConfigurationError("columns must have at least one field and no duplicates")
    masked = frozenset(mask)
    unknown = sorted(masked - set(record_type.fields)) if record_type.model is not None else []
    if unknown:
        msg = f"mask: {record_type.name} have no field {', '.join(unknown)} (names are case-sensitive)"
        raise ArmConfigurationError(msg)
    return FieldSelection(chosen, masked)
