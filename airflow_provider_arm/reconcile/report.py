"""The report of a reconciliation: Markdown for a person, JSON for a program. Totals and counts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm import __version__
from airflow_provider_arm.export.pages.page_stats import amount_text
from airflow_provider_arm.reconcile.amount import for_people
from airflow_provider_arm.reconcile.compare import Status, remarks
from airflow_provider_arm.reconcile.period import NO_PERIOD

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from airflow_provider_arm.reconcile.compare import ComparisonRow, Outcome
    from airflow_provider_arm.reconcile.fields import SideQuery
    from airflow_provider_arm.reconcile.sums import Side

#: Differences that the summary shows; it goes through XCom and into a question. The report has all.
SUMMARY_LINES = 20
#: Characters of a checksum that a person compares.
_SUM_SHOWN = 12


def summary(outcome: Outcome) -> str:
    """Write what a person needs to decide, as Markdown of bounded length."""
    found = outcome.differences
    parts = [_headline(outcome)]
    if found:
        parts.append("\n".join(_table(outcome, found[:SUMMARY_LINES])))
    if len(found) > SUMMARY_LINES:
        parts.append(f"And {len(found) - SUMMARY_LINES} more in the report.")
    parts += [f"- {remark}" for remark in remarks(outcome)]
    return "\n\n".join(parts)


def markdown(outcome: Outcome, question: SideQuery, moment: dt.datetime) -> str:
    """Write the report for a person."""
    left, right = outcome.left.name, outcome.right.name
    lines = [f"# Reconciliation: {left} and {right}", "", _headline(outcome), ""]
    for remark in remarks(outcome):
        lines += [f"- {remark}", ""]
    lines += _section("Differences", _table(outcome, outcome.differences) if outcome.differences else ["None."])
    lines += _section("Every period and currency", _table(outcome, outcome.lines))
    lines += _section("Over all these periods", _table(outcome, outcome.totals, judged=False))
    if outcome.outside:
        lines += _section("Not compared, because outside of the periods asked for", _outside(outcome))
    lines += _section("What was compared", _terms(outcome, question, moment))
    for side, name in ((outcome.left, "Left"), (outcome.right, "Right")):
        lines += _section(f"{name}: {side.name}", _files(side))
    return "\n".join(lines).rstrip() + "\n"


def json_report(outcome: Outcome, question: SideQuery, moment: dt.datetime) -> bytes:
    """Write the report for a program; amounts are text with all their digits."""
    report = {
        "matches": outcome.matches,
        "differences": len(outcome.differences),
        "lines": [_as_json(line) for line in outcome.lines],
        "totals": [_as_json(line, judged=False) for line in outcome.totals],
        "outside": [_as_json(line, judged=False) for line in outcome.outside],
        "remarks": remarks(outcome),
        "period": str(question.period),
        "by": list(question.period.fields(question.by)),
        "periods": None if outcome.terms.periods is None else list(outcome.terms.periods),
        "invert_against": outcome.terms.invert_right,
        "tolerance": {currency or "*": amount_text(amount) for currency, amount in outcome.terms.tolerance.items()},
        "left": {"name": outcome.left.name, "files": outcome.left.files},
        "right": {"name": outcome.right.name, "files": outcome.right.files},
        "compared": moment.isoformat(timespec="seconds"),
        "package": f"airflow-provider-arm {__version__}",
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _headline(outcome: Outcome) -> str:
    left, right, count = outcome.left.name, outcome.right.name, len(outcome.lines)
    lines = f"{count} line{'' if count == 1 else 's'} of period and currency"
    if outcome.matches:
        return f"**{left} and {right} agree** in {lines}."
    return f"**{left} and {right} do not agree**: {len(outcome.differences)} of {lines} differ{_s(outcome)}."


def _s(outcome: Outcome) -> str:
    return "s" if len(outcome.differences) == 1 else ""


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _period_name(period: str) -> str:
    """Name a period as a table shows it."""
    return period if period != NO_PERIOD else "(none)"


def _table(outcome: Outcome, lines: Sequence[ComparisonRow], *, judged: bool = True) -> Iterator[str]:
    first = ["Period"] if judged else []
    last = ["Result"] if judged else []
    yield _row([*first, "Currency", outcome.left.name, outcome.right.name, "Difference", *last])
    yield _row([*("---" for _ in first), "---", "---:", "---:", "---:", *("---" for _ in last)])
    for line in lines:
        amounts = map(for_people, (line.left, line.right, line.difference))
        named = [_period_name(line.period)] if judged else []
        yield _row([*named, line.currency or "(none)", *amounts, *([_result(outcome, line)] if judged else [])])


def _result(outcome: Outcome, line: ComparisonRow) -> str:
    missing = {Status.LEFT_MISSING: outcome.left, Status.RIGHT_MISSING: outcome.right}
    if line.status in missing:
        return f"**nothing in {missing[line.status].name}**"
    return str(line.status) if line.agrees else f"**{line.status}**"


def _outside(outcome: Outcome) -> Iterator[str]:
    yield _row(["Currency", outcome.left.name, outcome.right.name])
    yield _row(["---", "---:", "---:"])
    for line in outcome.outside:
        yield _row([line.currency or "(none)", for_people(line.left), for_people(line.right)])


def _terms(outcome: Outcome, question: SideQuery, moment: dt.datetime) -> Iterator[str]:
    fields = " and ".join(question.period.fields(question.by))
    yield f"- Period: {question.period}{f' of {fields}' if fields else ', everything together'}"
    if outcome.terms.periods is not None:
        yield f"- Only these periods: {', '.join(outcome.terms.periods)}"
    yield f"- Tolerance: {', '.join(_tolerances(outcome)) or '0'}"
    if outcome.terms.invert_right:
        yield "- The sides are of opposite sign: the difference is left plus right"
    yield f"- Compared {moment.isoformat(sep=' ', timespec='seconds')} by airflow-provider-arm {__version__}"


def _tolerances(outcome: Outcome) -> Iterator[str]:
    for currency, amount in outcome.terms.tolerance.items():
        yield f"{currency} {amount_text(amount)}".strip()


def _files(side: Side) -> Iterator[str]:
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
            f"exported {file['exported']}, sha256 {file['sha256'][:_SUM_SHOWN]}..."
        )


def _as_json(line: ComparisonRow, *, judged: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {
        "period": line.period if judged else None,
        "currency": line.currency,
        "left": _text(line.left),
        "right": _text(line.right),
        "difference": amount_text(line.difference),
        "left_rows": line.left_rows,
        "right_rows": line.right_rows,
    }
    return found | ({"tolerance": amount_text(line.tolerance), "status": str(line.status)} if judged else {})


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
