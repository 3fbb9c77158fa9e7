"""Whether what was added up is the whole of an export, and what the report tells of it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.manifest.verify import ArmExportMismatchError
from airflow_provider_arm.export.pages.page_stats import EXACT
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, GL_ITEMS
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.fields import currency_code
from airflow_provider_arm.reconcile.period import Period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.reconcile.fields import Fields, Question
    from airflow_provider_arm.reconcile.sums import Count

#: Fields whose values the report may show: each has few, so none of them tells of one person.
_SHOWN = {"currency", "glAccountNo", *AR_ITEMS.repeating, *GL_ITEMS.repeating}


def check_whole(said: Mapping[str, Any], fields: Fields, count: Count) -> None:
    """Hold what was read against the manifest: all rows, and over all periods the manifest's own totals.

    :raises ArmExportMismatchError: it was not all, so the file was changed while it was read.
    :raises ArmReconcileError: no record has a value in a field asked for: sums of nothing agree with anything.
    """
    wrong = count.rows != said["rows"]
    if fields.currency is None:
        told = said["own_currency_totals"].get(fields.amount)
        wrong = wrong or (told is not None and EXACT.subtract(Decimal(told), _all(count)) != 0)
    else:
        wrong = wrong or not _agree(said["totals"], fields.amount, count)
    if wrong:
        msg = f"{said['file']} was changed while it was read: export again"
        raise ArmExportMismatchError(msg)
    empty = [name for name in fields.names if count.rows and name not in count.filled]
    if empty:
        msg = f"no record of {said['file']} has a value in {empty[0]} (names are case-sensitive)"
        raise ArmReconcileError(msg)


def _all(count: Count) -> Decimal:
    total = Decimal(0)
    for amount in count.whole.values():
        total = EXACT.add(total, amount)
    return total


def _agree(totals: Mapping[str, Mapping[str, str]], name: str, count: Count) -> bool:
    left = dict(count.whole)
    for currency, amounts in totals.items():
        if name not in amounts:
            return True  # an amount that the export did not add up
        code = currency_code(currency)
        left[code] = EXACT.subtract(left.get(code, Decimal(0)), Decimal(amounts[name]))
    return not any(left.values())


def about_file(said: Mapping[str, Any], question: Question, count: Count) -> dict[str, Any]:
    """Tell of an export what the report shows."""
    by_day = question.period not in {Period.LEDGER, Period.NONE}
    return {
        "file": said["file"],
        "records": said["records"],
        "rows": said["rows"],
        "rows_compared": sum(known.rows or 0 for known in count.taken.values()),
        "rows_without_amount": count.without_amount,
        "field": question.field,
        "where": {name: _where_text(name, values) for name, values in question.where.items()},
        "filters": sorted(said["filters"]),
        "by": question.by if by_day else None,
        "days": said["dates"].get(question.by) if by_day else None,
        "exported": said["started"],
        "api": said["api"],
        "sha256": said["sha256"],
    }


def _where_text(name: str, values: frozenset[str]) -> str:
    if name in _SHOWN:
        return ", ".join(sorted(values))
    return f"{len(values)} value{'' if len(values) == 1 else 's'}, not shown"
