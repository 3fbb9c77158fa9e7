"""What an export knows of the records of one list: their key, their amounts, their dates. Names are the wire's."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args, get_origin

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import ArmModel, wire_names
from airflow_provider_arm.client.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_arm.client.operations import Operation


class FieldType(StrEnum):
    """What a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    AMOUNT = "amount"
    DATE = "date"
    TIMESTAMP = "timestamp"
    #: An object, a list, or a field that no model knows: carried as ARM's own JSON text.
    OTHER = "other"


_KINDS = {
    str: FieldType.TEXT,
    int: FieldType.INTEGER,
    bool: FieldType.BOOLEAN,
    Decimal: FieldType.AMOUNT,
    dt.date: FieldType.DATE,
    dt.datetime: FieldType.TIMESTAMP,
}


def _field_type(annotation: Any) -> FieldType:
    """Read ``str | None`` and ``Annotated[Decimal, ...] | None`` alike: by the one plain type in them."""
    if annotation in _KINDS:
        return _KINDS[annotation]
    if get_origin(annotation) in {list, dict}:
        return FieldType.OTHER
    found = {_field_type(part) for part in get_args(annotation) if isinstance(part, type) or get_args(part)} - {
        FieldType.OTHER
    }
    return found.pop() if len(found) == 1 else FieldType.OTHER


@dataclass(frozen=True)
class RecordType:
    """How the records of one list are checked and added up."""

    #: As a message calls them.
    name: str
    #: ``None`` for a list of which only the title is documented.
    model: type[ArmModel] | None = None
    #: The field that no two records share; without it nobody sees a record that came twice.
    key: str | None = None
    #: The field that holds the currency, and the amounts that are in it.
    currency: str | None = None
    amounts: tuple[str, ...] = ()
    #: Amounts in the client's own currency, which no field names.
    gl_amounts: tuple[str, ...] = ()
    #: Days and moments of which the manifest has the first and the last.
    dates: tuple[str, ...] = ()
    timestamps: tuple[str, ...] = ()
    #: Fields with few values: Parquet keeps each value once. Of others a dictionary would be as large as the column.
    low_cardinality: tuple[str, ...] = ()

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """The fields that the model knows, in its order."""
        if self.model is None:
            return {}
        found = {}
        for name, field in self.model.model_fields.items():
            found[field.alias or name] = _field_type(field.annotation)
        return found

    @property
    def all_amounts(self) -> tuple[str, ...]:
        """Amounts that are added up."""
        return self.amounts + self.gl_amounts

    @property
    def validated_fields(self) -> list[str]:
        """The fields of which an export reads something, whatever goes into its file: key, totals, dates."""
        names = (self.key, self.currency, *self.all_amounts, *self.dates, *self.timestamps)
        return [name for name in names if name is not None]


def _record_type(
    operation: Operation, name: str | None = None, currency: str | None = None, **groups: Sequence[str]
) -> RecordType:
    """Build the record type of a list from its row in the operations table.

    :param name: how messages call the records; default made of the operation's name.
    :param groups: fields of the model by their Python names, by attribute of :class:`RecordType`.
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

#: What the operations table does not say of a list's records: arguments of :func:`_record_type`.
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
        ),
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
    """Which fields of a record go into the file, and which of them without their value."""

    #: Chosen columns, or ``None`` for all: of JSON lines all that ARM gives, else all that the model knows.
    chosen: tuple[str, ...] | None = None
    #: Fields whose value is never written; they are null in the file.
    masked: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        """Whether a record goes into a file of JSON lines exactly as it came."""
        return self.chosen is None and not self.masked

    def columns(self, record_type: RecordType) -> tuple[str, ...]:
        """Name the columns of a table.

        :raises ArmConfigurationError: the list has no model that would name them.
        """
        if self.chosen is not None:
            return self.chosen
        if record_type.model is None:
            msg = f"columns must be given: which fields {record_type.name} have is not published (.jsonl needs none)"
            raise ArmConfigurationError(msg)
        return wire_names(record_type.model)


def select_fields(
    record_type: RecordType, columns: Iterable[str] | None = None, mask: Iterable[str] = ()
) -> FieldSelection:
    """Choose fields.

    :raises ArmConfigurationError: a name comes twice, or a field to mask is not one of the list's: a typo
        would show what it should hide.
    """
    chosen = None if columns is None else tuple(columns)
    if chosen is not None and (not chosen or len(set(chosen)) != len(chosen)):
        msg = "columns must name at least one field, and none twice"
        raise ArmConfigurationError(msg)
    masked = frozenset(mask)
    unknown = sorted(masked - set(record_type.fields)) if record_type.model is not None else []
    if unknown:
        msg = f"mask: {record_type.name} have no field {', '.join(unknown)} (names are case-sensitive)"
        raise ArmConfigurationError(msg)
    return FieldSelection(chosen, masked)
