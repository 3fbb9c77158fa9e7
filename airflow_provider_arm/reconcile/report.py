"""Report of a reconciliation, as Markdown and as JSON: totals and counts only, no value of a single record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm import __version__
from airflow_provider_arm.export.pages.page_stats import amount_text
from airflow_provider_arm.reconcile.amount import format_amount
from airflow_provider_arm.reconcile.compare import ComparisonStatus, build_remarks
from airflow_provider_arm.reconcile.period import NO_PERIOD

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from airflow_provider_arm.reconcile.compare import Comparison, ComparisonRow
    from airflow_provider_arm.reconcile.fields import SideQuery
    from airflow_provider_arm.reconcile.sums import ComparisonSide

#: Differences in the summary, which goes through XCom and into an approval request. The report has all of them.
MAX_SUMMARY_LINES = 20
#: Characters of a checksum that the report shows.
_CHECKSUM_LENGTH = 12


def build_summary(comparison: Comparison) -> str:
    """Build the summary that an approver needs: Markdown with at most ``MAX_SUMMARY_LINES`` differences."""
    differences = comparison.differences
    parts = [_headline(comparison)]
    if differences:
        parts.append("\n".join(_table(comparison, differences[:MAX_SUMMARY_LINES])))
    if len(differences) > MAX_SUMMARY_LINES:
        parts.append(f"The report lists {len(differences) - MAX_SUMMARY_LINES} more differences.")
    parts += [f"- {remark}" for remark in build_remarks(comparison)]
    return "\n\n".join(parts)


def build_markdown(comparison: Comparison, query: SideQuery, compared_at: dt.datetime) -> str:
    """Build the report as Markdown."""
    differences = comparison.differences
    lines = [f"# Reconciliation: {comparison.left.name} and {comparison.right.name}", "", _headline(comparison), ""]
    for remark in build_remarks(comparison):
        lines += [f"- {remark}", ""]
    lines += _section("Differences", _table(comparison, differences) if differences else ["None."])
    lines += _section("All periods and currencies", _table(comparison, comparison.rows))
    lines += _section("Totals of these periods", _table(comparison, comparison.totals, is_total=True))
    if comparison.outside:
        lines += _section("Not compared: totals of other periods", _outside_table(comparison))
    lines += _section("What was compared", _options(comparison, query, compared_at))
    for side, name in ((comparison.left, "Left"), (comparison.right, "Right")):
        lines += _section(f"{name}: {side.name}", _files(side))
    return "\n".join(lines).rstrip() + "\n"


def build_json(comparison: Comparison, query: SideQuery, compared_at: dt.datetime) -> bytes:
    """Build the report as JSON. Amounts are text with all their digits."""
    options = comparison.options
    report = {
        "matches": comparison.matches,
        "differences": len(comparison.differences),
        "lines": [_row_as_json(row) for row in comparison.rows],
        "totals": [_row_as_json(row, is_total=True) for row in comparison.totals],
        "outside": [_row_as_json(row, is_total=True) for row in comparison.outside],
        "remarks": build_remarks(comparison),
        "period": str(query.period),
        "by": list(query.period.fields(query.by)),
        "periods": None if options.periods is None else list(options.periods),
        "invert_against": options.invert_right,
        "tolerance": {currency or "*": amount_text(amount) for currency, amount in options.tolerance.items()},
        "left": {"name": comparison.left.name, "files": comparison.left.files},
        "right": {"name": comparison.right.name, "files": comparison.right.files},
        "compared": compared_at.isoformat(timespec="seconds"),
        "package": f"airflow-provider-arm {__version__}",
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _headline(comparison: Comparison) -> str:
    left, right, count = comparison.left.name, comparison.right.name, len(comparison.rows)
    lines = f"{count} line{'' if count == 1 else 's'} by period and currency"
    differences = len(comparison.differences)
    if not differences:
        return f"**{left} and {right} match**: no difference in {lines}."
    return f"**{left} and {right} do not match**: {differences} of {lines} differ{'s' if differences == 1 else ''}."


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _table_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _table(comparison: Comparison, rows: Sequence[ComparisonRow], *, is_total: bool = False) -> Iterator[str]:
    """Yield a table; rows that are totals have neither a period nor a result."""
    first, last = ([], []) if is_total else (["Period"], ["Result"])
    yield _table_row([*first, "Currency", comparison.left.name, comparison.right.name, "Difference", *last])
    yield _table_row([*("---" for _ in first), "---", "---:", "---:", "---:", *("---" for _ in last)])
    for row in rows:
        amounts = map(format_amount, (row.left, row.right, row.difference))
        period = [] if is_total else [row.period if row.period != NO_PERIOD else "(none)"]
        result = [] if is_total else [_result(comparison, row)]
        yield _table_row([*period, row.currency or "(none)", *amounts, *result])


def _result(comparison: Comparison, row: ComparisonRow) -> str:
    sides = {ComparisonStatus.LEFT_MISSING: comparison.left, ComparisonStatus.RIGHT_MISSING: comparison.right}
    if row.status in sides:
        return f"**missing in {sides[row.status].name}**"
    return str(row.status) if row.matches else f"**{row.status}**"


def _outside_table(comparison: Comparison) -> Iterator[str]:
    yield _table_row(["Currency", comparison.left.name, comparison.right.name])
    yield _table_row(["---", "---:", "---:"])
    for row in comparison.outside:
        yield _table_row([row.currency or "(none)", format_amount(row.left), format_amount(row.right)])


def _options(comparison: Comparison, query: SideQuery, compared_at: dt.datetime) -> Iterator[str]:
    options = comparison.options
    fields = " and ".join(query.period.fields(query.by))
    yield f"- Period: {query.period}{f' of {fields}' if fields else ', one total for all records'}"
    if options.periods is not None:
        yield f"- Only these periods: {', '.join(options.periods)}"
    tolerances = [f"{currency} {amount_text(amount)}".strip() for currency, amount in options.tolerance.items()]
    yield f"- Tolerance: {', '.join(tolerances) or '0'}"
    if options.invert_right:
        yield f"- {comparison.right.name}: debits have the opposite sign, so the difference is left plus right"
    yield f"- Compared {compared_at.isoformat(sep=' ', timespec='seconds')} by airflow-provider-arm {__version__}"


def _files(side: ComparisonSide) -> Iterator[str]:
    for file in side.files:
        if "sha256" not in file:
            yield f"- {file.get('file', 'In the DAG')}"
            continue
        where = "".join(f", only {name}: {text}" for name, text in file["where"].items())
        days = f", {file['by']} {file['days']['first']} to {file['days']['last']}" if file["days"] else ""
        filters = f", export filtered by {', '.join(file['filters'])}" if file["filters"] else ""
        counts = f"{file['rows_compared']} of {file['rows']} records"
        yield (
            f"- {file['file']}: {counts}, {file['field']}{where}{days}{filters}; "
            f"exported {file['exported']}, sha256 {file['sha256'][:_CHECKSUM_LENGTH]}..."
        )


def _row_as_json(row: ComparisonRow, *, is_total: bool = False) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "period": None if is_total else row.period,
        "currency": row.currency,
        "left": _amount_or_none(row.left),
        "right": _amount_or_none(row.right),
        "difference": amount_text(row.difference),
        "left_rows": row.left_records,
        "right_rows": row.right_records,
    }
    return fields if is_total else fields | {"tolerance": amount_text(row.tolerance), "status": str(row.status)}


def _amount_or_none(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
