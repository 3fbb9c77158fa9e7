"""What is read of a page's records on their way into a file: keys, exact totals, first and last dates.

It is read by a thread beside those that fetch, for a whole page at a time.
"""

from __future__ import annotations

import datetime as dt
import decimal
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import compress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.http.messages import InvalidResponseError
from airflow_provider_arm.export.pages.ranges import date_bounds, timestamp_bounds
from airflow_provider_arm.export.pages.record_types import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_arm.export.pages.record_types import RecordType

_NOTHING = type(None)
_NUMBERS = {int, Decimal, _NOTHING}
#: Types that are checked on request only. An amount must be a number: as a ``Decimal`` it would be taken from text.
_TYPES: dict[FieldType, Any] = {
    FieldType.TEXT: str | None,
    FieldType.INTEGER: int | None,
    FieldType.BOOLEAN: bool | None,
    FieldType.DATE: dt.date | None,
    FieldType.TIMESTAMP: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None,
    FieldType.AMOUNT: int | float | None,
    FieldType.OTHER: Any,
}

#: First and last of a date field, as text.
Range = tuple[str, str]
_RangeOf = Callable[[Sequence[Any]], Range | None]


@dataclass(slots=True)
class PageStats:
    """What is known of the records of a page, of a window, of an export."""

    rows: int = 0
    keys: Sequence[Any] = ()
    #: By currency, by field. Records without a currency stand under "".
    totals: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    #: Of amounts in the client's own currency, by field.
    gl_totals: dict[str, Decimal] = field(default_factory=dict)
    #: Of days and moments, by field; a field that no record has is not there.
    ranges: dict[str, Range] = field(default_factory=dict)

    def add(self, other: PageStats) -> None:
        """Add the facts of more records; their keys are not kept.

        :raises decimal.Inexact: a total has more digits than can be added exactly.
        """
        self.rows += other.rows
        for currency, totals in other.totals.items():
            _add(self.totals.setdefault(currency, {}), totals)
        _add(self.gl_totals, other.gl_totals)
        for name, (first, last) in other.ranges.items():
            known = self.ranges.get(name, (first, last))
            self.ranges[name] = min(known[0], first), max(known[1], last)


def _add(totals: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    for name, amount in more.items():
        totals[name] = money.EXACT.add(totals.get(name, Decimal(0)), amount)


def amount_text(amount: Decimal) -> str:
    """Write a total: every digit, no exponent, no zeros that say nothing (``749.37``, ``4``)."""
    plain = money.EXACT.normalize(amount)
    return format(plain or Decimal(0), "f")


def invalid_records_error(record_type: RecordType, what: str) -> InvalidResponseError:
    """Say that a page's records cannot be exported; asking again would bring the same."""
    return InvalidResponseError(
        f"{record_type.name} of which one has {what}: the export would not be exact", retryable=False
    )


class PageStatsReader:
    """Reads the facts of a page from its text: an object that holds the list of records under *list_key*.

    :param validate_all_fields: check the type of every field that the model knows, too.
    :param available_fields: the fields that the text has, where it has not all (a file that is read again).
    """

    def __init__(
        self,
        record_type: RecordType,
        list_key: str,
        *,
        validate_all_fields: bool = False,
        available_fields: Iterable[str] | None = None,
    ) -> None:
        self._record_type = record_type
        there = None if available_fields is None else set(available_fields)
        #: Names of the fields that are read.
        self.field_names = [name for name in record_type.validated_fields if there is None or name in there]
        struct = msgspec.defstruct("Checked", self._fields(validate_all_fields=validate_all_fields), gc=False)
        body = msgspec.defstruct("Page", [("records", list[struct], msgspec.field(name=list_key))])  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body, float_hook=Decimal)
        # A column at a time: a tuple for each record would wake the garbage collector, over and over.
        self._columns = {name: operator.attrgetter(f"f{number}") for number, name in enumerate(self.field_names)}

    def _fields(self, *, validate_all_fields: bool) -> list[tuple[str, Any, Any]]:
        record_type, fields = self._record_type, []
        names = [
            *self.field_names,
            *(name for name in record_type.fields if validate_all_fields and name not in self.field_names),
        ]
        for number, name in enumerate(names):
            if name == record_type.key:
                fields.append((f"f{number}", str | int, msgspec.field(name=name)))
                continue
            if name in record_type.all_amounts:
                field_type: Any = Any  # checked when it is summed
            elif validate_all_fields:
                field_type = _TYPES[record_type.fields.get(name, FieldType.TEXT)]
            else:
                field_type = str | None
            fields.append((f"f{number}", field_type, msgspec.field(name=name, default=None)))
        return fields

    def read(self, text: bytes) -> PageStats:
        """Compute the stats of a page's text.

        :raises InvalidResponseError: a record has no key, an amount is no number, a date is none, a field is of
            another type.
        """
        rows, columns = self.decode(text)
        return self.from_columns(rows, columns) if rows else PageStats()

    def decode(self, text: bytes) -> tuple[int, dict[str, Sequence[Any]]]:
        """Return the number of records in a page's text, and their values by field.

        :raises InvalidResponseError: a record has no key, or a field is of another type.
        """
        try:
            records = self._decoder.decode(text).records
        except (msgspec.DecodeError, decimal.InvalidOperation, RecursionError):
            what = f"no {self._record_type.key}, or a field of another type than it should have"
            raise invalid_records_error(self._record_type, what) from None
        return len(records), {name: list(map(get, records)) for name, get in self._columns.items()}

    def parse_csv_column(self, name: str, cells: Sequence[str]) -> Sequence[Any]:
        """Read a column of a CSV: an amount as a number, an empty cell as none.

        :raises decimal.InvalidOperation: a cell is no number.
        """
        if name in self._record_type.all_amounts:
            return [Decimal(cell) if cell else None for cell in cells]
        return cells if name == self._record_type.key else [cell or None for cell in cells]

    def from_columns(self, rows: int, columns: Mapping[str, Sequence[Any]]) -> PageStats:
        """Find the facts of columns by their names. Raises as :meth:`read`."""
        record_type = self._record_type
        stats = PageStats(rows, columns.get(record_type.key or "", ()))
        for names, range_of in ((record_type.dates, date_bounds), (record_type.timestamps, timestamp_bounds)):
            for name in filter(columns.__contains__, names):
                self._range(stats, name, range_of, columns[name])
        amounts = {name: self._numbers(name, columns[name]) for name in record_type.all_amounts if name in columns}
        stats.gl_totals = {name: self._sum(name, amounts[name]) for name in record_type.gl_amounts if name in amounts}
        currencies = columns.get(record_type.currency or "")
        if currencies is not None:
            named = [name for name in record_type.amounts if name in amounts]
            stats.totals = self._totals(currencies, {name: amounts[name] for name in named})
        return stats

    def _totals(self, currencies: Sequence[Any], amounts: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Decimal]]:
        """Add up by currency."""
        distinct = set(currencies)
        if len(distinct) == 1:
            return {distinct.pop() or "": {name: self._sum(name, values) for name, values in amounts.items()}}
        totals = {}
        for currency in distinct:
            mine = [one == currency for one in currencies]
            totals[currency or ""] = {name: self._sum(name, compress(values, mine)) for name, values in amounts.items()}
        return totals

    def _range(self, stats: PageStats, name: str, range_of: _RangeOf, values: Sequence[Any]) -> None:
        try:
            found = range_of(values)
        except ValueError:
            raise invalid_records_error(self._record_type, f"{name} that is no date") from None
        if found is not None:
            stats.ranges[name] = found

    def _numbers(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Check that amounts are numbers; null counts for nothing."""
        kinds = set(map(type, values))
        if not kinds <= _NUMBERS:
            raise invalid_records_error(self._record_type, f"{name} that is no number")
        return [value or 0 for value in values] if _NOTHING in kinds else values

    def _sum(self, name: str, values: Iterable[Any]) -> Decimal:
        try:
            with decimal.localcontext(money.EXACT):
                total = sum(values, Decimal(0))
        except decimal.Inexact:
            raise invalid_records_error(self._record_type, f"{name} of more digits than can be added exactly") from None
        if abs(total.adjusted()) > money.MAX_EXPONENT:
            raise invalid_records_error(self._record_type, f"{name} of an absurd size")
        return total
