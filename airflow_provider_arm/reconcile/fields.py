"""Query for one side of a reconciliation, and the fields of an export that it reads."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.export.pages.record_types import FieldType, find_record_type
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.period import Period

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.export.pages.record_types import RecordType

#: The booked amount. A balance is what is open at the time of the export, and no GL item has one.
DEFAULT_FIELD = "currencyAmount"
DEFAULT_BY = "voucherDate"
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class SideQuery:
    """What to sum for one side."""

    #: The amount field to sum.
    field: str = DEFAULT_FIELD
    period: Period = Period.MONTH
    #: The date field that determines a record's period.
    by: str = DEFAULT_BY
    #: Sum only records whose fields have one of these values, each normalized by :func:`normalize_value`.
    where: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    #: The currency of amounts such as ``glAmount``, whose currency is in no field.
    own_currency: str | None = None


@dataclass(frozen=True, slots=True)
class QueryFields:
    """Fields of an export that a query reads."""

    amount: str
    #: ``None``: every amount is in *own_currency*.
    currency: str | None
    own_currency: str
    period: tuple[str, ...]
    where: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """All field names, without duplicates."""
        names = (self.amount, self.currency, *self.period, *self.where)
        return list(dict.fromkeys(name for name in names if name is not None))


def choose_fields(manifest: Mapping[str, Any], query: SideQuery) -> QueryFields:
    """Choose the fields of an export that *query* reads, under their names at ARM.

    :raises ArmReconcileError: the list has no such amount field, or no such date field.
    :raises ArmConfigurationError: the currency of the amount is in no field, and *own_currency* is not set.
    """
    renamed: Mapping[str, str] = manifest.get("renamed", {})
    query = replace(query, field=renamed.get(query.field, query.field), by=renamed.get(query.by, query.by))
    record_type = find_record_type(manifest["records"], renamed)
    if record_type is not None:
        _check_record_type(record_type, query)
        is_own = query.field in record_type.gl_amounts
    else:
        is_own = query.field in manifest["gl_totals"]
    currency = None if is_own else manifest["currency_field"]
    if currency is None and query.own_currency is None:
        msg = f"set own_currency: the records of {manifest['file']} have no field with the currency of {query.field}"
        raise ArmConfigurationError(msg)
    period = tuple(renamed.get(name, name) for name in query.period.fields(query.by))
    return QueryFields(query.field, currency, query.own_currency or "", period, tuple(query.where))


def _check_record_type(record_type: RecordType, query: SideQuery) -> None:
    if record_type.fields.get(query.field) is not FieldType.AMOUNT:
        amounts = _list_fields(record_type, FieldType.AMOUNT)
        msg = f"field: {record_type.name} have no amount field {query.field} (amount fields: {amounts})"
        raise ArmReconcileError(msg)
    by_date = query.period not in {Period.NONE, Period.LEDGER}
    if by_date and record_type.fields.get(query.by) is not FieldType.DATE:
        dates = _list_fields(record_type, FieldType.DATE)
        raise ArmReconcileError(f"by: {record_type.name} have no date field {query.by} (date fields: {dates})")


def _list_fields(record_type: RecordType, field_type: FieldType) -> str:
    return ", ".join(name for name, its_type in record_type.fields.items() if its_type is field_type) or "none"


def check_columns(manifest: Mapping[str, Any], names: Sequence[str]) -> None:
    """Check that an export has all columns *names*.

    :raises ArmReconcileError: a column is not in the file, or its values are masked.
    """
    for name in names:
        if manifest["columns"] is not None and name not in manifest["columns"]:
            msg = f"{manifest['file']} has no column {name}: export it too (columns; names are case-sensitive)"
            raise ArmReconcileError(msg)
        if name in manifest["masked"]:
            msg = f"{manifest['file']} has no values in {name}, because it is masked: export it without that mask"
            raise ArmReconcileError(msg)


def normalize_value(value: Any) -> str:
    """Return a value as text that can be compared: in lower case, because ARM ignores case. ``None`` is ``""``."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else fold(str(value).strip())


def parse_currency(value: Any) -> str:
    """Parse a currency code, in any case; ``None`` and ``""`` are ``""``.

    :raises ValueError: *value* is not a three-letter code; the message continues a sentence that begins with "the
        currency".
    """
    if value is None or value == "":
        return ""
    code = value.strip().upper() if isinstance(value, str) else ""
    if not _CURRENCY.fullmatch(code):
        raise ValueError("is not a three-letter code such as NOK")
    return code


def parse_where(where: Mapping[str, Any] | None, argument: str) -> dict[str, frozenset[str]]:
    """Parse a selection of records: by field, a value or a list of values.

    :param argument: the name of the argument, for the message.
    :raises ArmConfigurationError: *where* is no such mapping, or the list of a field is empty.
    """
    if where is not None and not isinstance(where, dict):
        raise ArmConfigurationError(f"{argument} must be a mapping of fields to a value or a list of values")
    return {str(name): _parse_values(values, f"{argument}: {name}") for name, values in (where or {}).items()}


def _parse_values(given: Any, place: str) -> frozenset[str]:
    values: Sequence[Any] = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    if not values or not all(value is None or isinstance(value, str | int) for value in values):
        msg = f"{place} must have a value, or a list of values: text, whole numbers, true or false"
        raise ArmConfigurationError(msg)
    return frozenset(map(normalize_value, values))
