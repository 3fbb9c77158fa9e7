"""The report of a reconciliation: Markdown for a person, JSON for a program. Totals and counts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm import __version__
from airflow_provider_arm.export.pages.page_stats import amount_text
from airflow_provider_arm.reconcile.amount import format_amount
from airflow_provider_arm.reconcile.compare import ComparisonStatus, remarks
from airflow_provider_arm.reconcile.period import NO_PERIOD

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from airflow_provider_arm.reconcile.compare import Comparison, ComparisonRow
    from airflow_provider_arm.reconcile.fields import SideQuery
    from airflow_provider_arm.reconcile.sums import ComparisonSide

#: Differences that the summary shows; it goes through XCom and into a question. The report has all.
MAX_SUMMARY_LINES = 20
#: Characters of a checksum that a person compares.
_CHECKSUM_LENGTH = 12


def build_summary(comparison: Comparison) -> str:
    """Write what a person needs to decide, as Markdown of bounded length."""
    found = comparison.differences
    parts = [_headline(comparison)]
    if found:
        parts.append("\n".join(_table(comparison, found[:MAX_SUMMARY_LINES])))
    if len(found) > MAX_SUMMARY_LINES:
        parts.append(f"And {len(found) - MAX_SUMMARY_LINES} more in the report.")
    parts += [f"- {remark}" for remark in remarks(comparison)]
    return "\n\n".join(parts)


def build_markdown(comparison: Comparison, query: SideQuery, moment: dt.datetime) -> str:
    """Write the report for a person."""
    left, right = comparison.left.name, comparison.right.name
    lines = [f"# Reconciliation: {left} and {right}", "", _headline(comparison), ""]
    for remark in remarks(comparison):
        lines += [f"- {remark}", ""]
    lines += _section(
        "Differences", _table(comparison, comparison.differences) if comparison.differences else ["None."]
    )
    lines += _section("Every period and currency", _table(comparison, comparison.rows))
    lines += _section("Over all these periods", _table(comparison, comparison.totals, judged=False))
    if comparison.outside:
        lines += _section("Not compared, because outside of the periods asked for", _outside_table(comparison))
    lines += _section("What was compared", _options(comparison, query, moment))
    for side, name in ((comparison.left, "Left"), (comparison.right, "Right")):
        lines += _section(f"{name}: {side.name}", _files(side))
    return "\n".join(lines).rstrip() + "\n"


def build_json(comparison: Comparison, query: SideQuery, moment: dt.datetime) -> bytes:
    """Write the report for a program; amounts are text with all their digits."""
    report = {
        "matches": comparison.matches,
        "differences": len(comparison.differences),
        "lines": [_as_json(line) for line in comparison.rows],
        "totals": [_as_json(line, judged=False) for line in comparison.totals],
        "outside": [_as_json(line, judged=False) for line in comparison.outside],
        "remarks": remarks(comparison),
        "period": str(query.period),
        "by": list(query.period.fields(query.by)),
        "periods": None if comparison.options.periods is None else list(comparison.options.periods),
        "invert_against": comparison.options.invert_right,
        "tolerance": {
            currency or "*": amount_text(amount) for currency, amount in comparison.options.tolerance.items()
        },
        "left": {"name": comparison.left.name, "files": comparison.left.files},
        "right": {"name": comparison.right.name, "files": comparison.right.files},
        "compared": moment.isoformat(timespec="seconds"),
        "package": f"airflow-provider-arm {__version__}",
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _headline(comparison: Comparison) -> str:
    left, right, count = comparison.left.name, comparison.right.name, len(comparison.rows)
    lines = f"{count} line{'' if count == 1 else 's'} of period and currency"
    if comparison.matches:
        return f"**{left} and {right} agree** in {lines}."
    return f"**{left} and {right} do not agree**: {len(comparison.differences)} of {lines} differ{_third_person_s(comparison)}."


def _third_person_s(comparison: Comparison) -> str:
    return "s" if len(comparison.differences) == 1 else ""


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _period_text(period: str) -> str:
    """Name a period as a table shows it."""
    return period if period != NO_PERIOD else "(none)"


def _table(comparison: Comparison, lines: Sequence[ComparisonRow], *, judged: bool = True) -> Iterator[str]:
    first = ["Period"] if judged else []
    last = ["Result"] if judged else []
    yield _row([*first, "Currency", comparison.left.name, comparison.right.name, "Difference", *last])
    yield _row([*("---" for _ in first), "---", "---:", "---:", "---:", *("---" for _ in last)])
    for line in lines:
        amounts = map(format_amount, (line.left, line.right, line.difference))
        named = [_period_text(line.period)] if judged else []
        yield _row([*named, line.currency or "(none)", *amounts, *([_result_text(comparison, line)] if judged else [])])


def _result_text(comparison: Comparison, line: ComparisonRow) -> str:
    missing = {ComparisonStatus.LEFT_MISSING: comparison.left, ComparisonStatus.RIGHT_MISSING: comparison.right}
    if line.status in missing:
        return f"**nothing in {missing[line.status].name}**"
    return str(line.status) if line.agrees else f"**{line.status}**"


def _outside_table(comparison: Comparison) -> Iterator[str]:
    yield _row(["Currency", comparison.left.name, comparison.right.name])
    yield _row(["---", "---:", "---:"])
    for line in comparison.outside:
        yield _row([line.currency or "(none)", format_amount(line.left), format_amount(line.right)])


def _options(comparison: Comparison, query: SideQuery, moment: dt.datetime) -> Iterator[str]:
    fields = " and ".join(query.period.fields(query.by))
    yield f"- Period: {query.period}{f' of {fields}' if fields else ', everything together'}"
    if comparison.options.periods is not None:
        yield f"- Only these periods: {', '.join(comparison.options.periods)}"
    yield f"- Tolerance: {', '.join(_tolerances(comparison)) or '0'}"
    if comparison.options.invert_right:
        yield "- The sides are of opposite sign: the difference is left plus right"
    yield f"- Compared {moment.isoformat(sep=' ', timespec='seconds')} by airflow-provider-arm {__version__}"


def _tolerances(comparison: Comparison) -> Iterator[str]:
    for currency, amount in comparison.options.tolerance.items():
        yield f"{currency} {amount_text(amount)}".strip()


def _files(side: ComparisonSide) -> Iterator[str]:
    for file in side.files:
        if "sha256" not in file:
            yield f"- {file.get('file', 'In the DAG')}"
            continue
        where = "".join(f", only {name}: {text}" for name, text in file["where"].items())
        days = f", {file['by']} {file['days']['first']} to {file['days']['last']}" if file["days"] else ""
        filters = f", exported by {', '.join(file['filters'])}" if file["filters"] else ""
        counts = f"{file['rows_compared']} of {file['rows']} records"
        yield (
            f"- {file['file']}: {counts}, {file['field']}{where}{days}{filters}; "
            f"exported {file['exported']}, sha256 {file['sha256'][:_CHECKSUM_LENGTH]}..."
        )


def _as_json(line: ComparisonRow, *, judged: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {
        "period": line.period if judged else None,
        "currency": line.currency,
        "left": _amount_text(line.left),
        "right": _amount_text(line.right),
        "difference": amount_text(line.difference),
        "left_rows": line.left_records,
        "right_rows": line.right_records,
    }
    return found | ({"tolerance": amount_text(line.tolerance), "status": str(line.status)} if judged else {})


def _amount_text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
