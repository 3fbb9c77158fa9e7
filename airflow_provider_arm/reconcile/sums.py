"""One side of a reconciliation: exports summed by period and currency."""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.export.manifest.check import check_export
from airflow_provider_arm.export.manifest.errors import ArmExportMismatchError
from airflow_provider_arm.export.manifest.file_reader import read_batches, translate_format_errors
from airflow_provider_arm.export.manifest.merge import list_part_manifests
from airflow_provider_arm.export.manifest.paths import data_path
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, GL_ITEMS
from airflow_provider_arm.reconcile.amount import parse_amount
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.fields import (
    QueryFields,
    check_columns,
    choose_fields,
    normalize_value,
    parse_currency,
)
from airflow_provider_arm.reconcile.period import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_arm.export.manifest.file_reader import Batch
    from airflow_provider_arm.reconcile.fields import SideQuery

#: Fields whose values the report may show. Each has few different values, so none identifies a person.
_SHOWN_FIELDS = {"currency", "glAccountNo", *AR_ITEMS.low_cardinality, *GL_ITEMS.low_cardinality}
#: Label of the period, and currency.
PeriodCurrency = tuple[str, str]


@dataclass(slots=True)
class AmountTotal:
    """A sum of records, or a figure."""

    amount: Decimal = Decimal(0)
    #: Number of summed records; ``None`` for a figure.
    records: int | None = 0

    def add(self, other: AmountTotal) -> None:
        """Add *other*. A sum that includes a figure is a figure."""
        self.amount = money.EXACT.add(self.amount, other.amount)
        self.records = None if self.records is None or other.records is None else self.records + other.records


@dataclass(frozen=True, slots=True)
class ComparisonSide:
    """Amounts of one side by period and currency."""

    #: The side's name in the report, such as ``AR items``.
    name: str
    amounts: dict[PeriodCurrency, AmountTotal]
    #: What the report shows of each file: text, counts and field names, no value of a single record.
    files: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class FileTotals:
    """Running totals of one file."""

    #: Sums of the records that the query selects.
    selected: dict[PeriodCurrency, AmountTotal] = field(default_factory=dict)
    #: Sums of all records by currency, selected or not; they must equal the totals in the manifest.
    all_records: dict[str, Decimal] = field(default_factory=dict)
    rows: int = 0
    rows_without_amount: int = 0
    #: The fields of the query in which at least one record has a value.
    fields_with_values: set[str] = field(default_factory=set)


def sum_exports(manifests: Iterable[Any], query: SideQuery) -> ComparisonSide:
    """Sum exports that together are one side. Memory does not grow with the number of records.

    :param manifests: paths of manifests. Each is verified against its file first (:func:`check_export`), a merged one
        part by part.
    :raises ArmExportMismatchError: a file does not match its manifest.
    :raises ArmReconcileError: an export lacks a field that *query* reads, or the exports are of different lists.
    :raises ArmConfigurationError: the currency of the amount is unknown.
    :raises OSError: a file cannot be read.
    """
    sides = [_sum_export(part, query) for manifest in manifests for part in list_part_manifests(manifest)]
    if len({side.name for side in sides}) != 1:
        raise ArmReconcileError("a side needs at least one export, and all its exports must be of one list")
    amounts: dict[PeriodCurrency, AmountTotal] = {}
    for side in sides:
        for key, total in side.amounts.items():
            amounts.setdefault(key, AmountTotal()).add(total)
    return ComparisonSide(sides[0].name, amounts, tuple(file for side in sides for file in side.files))


def _sum_export(path: Any, query: SideQuery) -> ComparisonSide:
    manifest = check_export(path)
    fields = choose_fields(manifest, query)
    check_columns(manifest, fields.names)
    totals, accumulator = FileTotals(), _Accumulator(manifest["file"], fields, query)
    data: Any = data_path(path)
    with translate_format_errors(manifest), data.open("rb") as file:
        for rows, columns in read_batches(
            file,
            manifest,
            fields.names,
            decode_json=_json_decoder(fields.names),
            decode_cells=lambda _, cells: [cell or None for cell in cells],
        ):
            accumulator.add(rows, columns, totals)
    check_against_manifest(manifest, fields, totals)
    return ComparisonSide(manifest["records"], totals.selected, (describe_file(manifest, query, totals),))


def _json_decoder(names: Sequence[str]) -> Callable[[bytes], Batch]:
    """Return a decoder of JSON records into columns, with all digits of their numbers. A missing key is ``None``."""
    fields = [(f"f{at}", Any, msgspec.field(name=name, default=None)) for at, name in enumerate(names)]
    record = msgspec.defstruct("Record", fields, gc=False)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[record], float_hook=money.exact)  # type: ignore[valid-type]

    def decode(text: bytes) -> Batch:
        records = decoder.decode(text)
        return len(records), {name: [getattr(each, f"f{at}") for each in records] for at, name in enumerate(names)}

    return decode


class _Accumulator:
    """Adds the records of a file to its totals, batch by batch."""

    def __init__(self, file: str, fields: QueryFields, query: SideQuery) -> None:
        self._file, self._fields, self._query = file, fields, query

    def add(self, rows: int, columns: Mapping[str, Sequence[Any]], totals: FileTotals) -> None:
        """Add a batch of records to *totals*.

        :param rows: the number of records.
        :param columns: their values by field. Null, an empty cell and a missing key are all ``None``.
        :raises ArmReconcileError: a value does not fit its field; the message names the field, not the value.
        """
        fields = self._fields
        totals.rows += rows
        for name in set(fields.names) - totals.fields_with_values:
            if any(value is not None and value != "" for value in columns[name]):
                totals.fields_with_values.add(name)
        values = columns[fields.amount]
        amounts = self._parse(fields.amount, lambda: [v if v is None else parse_amount(v) for v in values])
        totals.rows_without_amount += amounts.count(None)
        period_columns = [columns[name] for name in fields.period]
        periods = self._parse(" or ".join(fields.period), lambda: self._query.period.labels(rows, period_columns))
        keys = zip(periods, self._currencies(columns, rows), strict=True)
        with decimal.localcontext(money.EXACT):
            for key, amount, is_selected in zip(keys, amounts, self._select(columns, rows), strict=True):
                value = amount or Decimal(0)
                totals.all_records[key[1]] = totals.all_records.get(key[1], Decimal(0)) + value
                if is_selected:
                    total = totals.selected.setdefault(key, AmountTotal())
                    total.amount += value
                    total.records = (total.records or 0) + 1

    def _currencies(self, columns: Mapping[str, Sequence[Any]], rows: int) -> Sequence[str]:
        name = self._fields.currency
        if name is None:
            return [self._fields.own_currency] * rows
        codes = self._parse(name, lambda: {value: parse_currency(value) for value in set(columns[name])})
        return [codes[value] for value in columns[name]]

    def _select(self, columns: Mapping[str, Sequence[Any]], rows: int) -> Sequence[bool]:
        """Return for each record whether the query selects it."""
        selected = [True] * rows
        for name, wanted in self._query.where.items():
            matches = (normalize_value(value) in wanted for value in columns[name])
            selected = [before and match for before, match in zip(selected, matches, strict=True)]
        return selected

    def _parse(self, field_name: str, parse: Callable[[], Any]) -> Any:
        try:
            return parse()
        except (ValueError, TypeError) as error:
            reason = error if type(error) is ValueError else "has an invalid type"
            raise ArmReconcileError(f"{self._file}: a record's {field_name} {reason}") from None


def check_against_manifest(manifest: Mapping[str, Any], fields: QueryFields, totals: FileTotals) -> None:
    """Check that all rows were read, and that their sums over all periods equal the totals in the manifest.

    :raises ArmExportMismatchError: they do not, so the file was changed while it was read.
    :raises ArmReconcileError: no record has a value in one of the fields: empty sums would match anything.
    """
    changed = totals.rows != manifest["rows"]
    if fields.currency is None:
        expected = manifest["gl_totals"].get(fields.amount)
        total = reduce(money.EXACT.add, totals.all_records.values(), Decimal(0))
        changed = changed or (expected is not None and money.EXACT.subtract(Decimal(expected), total) != 0)
    else:
        changed = changed or not _equal_totals(manifest["totals"], fields.amount, totals)
    if changed:
        raise ArmExportMismatchError(f"{manifest['file']} was changed while it was read: export again")
    empty = [name for name in fields.names if totals.rows and name not in totals.fields_with_values]
    if empty:
        hint = "names are case-sensitive; those of GL items are in gl_items. of the readings"
        raise ArmReconcileError(f"no record of {manifest['file']} has a value in {empty[0]} ({hint})")


def _equal_totals(expected: Mapping[str, Mapping[str, str]], field_name: str, totals: FileTotals) -> bool:
    remaining = dict(totals.all_records)
    for currency, amounts in expected.items():
        if field_name not in amounts:
            return True  # the export did not sum this field
        code = parse_currency(currency)
        remaining[code] = money.EXACT.subtract(remaining.get(code, Decimal(0)), Decimal(amounts[field_name]))
    return not any(remaining.values())


def describe_file(manifest: Mapping[str, Any], query: SideQuery, totals: FileTotals) -> dict[str, Any]:
    """Return what the report shows of an export."""
    by_date = query.period not in {Period.LEDGER, Period.NONE}
    return {
        "file": manifest["file"],
        "records": manifest["records"],
        "rows": manifest["rows"],
        "rows_compared": sum(total.records or 0 for total in totals.selected.values()),
        "rows_without_amount": totals.rows_without_amount,
        "field": query.field,
        "where": {name: _describe_values(name, values) for name, values in query.where.items()},
        "filters": sorted(manifest["filters"]),
        "by": query.by if by_date else None,
        "days": manifest["dates"].get(query.by) if by_date else None,
        "exported": manifest["started"],
        "api": manifest["api"],
        "sha256": manifest["sha256"],
    }


def _describe_values(field_name: str, values: frozenset[str]) -> str:
    if field_name in _SHOWN_FIELDS:
        return ", ".join(sorted(values))
    return f"{len(values)} value{'' if len(values) == 1 else 's'}, not shown"
