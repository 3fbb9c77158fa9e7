"""One side of a reconciliation: what exports add up to, by period and currency."""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.manifest.check import check_export
from airflow_provider_arm.export.manifest.merge import list_part_manifests
from airflow_provider_arm.export.manifest.paths import data_path
from airflow_provider_arm.export.manifest.verify import ArmExportMismatchError
from airflow_provider_arm.export.pages.page_stats import EXACT
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, GL_ITEMS
from airflow_provider_arm.reconcile.amount import parse_amount
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.fields import QueryFields, choose_fields, normalize_value, parse_currency
from airflow_provider_arm.reconcile.period import Period
from airflow_provider_arm.reconcile.read import check_columns, read_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_arm.reconcile.fields import SideQuery
    from airflow_provider_arm.reconcile.read import Columns

#: Fields whose values the report may show: each has few, so none of them tells of one person.
_SHOWN_FIELDS = {"currency", "glAccountNo", *AR_ITEMS.repeating, *GL_ITEMS.repeating}
#: Period and currency.
PeriodCurrency = tuple[str, str]


@dataclass(slots=True)
class AmountTotal:
    """An amount, and of how many records it is the sum; ``None`` where it is a figure that somebody gave."""

    amount: Decimal = Decimal(0)
    rows: int | None = 0

    def add(self, other: AmountTotal) -> None:
        """Add another; with a figure the sum is one."""
        self.amount = EXACT.add(self.amount, other.amount)
        self.rows = None if self.rows is None or other.rows is None else self.rows + other.rows


@dataclass(frozen=True, slots=True)
class ComparisonSide:
    """What one side says."""

    #: As the report calls it: ``AR items``.
    name: str
    sums: dict[PeriodCurrency, AmountTotal]
    #: Of each file what the report tells: text, counts and names of fields, nothing of any one record.
    files: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class FileTotals:
    """What has been read of a file."""

    taken: dict[PeriodCurrency, AmountTotal] = field(default_factory=dict)
    #: Of all records, taken or not, by currency: must come to what the manifest says.
    whole: dict[str, Decimal] = field(default_factory=dict)
    rows: int = 0
    without_amount: int = 0
    #: Of the fields asked for, those that some record has a value in.
    filled: set[str] = field(default_factory=set)


def sum_exports(manifests: Iterable[Any], query: SideQuery) -> ComparisonSide:
    """Add up exports, which together are one side. Memory does not grow with the number of records.

    :param manifests: the manifests' paths; each is held against its file first (:func:`check_export`), a merged one's
        parts one by one.
    :raises ArmExportMismatchError: a file and its manifest do not agree.
    :raises ArmReconcileError: an export has not what the question asks for, or the exports are of different lists.
    :raises ArmConfigurationError: the amount's currency is not told.
    :raises OSError: a file cannot be read.
    """
    sides = [_sum_export(one, query) for manifest in manifests for one in list_part_manifests(manifest)]
    if len({side.name for side in sides}) != 1:
        msg = "the exports of one side must be of one list, and there must be at least one"
        raise ArmReconcileError(msg)
    sums: dict[PeriodCurrency, AmountTotal] = {}
    for side in sides:
        for key, more in side.sums.items():
            sums.setdefault(key, AmountTotal()).add(more)
    return ComparisonSide(sides[0].name, sums, tuple(file for side in sides for file in side.files))


def _sum_export(manifest: Any, query: SideQuery) -> ComparisonSide:
    said = check_export(manifest)
    fields = choose_fields(said, query)
    check_columns(said, fields.names)
    data = data_path(manifest)
    count, adder = FileTotals(), _Accumulator(said["file"], fields, query)
    for columns in read_columns(data, said, fields.names):
        adder.add(columns, count)
    check_against_manifest(said, fields, count)
    return ComparisonSide(said["records"], count.taken, (describe_file(said, query, count),))


class _Accumulator:
    """Adds up a file's records, batch by batch."""

    def __init__(self, file: str, fields: QueryFields, query: SideQuery) -> None:
        self._file, self._fields, self._query = file, fields, query

    def add(self, columns: Columns, count: FileTotals) -> None:
        """Add a batch.

        :raises ArmReconcileError: a value is not what its field should hold; the message names the field.
        """
        fields, rows = self._fields, len(columns[0])
        named = dict(zip(fields.names, columns, strict=True))
        count.rows += rows
        for name in set(fields.names) - count.filled:
            if any(value is not None and value != "" for value in named[name]):
                count.filled.add(name)
        amounts = self._read(fields.amount, lambda: [v if v is None else parse_amount(v) for v in named[fields.amount]])
        count.without_amount += amounts.count(None)
        periods = self._read(
            " or ".join(fields.period),
            lambda: self._query.period.labels(rows, [named[name] for name in fields.period]),
        )
        keys = zip(periods, self._currencies(named, rows), strict=True)
        with decimal.localcontext(EXACT):
            for key, amount, taken in zip(keys, amounts, self._taken(named, rows), strict=True):
                value = amount or Decimal(0)
                count.whole[key[1]] = count.whole.get(key[1], Decimal(0)) + value
                if taken:
                    known = count.taken.setdefault(key, AmountTotal())
                    known.amount += value
                    known.rows = (known.rows or 0) + 1

    def _currencies(self, named: Mapping[str, Sequence[Any]], rows: int) -> Sequence[str]:
        name = self._fields.currency
        if name is None:
            return [self._fields.own_currency] * rows
        codes = self._read(name, lambda: {value: parse_currency(value) for value in set(named[name])})
        return [codes[value] for value in named[name]]

    def _taken(self, named: Mapping[str, Sequence[Any]], rows: int) -> Sequence[bool]:
        taken = [True] * rows
        for name, wanted in self._query.where.items():
            taken = [
                before and normalize_value(value) in wanted for before, value in zip(taken, named[name], strict=True)
            ]
        return taken

    def _read(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (ValueError, TypeError) as error:
            told = error if type(error) is ValueError else "is not what it should be"
            msg = f"{self._file}: a record's {what} {told}"
            raise ArmReconcileError(msg) from None


def check_against_manifest(said: Mapping[str, Any], fields: QueryFields, count: FileTotals) -> None:
    """Hold what was read against the manifest: all rows, and over all periods the manifest's own totals.

    :raises ArmExportMismatchError: it was not all, so the file was changed while it was read.
    :raises ArmReconcileError: no record has a value in a field asked for: sums of nothing agree with anything.
    """
    wrong = count.rows != said["rows"]
    if fields.currency is None:
        told = said["gl_totals"].get(fields.amount)
        wrong = wrong or (told is not None and EXACT.subtract(Decimal(told), _grand_total(count)) != 0)
    else:
        wrong = wrong or not _totals_match(said["totals"], fields.amount, count)
    if wrong:
        msg = f"{said['file']} was changed while it was read: export again"
        raise ArmExportMismatchError(msg)
    empty = [name for name in fields.names if count.rows and name not in count.filled]
    if empty:
        msg = f"no record of {said['file']} has a value in {empty[0]} (names are case-sensitive)"
        raise ArmReconcileError(msg)


def _grand_total(count: FileTotals) -> Decimal:
    total = Decimal(0)
    for amount in count.whole.values():
        total = EXACT.add(total, amount)
    return total


def _totals_match(totals: Mapping[str, Mapping[str, str]], name: str, count: FileTotals) -> bool:
    left = dict(count.whole)
    for currency, amounts in totals.items():
        if name not in amounts:
            return True  # an amount that the export did not add up
        code = parse_currency(currency)
        left[code] = EXACT.subtract(left.get(code, Decimal(0)), Decimal(amounts[name]))
    return not any(left.values())


def describe_file(said: Mapping[str, Any], query: SideQuery, count: FileTotals) -> dict[str, Any]:
    """Tell of an export what the report shows."""
    by_day = query.period not in {Period.LEDGER, Period.NONE}
    return {
        "file": said["file"],
        "records": said["records"],
        "rows": said["rows"],
        "rows_compared": sum(known.rows or 0 for known in count.taken.values()),
        "rows_without_amount": count.without_amount,
        "field": query.field,
        "where": {name: _where_text(name, values) for name, values in query.where.items()},
        "filters": sorted(said["filters"]),
        "by": query.by if by_day else None,
        "days": said["dates"].get(query.by) if by_day else None,
        "exported": said["started"],
        "api": said["api"],
        "sha256": said["sha256"],
    }


def _where_text(name: str, values: frozenset[str]) -> str:
    if name in _SHOWN_FIELDS:
        return ", ".join(sorted(values))
    return f"{len(values)} value{'' if len(values) == 1 else 's'}, not shown"
