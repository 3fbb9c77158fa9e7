"""Stats of a page's records: keys, exact totals, first and last dates. They are computed in parser threads."""

from __future__ import annotations

import datetime as dt
import decimal
import operator
import re
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import compress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.http.messages import InvalidDataError
from airflow_provider_arm.export.pages.ranges import date_bounds, timestamp_bounds
from airflow_provider_arm.export.pages.record_types import GL_ITEMS, FieldType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from airflow_provider_arm.export.pages.record_types import RecordType

_NONE = type(None)
_NUMBERS = {int, Decimal, _NONE}
#: End of msgspec's message about a field of the wrong type.
_FIELD_PATH = re.compile(r"\]\.([^`.\[]+)`$")
#: Types that are checked on request only. An amount must be a number: msgspec also accepts text as a ``Decimal``.
_TYPES: dict[FieldType, Any] = {
    FieldType.TEXT: str | None,
    FieldType.INTEGER: int | None,
    FieldType.BOOLEAN: bool | None,
    FieldType.DATE: dt.date | None,
    FieldType.TIMESTAMP: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None,
    FieldType.AMOUNT: int | float | None,
    FieldType.OTHER: Any,
}


@dataclass(slots=True)
class PageStats:
    """Stats of the records of a page, a window or an export."""

    rows: int = 0
    keys: Sequence[Any] = ()
    #: By currency and field. The currency of records without one is "".
    totals: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    #: Totals of amounts in the client's own currency, by field.
    gl_totals: dict[str, Decimal] = field(default_factory=dict)
    #: First and last date or timestamp, as text, by field; a field without any value is missing.
    ranges: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Dates and timestamps with a value that is none. Such a value is not in the ranges.
    invalid_dates: set[str] = field(default_factory=set)

    def add(self, other: PageStats) -> None:
        """Add the stats of more records, without their keys.

        :raises decimal.Inexact: a total has more digits than can be added exactly.
        """
        self.rows += other.rows
        for currency, totals in other.totals.items():
            _add(self.totals.setdefault(currency, {}), totals)
        _add(self.gl_totals, other.gl_totals)
        self.invalid_dates |= other.invalid_dates
        for name, (first, last) in other.ranges.items():
            known = self.ranges.get(name, (first, last))
            self.ranges[name] = min(known[0], first), max(known[1], last)


def _add(totals: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    for name, amount in more.items():
        totals[name] = money.EXACT.add(totals.get(name, Decimal(0)), amount)


def amount_text(amount: Decimal) -> str:
    """Return a total as text with all its digits, without an exponent or trailing zeros (``749.37``, ``4``)."""
    plain = money.EXACT.normalize(amount)
    return format(plain or Decimal(0), "f")


def invalid_records_error(record_type: RecordType, fault: str, record: str = "a record") -> InvalidDataError:
    """Return the error for a page with a record that has *fault*. The request is not retried.

    :param record: which record it is, such as ``documentNo 88776655 (record 2 of page 1)``.
    """
    hint = "; its fields are named by gl_items. in the readings" if record_type.name == GL_ITEMS.name else ""
    return InvalidDataError(f"{record_type.name}: {record} has {fault}, so it cannot be exported exactly{hint}", fault)


def type_fault(record_type: RecordType, error: Exception) -> str:
    """Return what a record has that msgspec does not decode, from its message, which names the field."""
    found = _FIELD_PATH.search(str(error))
    return (
        f"no {record_type.key}" if found is None or found[1] == record_type.key else f"a {found[1]} of the wrong type"
    )


class PageStatsReader:
    """Reader of the stats of a page from its text, an object with the list of records under *list_key*.

    :param validate_all_fields: check the type of every field of the model.
    :param required_dates: dates and timestamps that must be valid, because the export is limited by them.
    :param available_fields: the fields in the text, if some are missing (in a file that is read again).
    """

    def __init__(
        self,
        record_type: RecordType,
        list_key: str,
        *,
        validate_all_fields: bool = False,
        required_dates: Collection[str] = (),
        available_fields: Iterable[str] | None = None,
    ) -> None:
        self._record_type = record_type
        self._required_dates = required_dates
        names = record_type.validated_fields
        available = set(names if available_fields is None else available_fields)
        #: Names of the fields that are read.
        self.field_names = [name for name in names if name in available]
        struct = msgspec.defstruct("Checked", self._fields(validate_all_fields=validate_all_fields), gc=False)
        body = msgspec.defstruct("Page", [("records", list[struct], msgspec.field(name=list_key))])  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body, float_hook=Decimal)
        # Column by column: a tuple per record would trigger the garbage collector again and again.
        self._columns = {name: operator.attrgetter(f"f{number}") for number, name in enumerate(self.field_names)}

    def _fields(self, *, validate_all_fields: bool) -> list[tuple[str, Any, Any]]:
        record_type, fields = self._record_type, []
        names = dict.fromkeys([*self.field_names, *(record_type.fields if validate_all_fields else ())])
        for number, name in enumerate(names):
            field_type: Any = str | None
            if name == record_type.key:
                field_type = str | int
            elif name in record_type.all_amounts:
                field_type = Any  # checked when it is summed
            elif validate_all_fields:
                field_type = _TYPES[record_type.fields.get(name, FieldType.TEXT)]
            default = msgspec.NODEFAULT if name == record_type.key else None
            fields.append((f"f{number}", field_type, msgspec.field(name=name, default=default)))
        return fields

    def read(self, text: bytes) -> PageStats:
        """Compute the stats of a page's text.

        :raises InvalidDataError: a record has no key, or a field of the wrong type.
        """
        rows, columns = self.decode(text)
        return self.from_columns(rows, columns) if rows else PageStats()

    def decode(self, text: bytes) -> tuple[int, dict[str, Sequence[Any]]]:
        """Return the number of records in a page's text, and their values by field.

        :raises InvalidDataError: a record has no key, or a field of the wrong type, except for amounts and dates.
        """
        try:
            records = self._decoder.decode(text).records
        except (msgspec.DecodeError, decimal.InvalidOperation, RecursionError) as error:
            raise invalid_records_error(self._record_type, type_fault(self._record_type, error)) from None
        return len(records), {name: list(map(get, records)) for name, get in self._columns.items()}

    def parse_csv_column(self, name: str, cells: Sequence[str]) -> Sequence[Any]:
        """Return the values of a CSV column: amounts as numbers, and ``None`` for empty cells.

        :raises decimal.InvalidOperation: an amount is not a number.
        """
        if name in self._record_type.all_amounts:
            return [Decimal(cell) if cell else None for cell in cells]
        return cells if name == self._record_type.key else [cell or None for cell in cells]

    def from_columns(self, rows: int, columns: Mapping[str, Sequence[Any]]) -> PageStats:
        """Compute the stats of columns by field name. Raises as :meth:`read`."""
        record_type = self._record_type
        stats = PageStats(rows, columns.get(record_type.key or "", ()))
        for names, bounds in ((record_type.dates, date_bounds), (record_type.timestamps, timestamp_bounds)):
            for name in filter(columns.__contains__, names):
                try:
                    found = bounds(columns[name])
                except ValueError:
                    if name in self._required_dates:
                        raise invalid_records_error(record_type, f"a {name} that is not a date") from None
                    stats.invalid_dates.add(name)
                    found = bounds([value for value in columns[name] if _has_bounds(bounds, value)])
                if found is not None:
                    stats.ranges[name] = found
        amounts = {name: self._numbers(name, columns[name]) for name in record_type.all_amounts if name in columns}
        stats.gl_totals = {name: self._sum(name, amounts[name]) for name in record_type.gl_amounts if name in amounts}
        currencies = columns.get(record_type.currency or "")
        if currencies is not None:
            named = [name for name in record_type.amounts if name in amounts]
            stats.totals = self._totals(currencies, {name: amounts[name] for name in named})
        return stats

    def _totals(self, currencies: Sequence[Any], amounts: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Decimal]]:
        """Return the totals by currency and field."""
        distinct = set(currencies)
        if len(distinct) == 1:
            return {distinct.pop() or "": {name: self._sum(name, values) for name, values in amounts.items()}}
        totals = {}
        for currency in distinct:
            same = [other == currency for other in currencies]
            totals[currency or ""] = {name: self._sum(name, compress(values, same)) for name, values in amounts.items()}
        return totals

    def _numbers(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Check that amounts are numbers, and return them with 0 for null."""
        types = set(map(type, values))
        if not types <= _NUMBERS:
            raise invalid_records_error(self._record_type, f"a {name} that is not a number")
        return [value or 0 for value in values] if _NONE in types else values

    def _sum(self, name: str, values: Iterable[Any]) -> Decimal:
        try:
            with decimal.localcontext(money.EXACT):
                total = sum(values, Decimal(0))
        except decimal.Inexact:
            fault = f"a {name} with more digits than can be added exactly"
            raise invalid_records_error(self._record_type, fault) from None
        if abs(total.adjusted()) > money.MAX_EXPONENT:
            raise invalid_records_error(self._record_type, f"a {name} of an implausible size")
        return total


def _has_bounds(bounds: Callable[[Sequence[Any]], Any], value: Any) -> bool:
    try:
        bounds([value])
    except ValueError:
        return False
    return True
