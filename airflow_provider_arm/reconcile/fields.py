"""What is asked of one side of a reconciliation, and which fields of an export answer it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.pages.record_types import FieldType, find_record_type
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.period import Period

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.export.pages.record_types import RecordType

#: What was booked. A balance is what is open at the moment of the export, which no GL item has.
DEFAULT_FIELD = "currencyAmount"
DEFAULT_BY = "voucherDate"
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class SideQuery:
    """What is asked of one side."""

    #: The amount that is added up.
    field: str = DEFAULT_FIELD
    period: Period = Period.MONTH
    #: The field of a day that decides the period.
    by: str = DEFAULT_BY
    #: Only records that have one of these values in each of these fields, as :func:`normalize_value` writes them.
    where: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    #: The currency of amounts such as ``glAmount``, which no field names.
    own_currency: str | None = None


@dataclass(frozen=True, slots=True)
class QueryFields:
    """The fields of an export that answer a question."""

    amount: str
    #: ``None``: every amount is in *own_currency*.
    currency: str | None
    own_currency: str
    period: tuple[str, ...]
    where: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        named = (self.amount, self.currency, *self.period, *self.where)
        return list(dict.fromkeys(name for name in named if name is not None))


def choose_fields(said: Mapping[str, Any], query: SideQuery) -> QueryFields:
    """Choose the fields.

    :param said: the export's manifest.
    :raises ArmReconcileError: the list has no such amount, or no day of that name.
    :raises ArmConfigurationError: the amount's currency is not told.
    """
    kind = find_record_type(said["records"])
    if kind is not None:
        _check_record_type(kind, query)
        own = query.field in kind.own_amounts
    else:
        own = query.field in said["gl_totals"]
    currency = None if own else said["currency_field"]
    if currency is None and query.own_currency is None:
        msg = f"own_currency must say which currency {query.field} of {said['file']} is in: no field does"
        raise ArmConfigurationError(msg)
    period = query.period.fields(query.by)
    return QueryFields(query.field, currency, query.own_currency or "", period, tuple(query.where))


def _check_record_type(kind: RecordType, query: SideQuery) -> None:
    if kind.fields.get(query.field) is not FieldType.AMOUNT:
        amounts = ", ".join(name for name, holds in kind.fields.items() if holds is FieldType.AMOUNT) or "none"
        msg = f"field: {kind.name} have no amount {query.field} (of amounts they have: {amounts})"
        raise ArmReconcileError(msg)
    if query.period not in {Period.NONE, Period.LEDGER} and kind.fields.get(query.by) is not FieldType.DAY:
        days = ", ".join(name for name, holds in kind.fields.items() if holds is FieldType.DAY) or "none"
        msg = f"by: {kind.name} have no day {query.by} (of days they have: {days})"
        raise ArmReconcileError(msg)


def normalize_value(value: Any) -> str:
    """Write a value so that it can be compared: ARM's values do not differ by case, and none is ``""``."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip().casefold()


def parse_currency(value: Any) -> str:
    """Read a currency; none is ``""``.

    :raises ValueError: it is no code of three letters; the message goes on after "the currency".
    """
    if value is None or value == "":
        return ""
    code = value.strip().upper() if isinstance(value, str) else ""
    if not _CURRENCY.fullmatch(code):
        msg = "is no code of three letters such as NOK"
        raise ValueError(msg)
    return code


def parse_where(where: Mapping[str, Any] | None, name: str) -> dict[str, frozenset[str]]:
    """Read an author's choice of records: by field, a value or a list of values.

    :param name: as a message names the argument.
    :raises ArmConfigurationError: it is no such mapping, or a field has no value to look for.
    """
    if where is not None and not isinstance(where, dict):
        msg = f"{name} must be a mapping of fields to a value or a list of values"
        raise ArmConfigurationError(msg)
    return {str(key): _parse_values(value, f"{name}: {key}") for key, value in (where or {}).items()}


def _parse_values(value: Any, where: str) -> frozenset[str]:
    values: Sequence[Any] = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    if not values or not all(one is None or isinstance(one, str | int) for one in values):
        msg = f"{where} must have a value, or a list of values: text, whole numbers, true or false"
        raise ArmConfigurationError(msg)
    return frozenset(map(normalize_value, values))
